from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from persistence import open_store
from pods import Agent, Host, Message, StoreError, handler
from pods.testing import (
    Fault,
    LoopPolicy,
    Simulation,
    SimulationFailed,
    Stalled,
    Trouble,
    When,
    simulate,
)

__all__: list[str] = []


class Add(Message[int]):
    pass


class Meter(Agent):
    total: int = 0

    @handler
    def add(self, message: Add) -> int:
        self.total += 1
        return self.total


def test_a_day_passes_in_no_time() -> None:
    """Row 1: time is virtual; it stands still while something runs."""

    async def scenario(simulation: Simulation) -> float:
        before = simulation.loop.time()
        await asyncio.sleep(86_400)
        return simulation.loop.time() - before

    policy = LoopPolicy(limit=100_000)
    assert simulate(scenario, 1, policy=policy) == pytest.approx(86_400, abs=0.01)


def test_those_who_wait_for_each_other_are_named() -> None:
    """Row 1: a deadlock is an error, with the line that each task waits in."""

    async def wait_for_nobody() -> None:
        await asyncio.Event().wait()

    async def scenario(_: Simulation) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(wait_for_nobody(), name="the one who waits")

    with pytest.raises(Stalled, match="the one who waits"):
        simulate(scenario, 1)


def test_a_task_that_spins_does_not_stop_the_clock() -> None:
    """Row 1: every pass costs a little time, so that a deadline ends a busy wait."""

    async def scenario(_: Simulation) -> None:
        with anyio.move_on_after(0.01):
            while True:  # noqa: ASYNC110  that is the point
                await asyncio.sleep(0)

    simulate(scenario, 1)


def test_a_run_without_an_end_is_ended() -> None:
    """Row 1: a run that keeps itself busy for ever fails with the tasks that do it."""

    async def scenario(_: Simulation) -> None:
        while True:  # noqa: ASYNC110  that is the point
            await asyncio.sleep(1)

    with pytest.raises(Stalled, match="has not ended"):
        simulate(scenario, 1, policy=LoopPolicy(limit=60))


def test_a_task_that_is_left_behind_fails_the_run() -> None:
    """Row 1: a scenario ends with everything that it began."""
    kept: list[asyncio.Task[None]] = []

    async def scenario(simulation: Simulation) -> None:
        kept.append(simulation.loop.create_task(asyncio.sleep(1_000), name="forgotten"))

    with pytest.raises(SimulationFailed, match="forgotten"):
        simulate(scenario, 1)


def test_a_callback_that_raises_fails_the_run() -> None:
    """Row 1: what asyncio would only log is a failure."""

    def explode() -> None:
        raise RuntimeError("in a callback")

    async def scenario(simulation: Simulation) -> None:
        simulation.loop.call_soon(explode)
        await asyncio.sleep(0.1)

    with pytest.raises(SimulationFailed, match="in a callback"):
        simulate(scenario, 1)


def test_steps_of_tasks_are_held_back_and_callbacks_are_not() -> None:
    """Row 1: plain callbacks keep their order, steps of tasks lose it for a moment."""

    async def scenario(simulation: Simulation) -> tuple[list[int], list[int]]:
        steps: list[int] = []
        calls: list[int] = []

        async def step(number: int) -> None:
            steps.append(number)

        async with asyncio.TaskGroup() as group:
            for number in range(50):
                simulation.loop.call_soon(calls.append, number)
                group.create_task(step(number))
        return steps, calls

    steps, calls = simulate(scenario, 1, policy=LoopPolicy(hold=0.3))

    assert sorted(steps) == calls == list(range(50))
    assert steps != calls


def test_threads_of_a_library_run_on_the_loop() -> None:
    """Row 1: anyio's and asyncio's threads take virtual time and no thread."""

    async def scenario(_: Simulation) -> tuple[int, int]:
        first = await anyio.to_thread.run_sync(lambda: 1)
        second = await asyncio.to_thread(lambda: 2)
        return first, second

    assert simulate(scenario, 1) == (1, 2)


def test_what_was_committed_outlives_a_crash() -> None:
    """Row 1: the next process finds what was on the disk, and nothing else."""

    async def scenario(simulation: Simulation) -> int:
        async with simulation.host() as host:
            meters = host.manager("meters", Meter)
            meter = await meters.get("m", partition="acme")
            assert await meter.ask(Add()) == 1
            late = asyncio.ensure_future(meter.ask(Add()))
            await asyncio.sleep(0)
            await simulation.crash(host)
            with pytest.raises(StoreError):
                await late
        async with simulation.host() as host:
            meters = host.manager("meters", Meter)
            meter = await meters.get("m", partition="acme")
            return await meter.ask(Add())

    assert simulate(scenario, 1) == 2


@pytest.mark.parametrize("trouble", Trouble)
@pytest.mark.parametrize("when", When)
def test_a_fault_has_the_name_that_sqlite_gives_it(
    trouble: Trouble, when: When
) -> None:
    """Row 3: the driver raises what SQLite's own would, before or after the effect."""

    async def scenario(simulation: Simulation) -> tuple[str, int]:
        async with simulation.host() as host:
            meters = host.manager("meters", Meter)
            meter = await meters.get("m", partition="acme")
            simulation.faults.fail(Fault(trouble, when), after=2)  # BEGIN, INSERT
            said = ""
            try:
                await meter.ask(Add())
            except StoreError as error:
                said = str(error)
            simulation.faults.heal()
        with sqlite3.connect(simulation.file) as database:
            count = "SELECT count(*) FROM podvisor_records WHERE rev = 1"
            (rows,) = database.execute(count).fetchone()
        database.close()
        return said, rows

    said, rows = simulate(scenario, 1)

    assert rows == 1  # saved by this commit, or when the host was closed
    if when is When.BEFORE:
        assert trouble.name in said
    else:
        assert said == ""  # the row tells that it was saved


def test_a_clock_that_jumps_does_not_wake_anybody() -> None:
    """Row 1: wall clocks jump, timers do not."""

    async def scenario(simulation: Simulation) -> tuple[float, int]:
        async with simulation.host() as host:
            meters = host.manager("meters", Meter, idle_timeout=60)
            await meters.get("m", partition="acme")
            before = host.runtime.clock.wall()
            simulation.jump(7200)
            await asyncio.sleep(1)
            return host.runtime.clock.wall() - before, host.statistics().live

    passed, live = simulate(scenario, 1)

    assert passed > 7200
    assert live == 1


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "podvisor.db"
    open_store(found)  # imports SQLAlchemy; here no loop runs yet
    return found


async def test_other_loops_keep_their_threads(file: Path) -> None:
    """Row 1: what a simulation replaces is its own; it has put everything back."""
    async with Host(file) as host:
        meters = host.manager("meters", Meter)
        meter = await meters.get("m", partition="acme")

        assert await meter.ask(Add()) == 1


def test_a_reader_whose_rollback_failed_reads_again() -> None:
    """Row 3: a connection that a bad disk has left inside a transaction is mended."""

    async def scenario(simulation: Simulation) -> int:
        async with simulation.host() as host:
            meters = host.manager("meters", Meter)
            meter = await meters.get("m", partition="acme")
            await meter.ask(Add())
            for key in range(40):
                simulation.faults.fail(Fault(Trouble.IOERR), after=key)
                try:
                    await meters.get(f"k{key}", partition="acme")
                except StoreError:
                    simulation.faults.heal()
            simulation.faults.heal()
            await meters.stop("m", partition="acme")
            meter = await meters.get("m", partition="acme")
            return await meter.ask(Add())

    assert simulate(scenario, 1) == 2
