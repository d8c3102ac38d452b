from __future__ import annotations

import asyncio

import anyio
import pytest

from pods.testing import Simulation, simulate
from supervision import Agent, Message, handler
from supervision.loop.completion import finish

__all__: list[str] = []


async def test_work_ends_although_the_caller_is_cancelled() -> None:
    """Row 2: the caller learns of its cancellation when the work is over."""
    done: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        done.append("work")

    task = asyncio.ensure_future(finish(work, "work"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert done == ["work"]


async def test_a_cancelled_scope_waits_without_spinning() -> None:
    """Row 2: anyio cancels again and again; the wait does not notice."""
    passes = 0

    async def work() -> int:
        nonlocal passes
        for _ in range(5):
            await asyncio.sleep(0)
            passes += 1
        return passes

    with anyio.CancelScope() as scope:
        scope.cancel()
        assert await finish(work, "work") == 5


async def test_what_the_work_raises_reaches_the_caller() -> None:
    """Row 2: an error is the caller's."""

    async def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await finish(work, "work")


class Add(Message[int]):
    pass


class Meter(Agent):
    total: int = 0

    @handler
    async def add(self, message: Add) -> int:
        self.total += 1
        await asyncio.sleep(1)
        return self.total


def test_a_cancelled_shutdown_saves_everything() -> None:
    """Row 2, A9: a second Ctrl-C does not cost what has not been saved yet."""

    async def hold(simulation: Simulation) -> None:
        async with simulation.host() as host:
            meters = host.manager("meters", Meter)
            meter = await meters.get("m", partition="acme")
            await meter.tell(Add())
            await asyncio.sleep(0.5)

    async def scenario(simulation: Simulation) -> int:
        task = asyncio.ensure_future(hold(simulation))
        await asyncio.sleep(0.6)  # it is closing, and waits for the handler
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with simulation.host() as host:
            meter = await host.manager("meters", Meter).get("m", partition="acme")
            return await meter.ask(Add())

    assert simulate(scenario, 1) == 2


def test_nobody_waits_for_an_instance_that_has_stopped() -> None:
    """Holds 2: who comes for a stopped instance gets its successor."""

    async def scenario(simulation: Simulation) -> int:
        async with simulation.host() as host:
            meters = host.manager("meters", Meter)
            await meters.get("m", partition="acme")
            (stopped,) = host.runtime.registries.instances()
            await meters.stop("m", partition="acme")
            found = await host.runtime.catalog.live(stopped)
            return found.incarnation

    assert simulate(scenario, 1) == 2
