from __future__ import annotations

import asyncio
import threading

import anyio
import attrs
import pytest

from supervision import Agent, AgentRef, HandlerTime, Host, Message, handler
from supervision.monitoring.metrics import OTHER
from tests.supervision.sinks import Sink
from tests.support import Declined, ManualClock, answer, eventually

__all__: list[str] = []


class Work(Message[None]):
    """Let the clock go on while the handler holds the loop."""

    clock: ManualClock
    seconds: float = 0.01
    fail: bool = False


class WorkLater(Message[None]):
    """The same in two steps, with a wait between them."""

    clock: ManualClock
    entered: asyncio.Event = attrs.field(factory=asyncio.Event)
    gate: asyncio.Event = attrs.field(factory=asyncio.Event)


class Delegate(Message[None]):
    """Work, let another one work, work again."""

    clock: ManualClock
    seconds: float = 0.03


class Probe(Message[list[str]]):
    """Try what a task can do."""


class Worker(Agent):
    @handler(raises=(Declined,))
    def work(self, message: Work) -> None:
        message.clock.advance(message.seconds)
        if message.fail:
            raise Declined("no")

    @handler
    async def work_later(self, message: WorkLater) -> None:
        message.clock.advance(0.01)
        message.entered.set()
        await message.gate.wait()
        message.clock.advance(0.02)

    @handler
    async def delegate(self, message: Delegate) -> None:
        helper = self.context.ref("workers", "helper")
        assert isinstance(helper, AgentRef)
        message.clock.advance(0.01)
        await helper.ask(Work(message.clock, message.seconds))
        message.clock.advance(0.01)

    @handler
    async def probe(self, message: Probe) -> list[str]:
        return [
            await _timeout(),
            await _scope(),
            await _group(),
            await _shielded(),
            await _thread(),
            await _cancelled(),
        ]


async def _timeout() -> str:
    try:
        async with asyncio.timeout(0):
            await asyncio.Event().wait()
    except TimeoutError:
        return "timeout"
    return "no timeout"


async def _scope() -> str:
    with anyio.move_on_after(0) as scope:
        await anyio.Event().wait()
    return "scope" if scope.cancelled_caught else "no scope"


async def _group() -> str:
    seen: list[asyncio.Task[object] | None] = []

    async def note() -> None:
        seen.append(asyncio.current_task())

    async with anyio.create_task_group() as group:
        group.start_soon(note)
    async with asyncio.TaskGroup() as other:
        other.create_task(note())
    return "groups" if len({*seen, asyncio.current_task(), None}) == 4 else "no groups"


async def _shielded() -> str:
    with anyio.CancelScope(shield=True):
        await anyio.lowlevel.checkpoint()
    return "shield"


async def _thread() -> str:
    here = threading.get_ident()
    there = await anyio.to_thread.run_sync(threading.get_ident)
    return "thread" if here != there else "no thread"


async def _cancelled() -> str:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        task.uncancel()
        return "cancelled"
    return "not cancelled"


def _times(host: Host, partition: str = "acme") -> dict[str, HandlerTime]:
    return {t.handler: t for t in host.loop_times(partition=partition)}


async def test_the_time_of_a_handler_is_counted_by_partition_and_name(
    host: Host, clock: ManualClock
) -> None:
    """O13: loop seconds are metered, and nobody pays for another one."""
    workers = host.manager("workers", Worker)
    mine = await workers.get("one", partition="acme")
    other = await workers.get("one", partition="umbrella")

    await mine.ask(Work(clock, 0.01))
    await mine.tell(Work(clock, 0.03))
    await other.ask(Work(clock, 0.005))
    await eventually(lambda: _times(host)["Worker.work"].steps == 2)

    (time,) = host.loop_times(partition="acme")
    assert (time.manager, time.handler, time.steps) == ("workers", "Worker.work", 2)
    assert round(time.seconds, 6) == 0.04
    assert round(time.longest, 6) == 0.03
    assert round(_times(host, "umbrella")["Worker.work"].seconds, 6) == 0.005
    assert host.loop_times(partition="nobody") == ()
    assert round(host.runtime.partitions["acme"].loop_seconds(), 6) == 0.04


async def test_a_step_that_fails_is_paid_for(host: Host, clock: ManualClock) -> None:
    """O13: raising is no way to work for nothing."""
    ref = await host.manager("workers", Worker).get("one", partition="acme")

    error = await answer(ref.ask(Work(clock, 0.02, fail=True)))

    assert isinstance(error, Declined)
    assert round(_times(host)["Worker.work"].seconds, 6) == 0.02


async def test_waiting_is_not_working(host: Host, clock: ManualClock) -> None:
    """O13: of an ``async def`` handler, the steps between its waits are counted."""
    ref = await host.manager("workers", Worker).get("one", partition="acme")
    work = WorkLater(clock)

    async with asyncio.TaskGroup() as group:
        asked = group.create_task(ref.ask(work))
        await work.entered.wait()
        clock.advance(5)
        work.gate.set()
        await asked

    time = _times(host)["Worker.work_later"]
    assert (time.steps, round(time.seconds, 6)) == (2, 0.03)


async def test_a_handler_that_runs_inside_another_pays_for_itself(
    host: Host, clock: ManualClock
) -> None:
    """O13: an ask that is answered on the spot is not charged to the asker."""
    workers = host.manager("workers", Worker)
    await workers.get("helper", partition="acme")
    ref = await workers.get("one", partition="acme")

    await ref.ask(Delegate(clock))

    times = _times(host)
    assert round(times["Worker.delegate"].seconds, 6) == 0.02
    assert round(times["Worker.work"].seconds, 6) == 0.03
    assert round(host.runtime.partitions["acme"].loop_seconds(), 6) == 0.05
    assert host.runtime.meter.running is None


async def test_a_metered_handler_is_an_ordinary_task(host: Host) -> None:
    """O13: timeouts, scopes, groups, threads, cancellation: nothing is different."""
    ref = await host.manager("workers", Worker).get("one", partition="acme")

    found = await ref.ask(Probe())

    assert found == ["timeout", "scope", "groups", "shield", "thread", "cancelled"]


async def test_a_step_that_is_long_by_what_it_asks_is_a_block_of_its_own(
    host: Host, clock: ManualClock
) -> None:
    """O13: neither is long by itself, and yet nobody else gets to run."""
    workers = host.manager("workers", Worker)
    await workers.get("helper", partition="acme")
    ref = await workers.get("one", partition="acme")

    await ref.ask(Delegate(clock, 0.04))

    times = _times(host)
    assert times["Worker.delegate"].blocks == 1
    assert times["Worker.work"].blocks == 0


async def test_a_block_inside_another_handler_is_told_of_once(
    host: Host, clock: ManualClock
) -> None:
    """O13: of two that hold the loop at a time, the one that works is to blame."""

    class Nest(Message[None]):
        pass

    class Outer(Agent):
        @handler
        async def nest(self, message: Nest) -> None:
            helper = self.context.ref("workers", "helper")
            assert isinstance(helper, AgentRef)
            await helper.ask(Work(clock, 0.2))

    workers = host.manager("workers", Worker)
    await workers.get("helper", partition="acme")
    ref = await host.manager("outers", Outer).get("one", partition="acme")

    await ref.ask(Nest())
    await ref.ask(Nest())

    blocks = {t.manager: t.blocks for t in host.loop_times(partition="acme")}
    assert blocks == {"workers": 2, "outers": 0}
    assert host.runtime.partitions["acme"].counters.blocks == 2


async def test_the_time_of_handlers_is_exported_by_name_and_in_full() -> None:
    """O13, G13: beyond the top, handlers keep their names and totals stay true."""
    clock, sink = ManualClock(), Sink()
    async with Host("memory://", clock=clock, policy=sink.policy(top=2)) as host:
        workers = host.manager("workers", Worker)
        for partition in ("a", "b", "c", "d"):
            ref = await workers.get("one", partition=partition)
            await ref.ask(Work(clock, 0.01))

        by_handler = sink.values("podvisor.handler.loop.time")
        by_partition = sink.values("podvisor.loop.time")

    due = pytest.approx({"a": 0.01, "b": 0.01, OTHER: 0.02})
    assert by_handler == due
    assert by_partition == due
