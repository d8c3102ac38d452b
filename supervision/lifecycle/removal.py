"""Removal of an instance from memory, and the release of the callers that wait."""

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

    A removed instance is in no registry, has no agent, no parent and no children. It
    saves nothing. The life cycle and the host's services use it.

    Attributes:
        registries: the instances in memory.
        stop: asks a child to stop.
        unwatch: ends the idle timer of an instance.
    """

    registries: Registries
    stop: Callable[[Instance], None]
    unwatch: Callable[[Instance], None]

    def remove(self, instance: Instance) -> None:
        """Remove an instance from memory, from its registry and from its family."""
        if instance.timer is not None:
            instance.timer.cancel()
            instance.timer = None
        instance.phase = Phase.STOPPED
        instance.unbind_agent()
        instance.body = None
        if instance.crashes and not instance.discard:
            instance.partition.remember(instance.address, instance.crashes)
        self.unwatch(instance)
        for child in instance.children:  # children that stay live or failed to save
            detach_child(child)
        detach_child(instance)
        self.registries.remove(instance)
        if instance.manager.extension is not None:
            instance.manager.extension.stopped(instance)

    def fail(self, instance: Instance, error: BaseException) -> None:
        """Remove an instance that cannot go on; fail its waiters, refuse its mail."""
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
        """Remove an instance whose row or mail another host changed; save nothing."""
        if isinstance(error, StaleOwner):
            instance.partition.lost = True
        report(instance, "instance.fenced", error)
        self.fail(instance, error)


def extended_ancestor(instance: Instance) -> tuple[Instance, Extension] | None:
    """Return the nearest live ancestor with an extension: the pod of an instance."""
    if instance.family is None:
        return None
    ancestor = instance.family.parent
    while ancestor is not None:
        if ancestor.manager.extension is not None:
            return ancestor, ancestor.manager.extension
        ancestor = ancestor.parent
    return None


def release_waiters(instance: Instance, error: BaseException | None) -> None:
    """End the futures of callers that wait for a start; ``None``: it succeeded."""
    waiters, instance.waiters = instance.waiters, None
    for waiter in waiters or ():
        if waiter.done():
            continue
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)


def settle_stoppers(instance: Instance, error: BaseException | None) -> None:
    """End the futures of callers that wait for a stop; ``None``: it succeeded."""
    stoppers, instance.stoppers = instance.stoppers, None
    for stopper in stoppers or ():
        if stopper.done():
            continue
        if error is None:
            stopper.set_result(None)
        else:
            stopper.set_exception(error)


def refuse_mail(instance: Instance, error: BaseException) -> None:
    """Answer every message in the mailbox with an error."""
    while instance.mail:
        instance.mail.take().refuse(error)


def report(instance: Instance, event: str, error: BaseException) -> None:
    """Log an event of an instance as an error, without its state.

    An exception of the application's log handler is suppressed: the instance goes on.
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
