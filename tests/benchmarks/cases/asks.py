"""Messages: an ask by one caller and by many, a tell, and what telemetry adds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

from opentelemetry.sdk.metrics import MeterProvider  # noqa: TID251  an application's side
from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # noqa: TID251
from opentelemetry.sdk.trace import TracerProvider  # noqa: TID251
from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: TID251
from opentelemetry.sdk.trace.export.in_memory_span_exporter import (  # noqa: TID251
    InMemorySpanExporter,
)

from pods import AgentRef, Durability, Host, HostPolicy, TelemetryPolicy
from tests.benchmarks.agents import Bump, BumpLater, Countdown, Counter, Tick
from tests.benchmarks.byhand import DequeActor, consumers, coroutine, echo, running
from tests.benchmarks.figures import Row, at_most
from tests.benchmarks.harness import Case, Size, Stopwatch, alternate

__all__ = ["CASES", "many_callers"]

MANY = 100
"""Callers, instances and partitions of the cases that have many."""


@contextlib.asynccontextmanager
async def counters(
    count: int, policy: HostPolicy | None = None
) -> AsyncGenerator[list[AgentRef[Counter]]]:
    """Start an instance in each of so many partitions."""
    async with Host("memory://", policy=policy) as host:
        manager = host.manager("counters", Counter, durability=Durability.NONE)
        yield [await manager.get("one", partition=f"part-{n}") for n in range(count)]


async def many_callers(
    callers: int, asks: int, ask: Callable[[int], Awaitable[object]]
) -> float:
    """Return the microseconds of an ask while so many callers each make some."""

    async def caller(number: int) -> None:
        for _ in range(asks):
            await ask(number)

    watch = Stopwatch()
    with watch:
        async with asyncio.TaskGroup() as group:
            for number in range(callers):
                group.create_task(caller(number))
    return watch.micros(callers * asks)


async def ask_sequential(size: Size) -> Sequence[Row]:
    asks, watch = size.of(10_000, 20), Stopwatch
    async with counters(1) as [ref], echo() as (there, back):

        async def ours() -> float:
            with watch() as spent:
                for _ in range(asks):
                    await ref.ask(Bump())
            return spent.micros(asks)

        async def theirs() -> float:
            with watch() as spent:
                for n in range(asks):
                    await there.put(n)
                    await back.get()
            return spent.micros(asks)

        return [
            Row(
                name="ask_sequential",
                what="ask a `def` handler, one caller",
                reference="`asyncio.Queue` there and back between two tasks",
                unit="µs",
                pairs=await alternate(ours, theirs, size),
                reach=at_most(0.4),
            )
        ]


async def ask_concurrent(size: Size) -> Sequence[Row]:
    many, asks = size.of(MANY, 3), size.of(200, 5)
    actors = [DequeActor() for _ in range(many)]
    async with counters(many) as refs:
        with running(actors):
            pairs = await alternate(
                lambda: many_callers(many, asks, lambda n: refs[n].ask(Bump())),
                lambda: many_callers(many, asks, lambda n: actors[n].ask()),
                size,
            )
    return [
        Row(
            name="ask_concurrent",
            what=f"{MANY} callers ask {MANY} instances in {MANY} partitions",
            reference="a task and a deque for each actor, by hand",
            unit="µs",
            pairs=pairs,
            reach=at_most(0.8),
        )
    ]


async def ask_async(size: Size) -> Sequence[Row]:
    asks, loop = size.of(5_000, 20), asyncio.get_running_loop()
    async with counters(1) as [ref]:

        async def ours() -> float:
            with Stopwatch() as spent:
                for _ in range(asks):
                    await ref.ask(BumpLater())
            return spent.micros(asks)

        async def theirs() -> float:
            with Stopwatch() as spent:
                for _ in range(asks):
                    await loop.create_task(coroutine())
            return spent.micros(asks)

        return [
            Row(
                name="ask_async",
                what="ask an `async def` handler that suspends once",
                reference="`create_task` and `await` of the same coroutine",
                unit="µs",
                pairs=await alternate(ours, theirs, size),
                reach=at_most(3),
            )
        ]


async def tell(size: Size) -> Sequence[Row]:
    many, each = size.of(MANY, 3), size.of(100, 5)
    async with counters(many) as refs, consumers(many) as queues:

        async def ours() -> float:
            countdown = Countdown(many * each)
            with Stopwatch() as spent:
                for _ in range(each):
                    for ref in refs:
                        await ref.tell(Tick(countdown))
                await countdown.done
            return spent.micros(many * each)

        async def theirs() -> float:
            countdown = Countdown(many * each)
            with Stopwatch() as spent:
                for _ in range(each):
                    for queue in queues:
                        await queue.put(countdown)
                await countdown.done
            return spent.micros(many * each)

        return [
            Row(
                name="tell",
                what=f"tell {MANY} instances, until it is handled",
                reference="`asyncio.Queue` one way, a task for each of them",
                unit="µs",
                pairs=await alternate(ours, theirs, size),
                reach=at_most(6),
            )
        ]


async def telemetry(size: Size) -> Sequence[Row]:
    many, asks = size.of(MANY, 3), size.of(100, 5)
    tracer = TracerProvider()
    tracer.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
    meter = MeterProvider([InMemoryMetricReader()])
    policy = HostPolicy(
        telemetry=TelemetryPolicy(
            tracer_provider=tracer, meter_provider=meter, sample=0.01
        )
    )
    async with counters(many, policy) as seen, counters(many) as unseen:
        pairs = await alternate(
            lambda: many_callers(many, asks, lambda n: seen[n].ask(Bump())),
            lambda: many_callers(many, asks, lambda n: unseen[n].ask(Bump())),
            size,
        )
    tracer.shutdown()
    meter.shutdown()
    return [
        Row(
            name="telemetry",
            what="`ask_concurrent` with the OpenTelemetry SDK, 1 % of spans sampled",
            reference="the same without the SDK",
            unit="µs",
            pairs=pairs,
            reach=at_most(1.3),
        )
    ]


CASES = (
    Case(name="ask_sequential", measure=ask_sequential),
    Case(name="ask_concurrent", measure=ask_concurrent),
    Case(name="ask_async", measure=ask_async),
    Case(name="tell", measure=tell),
    Case(name="telemetry", measure=telemetry),
)
