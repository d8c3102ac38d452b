"""One fixed piece of work, in which each storage operation fails once, in each way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import TypeVar

import attrs

from persistence import Address
from pods import (
    AgentRef,
    Host,
    Message,
    Quarantined,
    StaleRevision,
    StartFailed,
    StoreError,
    StoreUnavailable,
    add_node,
    eager,
)
from pods.testing import EVERY_FAULT, Fault, LoopPolicy, Simulation, When, simulate

from .agents import Do, Forward, Ledger, Read, Report, Team
from .cancels import CALM
from .model import Model, Outcome
from .process import PATIENCE, Process

__all__ = ["Point", "count_operations", "fail_at", "points"]

_T = TypeVar("_T")


@attrs.frozen
class Point:
    """Where and how an operation of the storage fails.

    Attributes:
        operation: its number, from 0 up.
        fault: how it fails.
        lasting: whether every later one fails too, until the end of the work.
    """

    operation: int
    fault: Fault
    lasting: bool = False


def points(operations: int) -> Iterator[Point]:
    """Give every point: each operation before, after and for ever, in four ways."""
    for operation in range(operations):
        for fault in EVERY_FAULT:
            yield Point(operation, fault)
            if fault.when is When.BEFORE:
                yield Point(operation, fault, lasting=True)


def count_operations() -> int:
    """Count the storage operations of the work when nothing fails."""
    return fail_at(None)


def fail_at(point: Point | None) -> int:
    """Do the work with one point of trouble; count its storage operations.

    Raises:
        AssertionError: somebody was told what is not true, or does not answer.
    """

    async def scenario(simulation: Simulation) -> int:
        if point is not None:
            simulation.faults.fail(
                point.fault, after=point.operation, lasting=point.lasting
            )
        work = _Work(simulation)
        await work.do()
        seen = simulation.faults.seen
        simulation.faults.heal()
        found = await work.settle()
        assert not found, (point, found)
        return seen

    return simulate(scenario, 1, policy=LoopPolicy(max_ticks=100_000))


@attrs.define(eq=False)
class _Work:
    simulation: Simulation
    model: Model = attrs.field(factory=Model)
    mutated: Outcome = Outcome.UNDONE

    async def do(self) -> None:
        """Use a host in every way that touches the storage."""
        with suppress(StoreError):
            async with _host(self.simulation) as process:
                ledgers = process.ledgers
                ref = await _got(ledgers.get("k", partition="acme"))
                await self._operate(ref, Do)
                await self._operate(ref, Do)
                await self._operate(ref, lambda name: self._forward(ref, name))
                with suppress(StoreError):
                    await ledgers.stop("k", partition="acme")
                    await ledgers.keys(partition="acme")
                    await ledgers.stats(partition="acme")
                ref = await _got(ledgers.get("k", partition="acme"))
                await self._operate(ref, Do)
                await self._mutate(process)
                await asyncio.sleep(1)

    def _forward(self, ref: AgentRef[Ledger] | None, name: str) -> Message[object]:
        assert ref is not None
        target = Address("acme", "ledgers", "other")
        self.model.begin("the only one", target, source=name)
        return Forward(name, "ledgers", "other")

    async def _operate(
        self,
        ref: AgentRef[Ledger] | None,
        make: Callable[[str], Message[object]],
    ) -> None:
        if ref is None:
            return
        name = self.model.begin("the only one", ref.address)
        try:
            await ref.ask(make(name))
        except (StartFailed, Quarantined):
            return
        except (StoreUnavailable, StaleRevision):
            self.model.end(name, Outcome.UNDONE)
        else:
            self.model.end(name, Outcome.DONE)

    async def _mutate(self, process: Process) -> None:
        pod = await _got(Team.get(process.teams, "p", partition="acme"))
        if pod is None:
            return
        try:
            await pod.mutate([add_node("extra", eager(Ledger, manager="ledgers"))])
        except (StoreUnavailable, StaleRevision):
            self.mutated = Outcome.UNDONE
        else:
            self.mutated = Outcome.DONE

    async def settle(self) -> list[str]:
        """Start anew with a healthy storage, and look at everything."""
        async with _host(self.simulation) as process:
            await _release(process)
            reports: dict[Address, Report] = {}
            for address in self.model.addresses():
                ref = await process.ledgers.get(address.key, partition="acme")
                reports[address] = await ref.ask(Read(), timeout=PATIENCE)
                await ref.ask(Do(self.model.begin("later", address)), timeout=PATIENCE)
            pod = await Team.get(process.teams, "p", partition="acme")
            there = "extra" in (await pod.topology())
            found = self.model.check(reports)
            if self.mutated is not Outcome.UNKNOWN:
                wanted = self.mutated is Outcome.DONE
                if there is not wanted:
                    found.append(f"mutated: {self.mutated}, there: {there}")
        return found


def _host(simulation: Simulation) -> _Opened:
    return _Opened(simulation.host())


class _Opened:
    """A host with its managers, for the length of a block."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._process = Process.of(host, CALM)

    async def __aenter__(self) -> Process:
        await self._host.__aenter__()
        return self._process

    async def __aexit__(self, *_: object) -> None:
        await self._host.stop()


async def _got(call: Awaitable[_T]) -> _T | None:
    """Await a ref, or nothing if the storage does not give it."""
    try:
        return await call
    except (StoreError, StartFailed, Quarantined):
        return None


async def _release(process: Process) -> None:
    for manager in (process.ledgers, process.squads, process.teams):
        for marked in await manager.quarantined(partition="acme"):
            await manager.release(
                marked.address.key, partition="acme", actor="test", reason="test"
            )
