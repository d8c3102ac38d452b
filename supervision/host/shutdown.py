"""An orderly shutdown: everything hibernates, and what does not is named."""

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
    """How a shutdown went.

    Attributes:
        hibernated: instances that left memory in order.
        unsaved: address and reason of each whose latest state is not stored.
        stuck: address and handler of each turn that did not end when cancelled.
    """

    hibernated: int
    unsaved: tuple[tuple[Address, str], ...] = ()
    stuck: tuple[tuple[Address, str], ...] = ()

    @property
    def clean(self) -> bool:
        """Whether nothing was left undone."""
        return not self.unsaved and not self.stuck


class Shutdown:
    """One shutdown of one host: ask, wait until the deadline, cancel, name."""

    def __init__(  # noqa: PLR0913, PLR0917  what a shutdown goes through, part by part
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
        """Stop every instance, then the storage; never raises for an instance."""
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
        """Say whether memory holds something of an instance that its row does not."""
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
            return f"it is still in {instance.running}"
        return f"it was {instance.phase.value} at the deadline"

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
