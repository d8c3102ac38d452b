"""The dispatcher: a decision, what fairness adds, and what it is good for."""

from __future__ import annotations

import asyncio
import contextlib
import random
import statistics
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import TypeAlias
from unittest import mock

from supervision import (
    Agent,
    AgentRef,
    DispatchPolicy,
    Durability,
    Host,
    HostPolicy,
    Message,
    Share,
    handler,
)
from supervision.fairness.account import Ticket
from supervision.fairness.queue import FairQueue
from tests.benchmarks.agents import Bump, BumpLater, Countdown, Counter
from tests.benchmarks.figures import Row, at_most
from tests.benchmarks.harness import Case, Size, Stopwatch, alternate
from tests.benchmarks.rounds import Rotation

__all__ = ["CASES"]

SEATS = 100


# What a decision costs.


class Backlog:
    """A queue in which every partition has something waiting; all seats are held."""

    def __init__(self, partitions: int, queued: int) -> None:
        self._dice = random.Random(1)
        self._queue: FairQueue[int] = FairQueue(
            DispatchPolicy(seats=SEATS, share=Share(cap=20))
        )
        self._names = [f"partition-{n}" for n in range(partitions)]
        self._entered = 0
        self._now = 0.0
        self._enter(queued)
        self._running: list[Ticket[int]] = []
        while (ticket := self._queue.pick(self._now)) is not None:
            self._running.append(ticket)

    def _enter(self, count: int) -> None:
        for n in range(self._entered, self._entered + count):
            name = self._names[n % len(self._names)]
            account = self._queue.account(name, self._now)
            self._queue.enter(account, n, self._now)
        self._entered += count

    async def decide(self, turns: int) -> float:
        """Return the microseconds of a completion and the dispatch that follows it."""
        self._enter(turns)
        steps = [self._dice.expovariate(SEATS / 0.002) for _ in range(turns)]
        with Stopwatch() as spent:
            for n, step in enumerate(steps):
                self._now += step
                self._queue.complete(self._running[n % SEATS], self._now)
                ticket = self._queue.pick(self._now)
                assert ticket is not None
                self._running[n % SEATS] = ticket
        return spent.micros(turns)


async def dispatch(size: Size) -> Sequence[Row]:
    turns, queued = size.of(20_000, 200), size.of(100_000, 2_000)
    few = Backlog(size.of(1_000, 150), queued)
    many = Backlog(size.of(10_000, 300), queued)

    async def ten() -> float:
        return 10.0

    return [
        Row(
            name="dispatch",
            what="a decision, 1,000 partitions, 100,000 messages queued",
            reference="ten microseconds",
            unit="µs",
            pairs=await alternate(lambda: few.decide(turns), ten, size),
            reach=at_most(1),
        ),
        Row(
            name="dispatch_growth",
            what="a decision, 10,000 partitions, 100,000 messages queued",
            reference="the same with 1,000 partitions",
            unit="µs",
            pairs=await alternate(
                lambda: many.decide(turns), lambda: few.decide(turns), size
            ),
            reach=at_most(2.5),
        ),
    ]


# What an ask costs a single tenant.


@contextlib.asynccontextmanager
async def single_tenant(dispatcher: type | None) -> AsyncGenerator[AgentRef[Counter]]:
    """Start one instance on a host, with another dispatcher if one is given."""
    with contextlib.ExitStack() as stack:
        if dispatcher is not None:
            patch = mock.patch("supervision.host.runtime.Dispatcher", dispatcher)
            stack.enter_context(patch)
        host = Host("memory://")
    async with host:
        counters = host.manager("counters", Counter, durability=Durability.NONE)
        yield await counters.get("one", partition="acme")


async def fairness(size: Size) -> Sequence[Row]:
    return [
        await _fairness("fairness", "inline", Bump(), size.of(10_000, 20), size),
        await _fairness(
            "fairness_queued", "queued", BumpLater(), size.of(3_000, 20), size
        ),
    ]


async def _fairness(
    name: str, how: str, message: Message[int], asks: int, size: Size
) -> Row:
    async def ask(ref: AgentRef[Counter]) -> float:
        with Stopwatch() as spent:
            for _ in range(asks):
                await ref.ask(message)
        return spent.micros(asks)

    async with single_tenant(None) as fair, single_tenant(Rotation) as plain:
        pairs = await alternate(lambda: ask(fair), lambda: ask(plain), size)
    return Row(
        name=name,
        what=f"an ask of a single tenant, {how}, dispatched fairly",
        reference="the same with a plain rotation, uncharged",
        unit="µs",
        pairs=pairs,
        reach=at_most(1.15),
    )


# A flood beside light partitions, on the real loop.

TURN, PAUSE = 0.002, 0.001


Clock: TypeAlias = Callable[[], float]


class Work(Message[None]):
    """Hold a seat for a while, and say how long it took to get it.

    A flood that computes leaves the process no time to wait, so what others wait is
    told by the process's own time: a busy machine adds nothing to it.
    """

    sent: float
    waits: list[float]
    countdown: Countdown
    waiting: float = 0.0
    computing: float = 0.0
    clock: Clock = time.perf_counter


class Worker(Agent):
    @handler
    async def work(self, message: Work) -> None:
        await use(message)


async def use(message: Work) -> None:
    began = message.clock()
    message.waits.append(began - message.sent)
    while message.clock() < began + message.computing:
        pass
    if message.waiting:
        await asyncio.sleep(message.waiting)
    message.countdown.tick()


async def flood(size: Size) -> Sequence[Row]:
    heavy, light = size.of(5_000, 100), size.of(199, 10)
    computing = size.of(1_000, 20)

    async def one_step() -> float:
        return TURN * 1_000

    return [
        Row(
            name="flood",
            what="what 199 light tenants wait beside a flood of 5,000 turns, p99",
            reference="a semaphore of as many seats, first come, first served",
            unit="ms",
            pairs=await alternate(
                lambda: fair_turns(heavy, light, waiting=TURN),
                lambda: one_semaphore(heavy, light),
                size.with_warm_up(0),
            ),
            reach=at_most(0.05),
        ),
        Row(
            name="flood_computing",
            what="the same beside 1,000 turns that compute for 2 ms each, p99",
            reference="one such step, which nothing interrupts",
            unit="ms",
            pairs=await alternate(
                lambda: fair_turns(
                    computing, light, computing=TURN, clock=time.process_time
                ),
                one_step,
                size.with_warm_up(0),
            ),
            reach=at_most(4),
        ),
    ]


async def one_semaphore(heavy: int, light: int) -> float:
    """Return what light turns waited behind a flood, in milliseconds: all are alike."""
    gate = asyncio.Semaphore(SEATS)
    done, waits = Countdown(heavy + light), list[float]()

    async def turn(message: Work) -> None:
        async with gate:
            await use(message)

    async with asyncio.TaskGroup() as group:
        for _ in range(heavy):
            group.create_task(turn(Work(time.perf_counter(), [], done, TURN)))
        for _ in range(light):
            await asyncio.sleep(PAUSE)
            group.create_task(turn(Work(time.perf_counter(), waits, done)))
    return p99(waits)


async def fair_turns(
    heavy: int,
    light: int,
    *,
    waiting: float = 0.0,
    computing: float = 0.0,
    clock: Clock = time.perf_counter,
) -> float:
    """Return the same with a host: each light turn is of another partition."""
    dispatch = DispatchPolicy(seats=SEATS, share=Share(cap=SEATS), inline=0)
    done, waits = Countdown(heavy + light), list[float]()
    async with Host("memory://", policy=HostPolicy(dispatch=dispatch)) as host:
        workers = host.manager("workers", Worker, durability=Durability.NONE)
        others = [await workers.get("k", partition=f"light-{n}") for n in range(light)]
        hog = [await workers.get(f"k{n}", partition="hog") for n in range(heavy)]
        for ref in hog:
            await ref.tell(Work(clock(), [], done, waiting, computing, clock))
        for ref in others:
            await asyncio.sleep(PAUSE)
            await ref.tell(Work(clock(), waits, done, clock=clock))
        await done.done
    return p99(waits)


def p99(waits: Sequence[float]) -> float:
    return statistics.quantiles(waits, n=100)[98] * 1_000


CASES = (
    Case(name="dispatch", measure=dispatch),
    Case(name="fairness", measure=fairness),
    Case(name="flood", measure=flood),
)
