"""Supervisor: restarts, stops or quarantines a crashed instance.

A restart waits for its back-off. No other instance is affected. The restart budget
belongs to one instance, so a crash loop uses up its own budget only (source of the
idea: Erlang/OTP supervisors, which count per supervisor).
"""

from __future__ import annotations

import contextlib
import functools
import logging
from typing import TYPE_CHECKING

from persistence import (
    Clock,
    PutQuarantine,
    Quarantine,
    Unit,
    UnstorableState,
    Writer,
)

from ..agents import GiveUp, Phase, RestartAfter, StayDown, decide
from ..errors import AgentCrashed, Quarantined
from ..execution import save_unit
from ..telemetry import partition_extra
from .removal import refuse_mail

if TYPE_CHECKING:
    import asyncio

    from ..agents import Instance
    from .activation import Activation

__all__ = ["Supervisor"]

log = logging.getLogger("podvisor.supervisor")

_HOOKS = frozenset({"construction", "on_start"})


class Supervisor:
    """Decides what follows a crash of an instance, for all instances of one host.

    It holds no instance: the crash times are kept on the instance. Turns and
    ``Activation`` report crashes to it.
    """

    def __init__(self, activation: Activation, writer: Writer, clock: Clock) -> None:
        self._activation = activation
        self._writer = writer
        self._clock = clock

    def crashed(self, instance: Instance, error: BaseException, where: str) -> None:
        """Restart, stop or quarantine an instance after a crash.

        Args:
            instance: the crashed instance; its fields hold the last good turn's values.
            error: the exception of the crash.
            where: the handler or hook that raised; ``construction``: the constructor.
        """
        now = self._clock.monotonic()
        policy = instance.manager.policy.restart
        history = [*(instance.crashes or ()), now][-(policy.max_restarts + 1) :]
        instance.crashes = history
        instance.partition.counters.crashes += 1
        self._report(instance, error, where)
        if where in _HOOKS:
            self._activation.failed(instance, error, where)
        if instance.draining is not None:
            self._go_down(instance, error, where)
            return
        match decide(policy, history, now):
            case RestartAfter(delay):
                self._activation.telemetry.mark(
                    "restart",
                    instance.manager.name,
                    instance.partition.name,
                    error=error,
                )
                self._restart(instance, delay)
            case StayDown():
                self._go_down(instance, error, where)
            case GiveUp(reason):
                kind = type(error).__qualname__
                self.quarantine(instance, f"{reason} The last was {kind} in {where}.")

    def quarantine(self, instance: Instance, reason: str) -> None:
        """Take an instance out of service until an operator releases it.

        Unsaved state of its last turn is stored in the same unit as the mark.
        """
        partition = instance.partition
        address = instance.address
        mark = Quarantine(address, reason, self._clock.wall())
        partition.quarantined[address.manager, address.key] = mark
        partition.counters.quarantines += 1
        self._activation.telemetry.mark("quarantine", address.manager, partition.name)
        log.error(
            "instance.quarantined",
            extra=partition_extra(
                partition.name,
                manager=address.manager,
                key=str(address.key),
                reason=reason,
            ),
        )
        self._store(instance, mark)
        instance.crashes = None  # a released instance has a new restart budget
        self._activation.removal.fail(instance, Quarantined(address, reason))

    def _store(self, instance: Instance, mark: Quarantine) -> None:
        partition = instance.partition
        if partition.claim is None:
            return
        unit = Unit(partition.name, partition.epoch, (PutQuarantine(mark),))
        if instance.dirty and instance.manager.stored and instance.agent is not None:
            try:
                state = save_unit(instance)
                unit = Unit(
                    unit.partition, unit.epoch, (*state.operations, *unit.operations)
                )
            except UnstorableState as error:
                self._report(instance, error, "the save before quarantine")
        self._writer.submit(unit).add_done_callback(
            functools.partial(self._stored, instance), context=partition.context
        )

    def _stored(self, instance: Instance, saved: asyncio.Future[None]) -> None:
        if (error := saved.exception()) is not None:
            self._report(instance, error, "the save of its quarantine")

    def _restart(self, instance: Instance, delay: float) -> None:
        instance.phase = Phase.BACKING_OFF
        if instance.timer is not None:
            instance.timer.cancel()
            instance.timer = None
        again = functools.partial(self._activation.begin_again, instance)
        if delay <= 0:
            again()
        else:
            instance.timer = self._clock.call_later(delay, again)

    def _go_down(self, instance: Instance, error: BaseException, where: str) -> None:
        # The mail does not go to a successor: that would be a restart without a budget.
        # Its senders get the kind of the exception but not the text, because a request
        # of another sender has raised it.
        kind = type(error).__qualname__
        refuse_mail(instance, AgentCrashed(instance.address, where, kind))
        instance.phase = Phase.BACKING_OFF
        instance.draining = 0
        self._activation.settled(instance)

    def _report(self, instance: Instance, error: BaseException, where: str) -> None:
        extra = partition_extra(
            instance.address.partition,
            manager=instance.manager.name,
            key=str(instance.address.key),
            where=where,
            error=type(error).__qualname__,
        )
        # A log handler of the application may raise; the decision must stand.
        with contextlib.suppress(Exception):
            log.error("instance.crashed", exc_info=error, extra=extra)
