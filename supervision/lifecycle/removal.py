"""How an instance leaves memory, and what those who wait for it are told."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

import attrs

from persistence import PodsError, StaleOwner

from ..agents import OnParentStop, Phase, detach_child
from ..telemetry import partition_extra

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..agents import Extension, Instance
    from .registry import Registries

__all__ = [
    "Removal",
    "extended_ancestor",
    "refuse_mail",
    "release_waiters",
    "report",
    "settle_stoppers",
]

log = logging.getLogger("podvisor.lifecycle")


@attrs.define(eq=False)
class Removal:
    """Takes the instances of one host out of memory.

    Attributes:
        registries: where they stand.
        stop: asks a child to stop.
        unwatch: ends the idle timer of an instance.
    """

    registries: Registries
    stop: Callable[[Instance], None]
    unwatch: Callable[[Instance], None]

    def remove(self, instance: Instance) -> None:
        """Take an instance out of memory, the registry and its family."""
        if instance.timer is not None:
            instance.timer.cancel()
            instance.timer = None
        instance.phase = Phase.STOPPED
        instance.unbind_agent()
        instance.body = None
        if instance.crashes and not instance.discard:
            instance.partition.remember(instance.address, instance.crashes)
        self.unwatch(instance)
        for child in instance.children:  # those that live on, or could not be saved
            detach_child(child)
        detach_child(instance)
        self.registries.remove(instance)
        if instance.manager.extension is not None:
            instance.manager.extension.stopped(instance)

    def fail(self, instance: Instance, error: BaseException) -> None:
        """End an instance that cannot be; tell everybody who waits for it why."""
        above = extended_ancestor(instance)
        for child in instance.children:
            if child.ensure_family().on_parent_stop is OnParentStop.STOP:
                self.stop(child)
        self.remove(instance)
        release_waiters(instance, error)
        refuse_mail(instance, error)
        settle_stoppers(instance, None)
        if above is not None:
            above[1].departed(above[0], instance)

    def fence(self, instance: Instance, error: BaseException) -> None:
        """End an instance whose row or mail somebody else has changed; save nothing."""
        if isinstance(error, StaleOwner):
            instance.partition.lost = True
        report(instance, "instance.fenced", error)
        self.fail(instance, error)


def extended_ancestor(instance: Instance) -> tuple[Instance, Extension] | None:
    """Find the nearest live ancestor that has an extension: the pod it stands in."""
    if instance.family is None:
        return None
    ancestor = instance.family.parent
    while ancestor is not None:
        if ancestor.manager.extension is not None:
            return ancestor, ancestor.manager.extension
        ancestor = ancestor.parent
    return None


def release_waiters(instance: Instance, error: BaseException | None) -> None:
    """Tell those who wait for an instance to be live that it is, or why it is not."""
    waiters, instance.waiters = instance.waiters, None
    for waiter in waiters or ():
        if waiter.done():
            continue
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)


def settle_stoppers(instance: Instance, error: BaseException | None) -> None:
    """Tell those who wait for an instance to stop that it has, or why it has not."""
    stoppers, instance.stoppers = instance.stoppers, None
    for stopper in stoppers or ():
        if stopper.done():
            continue
        if error is None:
            stopper.set_result(None)
        else:
            stopper.set_exception(error)


def refuse_mail(instance: Instance, error: BaseException) -> None:
    """Answer everything in the mailbox with an error."""
    while instance.mail:
        instance.mail.take().refuse(error)


def report(instance: Instance, event: str, error: BaseException) -> None:
    """Log what happened to an instance, with no word of its state.

    A handler of the application that raises does not keep the instance from going on.
    """
    code = {"code": error.code} if isinstance(error, PodsError) else {}
    extra = partition_extra(
        instance.address.partition,
        manager=instance.manager.name,
        key=str(instance.address.key),
        error=type(error).__qualname__,
        **code,
    )
    with contextlib.suppress(Exception):
        log.error(event, extra=extra)
