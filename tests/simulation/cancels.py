"""Every public operation, cancelled in every pass of the loop that it takes."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TypeAlias

import anyio
import attrs

from persistence.sqlite.store import SqlStore
from pods import Host, PodRef, StoreError, add_node, lazy, remove_node
from pods.testing import LoopPolicy, Simulation, simulate

from .agents import Do, DoSlowly, Fail, Ledger, Read, Team
from .plan import Plan
from .process import PATIENCE, Process

__all__ = ["OPERATIONS", "STYLES", "cancel_everywhere", "cancel_host_everywhere"]

Operation: TypeAlias = Callable[["Stage"], Coroutine[object, object, object]]

STYLES = ("task", "scope")
MOST = 1_000
CALM = Plan(
    clients=0,
    steps=0,
    partitions=("acme",),
    keys=("k",),
    taken_over=False,
    fault_rate=0.0,
    kinds=(),
    slow=0.0,
    hold=0.0,
    crashes=(),
    idle=None,
    mailbox=1_000,
    impatience=0.0,
)


@attrs.define(eq=False)
class Stage:
    """One host, and the key of the point that is looked at."""

    simulation: Simulation
    process: Process
    key: str = ""

    async def pod(self) -> PodRef[Team]:
        """Return the pod of this point."""
        return await Team.get(self.process.teams, self.key, partition="acme")


# What is done before a point, and what is cancelled in it.


async def _nothing(_: Stage) -> None:
    """Leave the key as it is: fresh."""


async def _ask(stage: Stage) -> None:
    ref = await stage.process.ledgers.get(stage.key, partition="acme")
    await ref.ask(Do("before"))


async def _hibernate(stage: Stage) -> None:
    await _ask(stage)
    await stage.process.ledgers.stop(stage.key, partition="acme")


async def _quarantine(stage: Stage) -> None:
    ref = await stage.process.ledgers.get(stage.key, partition="acme")
    while not await stage.process.ledgers.quarantined(partition="acme"):
        await _fail(ref.ask(Fail("x", crash=True)))


async def _fail(call: Awaitable[object]) -> None:
    try:
        await call
    except (RuntimeError, StoreError):
        return


async def _pod(stage: Stage) -> None:
    await stage.pod()


async def _grown_pod(stage: Stage) -> None:
    pod = await stage.pod()
    await pod.mutate([add_node("extra", lazy(Ledger, manager="ledgers"))])


async def _get(stage: Stage) -> None:
    await stage.process.ledgers.get(stage.key, partition="acme")


async def _do(stage: Stage) -> None:
    ref = await stage.process.ledgers.get(stage.key, partition="acme")
    await ref.ask(Do("op"))


async def _do_slowly(stage: Stage) -> None:
    ref = await stage.process.ledgers.get(stage.key, partition="acme")
    await ref.ask(DoSlowly("op", 0.01))


async def _tell(stage: Stage) -> None:
    ref = await stage.process.ledgers.get(stage.key, partition="acme")
    await ref.tell(Do("op"))


async def _stop(stage: Stage) -> None:
    await stage.process.ledgers.stop(stage.key, partition="acme")


async def _list(stage: Stage) -> None:
    await stage.process.ledgers.keys(partition="acme")
    await stage.process.ledgers.stats(partition="acme")
    await stage.process.ledgers.quarantined(partition="other")
    await stage.process.host.partitions()


async def _release(stage: Stage) -> None:
    await stage.process.ledgers.release(
        stage.key, partition="acme", actor="test", reason="test"
    )


async def _ensure(stage: Stage) -> None:
    await (await stage.pod()).ensure_node(Team.aide)


async def _add(stage: Stage) -> None:
    pod = await stage.pod()
    await pod.mutate([add_node("extra", lazy(Ledger, manager="ledgers"))])


async def _remove(stage: Stage) -> None:
    await (await stage.pod()).mutate([remove_node("extra")])


async def _look(stage: Stage) -> None:
    pod = await stage.pod()
    await pod.nodes()
    await pod.topology()
    await pod.reconcile()
    await pod.report()


async def _stop_pod(stage: Stage) -> None:
    await (await stage.pod()).stop()


OPERATIONS: dict[str, tuple[Operation, Operation]] = {
    "get": (_nothing, _get),
    "get, thawing": (_hibernate, _get),
    "ask": (_ask, _do),
    "ask, starting": (_nothing, _do),
    "ask, thawing": (_hibernate, _do),
    "ask, slowly": (_ask, _do_slowly),
    "tell": (_nothing, _tell),
    "stop": (_ask, _stop),
    "list": (_ask, _list),
    "release": (_quarantine, _release),
    "pod": (_nothing, _pod),
    "ensure_node": (_pod, _ensure),
    "ensure_node, starting": (_nothing, _ensure),
    "mutate, adding": (_pod, _add),
    "mutate, removing": (_grown_pod, _remove),
    "look at a pod": (_pod, _look),
    "stop a pod": (_pod, _stop_pod),
}
"""By name: what prepares the key, and what is cancelled."""


def cancel_everywhere(name: str, style: str, step: int = 1, first: int = 0) -> int:
    """Cancel an operation in every ``step``-th pass it takes; count the points.

    Raises:
        AssertionError: something leaked, half a turn was saved, or it is wedged.
    """
    prepare, operation = OPERATIONS[name]

    async def scenario(simulation: Simulation) -> int:
        async with simulation.host() as host:
            stage = Stage(simulation, Process.of(host, CALM))
            await asyncio.sleep(1)  # every task of the host has begun
            for point, passes in enumerate(range(first, MOST, step)):
                stage.key = f"k{passes}"
                await prepare(stage)
                before = len(_tasks())
                work = functools.partial(operation, stage)
                if not await _cancel(simulation, work, passes, style):
                    return point
                await _check(stage, before, f"{name}, {style}, pass {passes}")
        raise AssertionError(f"{name} has not ended after {MOST} passes")

    return simulate(scenario, 1, policy=LoopPolicy(max_ticks=1_000_000))


async def _cancel(
    simulation: Simulation,
    work: Callable[[], Coroutine[object, object, object]],
    passes: int,
    style: str,
) -> bool:
    """Cancel work after some passes; say whether it had not ended before."""
    loop = simulation.loop
    scope = anyio.CancelScope()
    hit = False

    async def begin() -> None:
        with scope:
            await work()

    task = loop.create_task(begin())

    def cancel() -> None:
        nonlocal hit
        hit = not task.done()
        if style == "task":
            task.cancel()
        else:
            scope.cancel()

    loop.at_tick(loop.ticks + passes + 1, cancel)
    await asyncio.wait((task,))
    if not task.cancelled():
        task.result()
    return hit


def _tasks() -> list[str]:
    """Name the tasks that are; the storage hires a few when it has more to do."""
    names = (task.get_name() for task in asyncio.all_tasks())
    return sorted(name for name in names if name != "podvisor-stream")


async def _check(stage: Stage, tasks_before: int, where: str) -> None:
    """Hold the state of a point against what must be true after any cancellation."""
    await asyncio.sleep(1)
    process = stage.process
    for marked in await process.ledgers.quarantined(partition="acme"):
        key = marked.address.key
        await process.ledgers.release(key, partition="acme", actor="t", reason="t")
    ref = await process.ledgers.get(stage.key, partition="acme")
    await ref.ask(Do("after"), timeout=PATIENCE)
    report = await ref.ask(Read(), timeout=PATIENCE)
    assert report.count == report.checked == len(report.entries), (where, report)
    assert report.entries[-1] == "after", (where, report)
    pod = await stage.pod()
    await pod.ask(Do("after"), timeout=PATIENCE)
    assert await pod.mutate([]) is not None
    await pod.stop()
    await process.ledgers.stop(stage.key, partition="acme")
    await asyncio.sleep(1)
    _check_leaks(process.host, where)
    idle = len(process.host.runtime.workers)
    names = _tasks()
    assert len(names) <= tasks_before + idle, (where, names)


def _check_leaks(host: Host, where: str) -> None:
    live = [str(one) for one in host.runtime.registries.instances()]
    assert not live, (where, live)
    store = host.runtime.store
    assert isinstance(store, SqlStore)
    assert store.engines is not None
    for connections in (store.engines.reading, store.engines.writing):
        assert connections.lent == 0, where


def cancel_host_everywhere(style: str, step: int = 1) -> int:
    """Cancel the opening, the work and the closing of a host; count the points."""
    for point, passes in enumerate(range(0, MOST, step)):

        async def scenario(simulation: Simulation, passes: int = passes) -> bool:
            work = functools.partial(_live, simulation)
            hit = await _cancel(simulation, work, passes, style)
            async with _opened(simulation) as process:
                ref = await process.ledgers.get("k", partition="acme")
                report = await ref.ask(Read(), timeout=PATIENCE)
                assert report.count == report.checked == len(report.entries)
            return hit

        if not simulate(scenario, 1):
            return point
    raise AssertionError(f"a host has not ended after {MOST} passes")


@asynccontextmanager
async def _opened(simulation: Simulation) -> AsyncGenerator[Process]:
    host = simulation.host()
    process = Process.of(host, CALM)
    async with host:
        yield process


async def _live(simulation: Simulation) -> None:
    async with _opened(simulation) as process:
        ref = await process.ledgers.get("k", partition="acme")
        await ref.ask(Do("op"))
