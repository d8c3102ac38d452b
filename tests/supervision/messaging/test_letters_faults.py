from __future__ import annotations

import asyncio
import contextlib
import functools

import pytest

from pods import Agent, Host, InstanceManager, Message, StoreError, handler
from pods.testing import Fault, Simulation, Trouble, When, simulate

__all__: list[str] = []

OPERATIONS = 40
"""More than the storage does from the start of a host until a letter is handled."""


class Add(Message[int]):
    pass


class Read(Message[int]):
    pass


class Later(Message[None]):
    """Have something counted in a while."""


class Note(Message[None]):
    """Have something counted at once, and write down that it was asked for."""

    noted: bool


class Meter(Agent):
    total: int = 0
    notes: int = 0

    @handler
    def add(self, message: Add) -> int:
        self.total += 1
        return self.total

    @handler
    def read(self, message: Read) -> int:
        return self.total

    @handler
    def later(self, message: Later) -> None:
        self.context.schedule(Add(), after=5)
        target = self.context.ref("meters", "m")
        self.context.tell(target, Add(), durable=True)

    @handler
    def note(self, message: Note) -> None:
        self.notes += message.noted
        self.context.tell(self.context.me, Add(), durable=True)


def meters(host: Host) -> InstanceManager[Meter]:
    return host.manager("meters", Meter)


@pytest.mark.parametrize("when", When)
@pytest.mark.parametrize("first", range(0, OPERATIONS, 10))
def test_letters_arrive_once_whichever_operation_fails(first: int, when: When) -> None:
    """Row 3: a read or a commit that fails delays a message and a timer, no more."""

    async def scenario(simulation: Simulation, operation: int) -> int:
        async with simulation.host() as host:
            await (await meters(host).get("m", partition="acme")).ask(Later())
            await simulation.crash(host)
        simulation.faults.fail(Fault(Trouble.IOERR, when), after=operation)
        while True:
            host = simulation.host()
            found = meters(host)
            try:
                await host.__aenter__()
            except StoreError:
                continue
            break
        await asyncio.sleep(60)
        total = await (await found.get("m", partition="acme")).ask(Read())
        await host.stop()
        return total

    for operation in range(first, first + 10):
        run = functools.partial(scenario, operation=operation)
        assert simulate(run, operation) == 2, operation


@pytest.mark.parametrize("way", ["with-state", "without-state", "outside"])
def test_a_letter_of_a_commit_in_doubt_waits_for_no_restart(way: str) -> None:
    """Row 3: stored, but its sender got an unknown outcome: it is read again."""

    async def scenario(simulation: Simulation, operation: int) -> tuple[int, int]:
        async with simulation.host() as host:
            ref = await meters(host).get("m", partition="acme")
            await ref.ask(Add())
            await asyncio.sleep(1)
            fault = Fault(Trouble.IOERR, When.AFTER)
            simulation.faults.fail(fault, after=operation, lasting=True)
            with contextlib.suppress(StoreError):
                if way == "outside":
                    await ref.tell(Add(), durable=True)
                else:
                    await ref.ask(Note(noted=way == "with-state"))
            await asyncio.sleep(0.2)
            simulation.faults.heal()
            await asyncio.sleep(60)
            before = await ref.ask(Read())
        async with simulation.host() as host:
            ref = await meters(host).get("m", partition="acme")
            await asyncio.sleep(60)
            return before, await ref.ask(Read())

    totals: list[int] = []
    for operation in range(12):
        run = functools.partial(scenario, operation=operation)
        before, after = simulate(run, operation)
        assert before == after, operation
        totals.append(after)

    assert set(totals) == {1, 2}
