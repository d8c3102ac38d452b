"""An orderly shutdown: instances hibernate, and a report names those left."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import attrs

from ..agents import Durability, Phase
from ..telemetry import partition_extra

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from persistence import Address

    from ..agents import Instance
    from ..execution import Offloader
    from ..lifecycle import HostState, Registries, Stopping
    from ..loop import WorkerPool
    from .policy import HostPolicy

__all__ = ["Shutdown", "ShutdownReport"]

log = logging.getLogger("podvisor.host")


@attrs.frozen(kw_only=True)
class ShutdownReport:
    """The result of a shutdown.

    Attributes:
        hibernated: instances that left memory.
        unsaved: address and reason of each instance whose latest state is not stored.
        stuck: address and handler of each turn that did not end when cancelled.
    """

    hibernated: int
    unsaved: tuple[tuple[Address, str], ...] = ()
    stuck: tuple[tuple[Address, str], ...] = ()

    @property
    def clean(self) -> bool:
        """Whether every state was saved and every turn has ended."""
        return not self.unsaved and not self.stuck


class Shutdown:
    """One shutdown of one host, which ``Host.stop`` runs.

    It asks every instance to stop, waits until the deadline, cancels the turns that
    still run, and reports what is left.
    """

    def __init__(  # noqa: PLR0913, PLR0917  one argument for each part that a shutdown ends
        self,
        policy: HostPolicy,
        state: HostState,
        registries: Registries,
        stopping: Stopping,
        workers: WorkerPool,
        offloader: Offloader,
        end: Callable[[], Awaitable[None]],
    ) -> None:
        self._policy = policy
        self._state = state
        self._registries = registries
        self._stopping = stopping
        self._workers = workers
        self._offloader = offloader
        self._end = end

    async def run(self) -> ShutdownReport:
        """Stop every instance, then end the host; never raise for an instance.

        Returns:
            How many instances left memory, and which are unsaved or stuck.
        """
        policy, instances = self._policy, self._registries.instances
        self._state.closing = True
        before = instances()
        stops = {i: self._stopping.stop(i) for i in before if i.parent is None}
        if stops:
            await asyncio.wait(stops.values(), timeout=policy.shutdown_timeout)
        if any(not done.done() for done in stops.values()):
            await self._workers.end(policy.shutdown_grace)
            await asyncio.wait(stops.values(), timeout=policy.shutdown_grace)
        stuck = tuple(
            (i.address, i.running) for i in instances() if i.running is not None
        )
        unsaved = tuple(self._unsaved())
        await self._workers.end(0 if stuck else policy.shutdown_grace)
        stuck += self._offloader.hung()
        await self._end()
        left = len(instances())
        report = ShutdownReport(
            hibernated=len(before) - left, unsaved=unsaved, stuck=stuck
        )
        self._log(report)
        return report

    def _unsaved(self) -> list[tuple[Address, str]]:
        return [
            (instance.address, self._why(instance))
            for instance in self._registries.instances()
            if self._has_news(instance)
        ]

    def _has_news(self, instance: Instance) -> bool:
        """Return whether an instance has state in memory that its row does not have."""
        if not instance.manager.stored or instance.agent is None:
            return False
        if instance.phase is Phase.COMMITTING:
            return True
        return instance.dirty or (
            instance.rev == 0
            and instance.manager.policy.durability is not Durability.TURN
        )

    def _why(self, instance: Instance) -> str:
        if instance.running is not None:
            return f"its {instance.running} still runs"
        return f"its phase was {instance.phase.value} at the deadline"

    def _log(self, report: ShutdownReport) -> None:
        for address, why in (*report.unsaved, *report.stuck):
            log.error(
                "shutdown.incomplete",
                extra=partition_extra(
                    address.partition,
                    manager=address.manager,
                    key=str(address.key),
                    reason=why,
                ),
            )
