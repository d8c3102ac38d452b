"""A whole run by its seed: trouble first, then a time when everything must answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from random import Random

import attrs

from persistence.sqlite.store import SqlStore
from pods import Host
from pods.testing import LoopPolicy, Simulation, simulate

from .aftermath import all_arrived, lost_mutations, reports_of
from .agents import watch
from .plan import Plan
from .world import World

__all__ = ["Run", "Violated", "run"]

_QUIET = 9.0
"""Virtual seconds after which slow operations have ended and sends have arrived."""
_LOOKS = 5
_BETWEEN_LOOKS = 0.7
"""Virtual seconds, which no timer of the runs is a multiple of."""


class Violated(AssertionError):
    """What a run has shown to be broken, a line each."""


@attrs.frozen(kw_only=True)
class Run:
    """What one run has gone through.

    Attributes:
        ticks: passes of the loop.
        seconds: virtual time.
        operations: asks of its clients.
        faults: operations of the storage that were made to fail.
        lives: processes that were killed or stopped, and the last one.
    """

    ticks: int
    seconds: float
    operations: int
    faults: int
    lives: int


class _Failures(logging.Handler):
    """Keeps what the library logs of jobs of its own that failed: none may."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg == "task.failed":
            error = record.exc_info[1] if record.exc_info else None
            self.lines.append(f"task.failed {record.__dict__.get('task')}: {error!r}")


def run(
    seed: int,
    trace: Callable[[str], object] | None = None,
    *,
    plan: Plan | None = None,
) -> Run:
    """Run one seed, with the plan that it draws unless another one is given.

    Raises:
        AssertionError: something does not hold.
    """
    plan = plan or Plan.draw(Random(f"{seed}/plan"))
    with _failures() as failures:
        watch.clear()

        async def scenario(simulation: Simulation) -> Run:
            return await _live_through(simulation, plan, failures.lines)

        policy = LoopPolicy(hold=plan.hold)
        return simulate(scenario, seed, policy=policy, trace=trace)


async def _live_through(simulation: Simulation, plan: Plan, failures: list[str]) -> Run:
    world = World(simulation, plan)
    world.trouble()
    simulation.driver.slow = plan.slow
    await world.start()
    async with asyncio.TaskGroup() as group:
        for number in range(plan.clients):
            group.create_task(world.client(f"client {number}"))
        group.create_task(_disturb(world))
    world.settling = True
    simulation.faults.heal()
    simulation.driver.slow = 0.0
    found = [*watch.overlaps, *await _settle(world)]
    found += [line for line in failures if line not in found]
    if found:
        raise Violated("\n".join(found))
    return Run(
        ticks=simulation.loop.ticks,
        seconds=simulation.loop.time(),
        operations=len(world.model.operations),
        faults=simulation.faults.injected,
        lives=world.life,
    )


async def _disturb(world: World) -> None:
    """Let the clock jump, kill the process, or stop it in order, at odd moments."""
    random = world.simulation.random
    if world.plan.taken_over:
        await asyncio.sleep(random.expovariate(2.0))
        await world.take_over()
    for seconds in world.plan.crashes:
        await asyncio.sleep(seconds)
        await world.process()
        match random.randrange(4):
            case 0:
                world.simulation.jump(random.choice((-7200.0, 3600.0)))
            case 1:
                await world.stop()
                await world.start()
            case _:
                await world.crash()


async def _settle(world: World) -> list[str]:
    """Check everything twice: as it is in memory, and as it is thawed."""
    await asyncio.sleep(10 * _QUIET if world.plan.slow else _QUIET)
    world.simulation.jump(-world.simulation.jumped)
    if await world.retire():
        await world.stop()
        await world.start()  # it owns every partition that it is asked for
    found = await _never_given_back((await world.process()).host)
    before = await all_arrived(world)
    found += world.model.check(before) + await lost_mutations(world)
    found += await world.stop()
    await world.start()
    after = await reports_of(world)
    found += [
        f"changed by a restart: {address}: {before[address]} -> {after[address]}"
        for address in before
        if before[address] != after[address]
    ]
    return found + await world.stop()


async def _never_given_back(host: Host) -> list[str]:
    """Look for connections that stay lent; a timer that is due may borrow one."""
    store = host.runtime.store
    assert isinstance(store, SqlStore)
    assert store.engines is not None
    both = (store.engines.reading, store.engines.writing)
    for _ in range(_LOOKS):
        if not any(connections.lent for connections in both):
            return []
        await asyncio.sleep(_BETWEEN_LOOKS)
    return [f"connections that nobody gives back: {both}"]


@contextmanager
def _failures() -> Generator[_Failures]:
    log = logging.getLogger("podvisor")
    handler = _Failures()
    level, propagate = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.ERROR)
    log.propagate = False
    try:
        yield handler
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        log.propagate = propagate
