"""Figures of the dispatcher; ``python -m tests.benchmarks.dispatch``, some minutes.

Both sides of a comparison take turns in one run, since the machine may be busy.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Generator
from unittest import mock

import supervision.runtime
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
from supervision.accounts import Ticket
from supervision.dispatcher import Dispatcher
from supervision.fairness import FairQueue
from tests.benchmarks.rounds import Rotation

__all__: list[str] = []

SEATS = 100


# What a decision costs.


def decision_cost(partitions: int, queued: int, turns: int) -> float:
    """Return the microseconds of CPU time per dispatch and completion."""
    dice = random.Random(1)
    policy = DispatchPolicy(seats=SEATS, share=Share(cap=20))
    queue: FairQueue[int] = FairQueue(policy)
    names = [f"partition-{n}" for n in range(partitions)]
    for n in range(queued + turns):
        queue.enter(queue.account(names[n % partitions], 0.0), n, 0.0)
    steps = [dice.expovariate(1 / 0.002) / SEATS for _ in range(turns)]
    now = 0.0
    running: list[Ticket[int]] = []
    while (ticket := queue.pick(now)) is not None:
        running.append(ticket)
    best = float("inf")
    with no_collections():
        for start in range(0, turns - 1_000, 1_000):
            began = time.process_time()
            for n in range(start, start + 1_000):
                now += steps[n]
                queue.complete(running[n % SEATS], now)
                ticket = queue.pick(now)
                assert ticket is not None
                running[n % SEATS] = ticket
            best = min(best, (time.process_time() - began) / 1_000)
    return best * 1e6


@contextlib.contextmanager
def no_collections() -> Generator[None]:
    """Keep the garbage collector out of what is measured."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


# What an ask costs a single tenant.


class Inc(Message[int]):
    pass


class IncLater(Message[int]):
    pass


class Counter(Agent):
    n: int = 0

    @handler
    def inc(self, message: Inc) -> int:
        self.n += 1
        return self.n

    @handler
    async def inc_later(self, message: IncLater) -> int:
        self.n += 1
        return self.n


@contextlib.asynccontextmanager
async def single_tenant(dispatcher: type) -> AsyncGenerator[AgentRef[Counter]]:
    with mock.patch.object(supervision.runtime, "Dispatcher", dispatcher):
        host = Host("memory://")
    async with host:
        counters = host.manager("counters", Counter, durability=Durability.NONE)
        yield await counters.get("one", partition="acme")


async def ask_cost(message: Message[int], asks: int, rounds: int) -> dict[str, float]:
    """Return the microseconds of CPU time per ask, by dispatcher; the best batches."""
    sides: dict[str, type] = {"fair": Dispatcher, "rotation": Rotation}
    found: dict[str, list[float]] = {name: [] for name in sides}
    async with contextlib.AsyncExitStack() as stack:
        refs = {
            name: await stack.enter_async_context(single_tenant(side))
            for name, side in sides.items()
        }
        with no_collections():
            for _ in range(rounds):
                for name, ref in refs.items():
                    began = time.process_time()
                    for _ in range(asks):
                        await ref.ask(message)
                    spent = time.process_time() - began
                    found[name].append(spent / asks * 1e6)
    return {name: min(times) for name, times in found.items()}


# A flood beside light partitions, on the real loop.

FLOOD, LIGHT, TURN, PAUSE = 5_000, 199, 0.002, 0.001


class Work(Message[None]):
    """Hold a seat for a while, and say how long it took to get it."""

    sent: float
    waits: list[float]
    waiting: float = 0.0
    computing: float = 0.0


class Worker(Agent):
    @handler
    async def work(self, message: Work) -> None:
        await use(message)


async def use(message: Work) -> None:
    now = time.perf_counter()
    message.waits.append(now - message.sent)
    if message.waiting:
        await asyncio.sleep(message.waiting)
    while time.perf_counter() < now + message.computing:
        pass


async def one_semaphore() -> list[float]:
    """Return what light turns waited behind a flood, in milliseconds: all are alike."""
    gate = asyncio.Semaphore(SEATS)

    async def turn(message: Work) -> None:
        async with gate:
            await use(message)

    waits: list[float] = []
    async with asyncio.TaskGroup() as group:
        for _ in range(FLOOD):
            group.create_task(turn(Work(time.perf_counter(), [], TURN)))
        for _ in range(LIGHT):
            await asyncio.sleep(PAUSE)
            group.create_task(turn(Work(time.perf_counter(), waits)))
    return [wait * 1_000 for wait in waits]


async def fair_turns(*, waiting: float = 0.0, computing: float = 0.0) -> list[float]:
    """Return the same with a host: each light turn is of another partition."""
    dispatch = DispatchPolicy(seats=SEATS, share=Share(cap=SEATS), inline=0)
    waits: list[float] = []
    ignored: list[float] = []
    async with Host("memory://", policy=HostPolicy(dispatch=dispatch)) as host:
        workers = host.manager("workers", Worker, durability=Durability.NONE)
        light = [await workers.get("k", partition=f"light-{n}") for n in range(LIGHT)]
        hog = [await workers.get(f"k{n}", partition="hog") for n in range(FLOOD)]
        for ref in hog:
            now = time.perf_counter()
            await ref.tell(Work(now, ignored, waiting, computing))
        for ref in light:
            await asyncio.sleep(PAUSE)
            await ref.tell(Work(time.perf_counter(), waits))
        while len(waits) < LIGHT or len(ignored) < FLOOD:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return [wait * 1_000 for wait in waits]


def p99(waits: list[float]) -> float:
    return statistics.quantiles(waits, n=100)[98]


def main() -> None:
    small = min(decision_cost(1_000, 100_000, 50_000) for _ in range(3))
    large = min(decision_cost(10_000, 100_000, 50_000) for _ in range(3))
    show("decision, 1,000 partitions, 100,000 queued", small, "us", "<= 10")
    show("decision, 10,000 partitions", large, "us", "<= 2.5 times")
    show("ratio", large / small, "", "<= 2.5")
    for name, message, asks in (("inline", Inc(), 390), ("queued", IncLater(), 100)):
        cost = asyncio.run(ask_cost(message, asks, 200))
        show(f"ask, {name}, rotation", cost["rotation"], "us", "")
        show(f"ask, {name}, fair", cost["fair"], "us", "")
        show("ratio", cost["fair"] / cost["rotation"], "", "<= 1.15")
    shared = p99(asyncio.run(one_semaphore()))
    fair = p99(asyncio.run(fair_turns(waiting=TURN)))
    computing = p99(asyncio.run(fair_turns(computing=TURN)))
    show("flood that waits, light p99, semaphore", shared, "ms", "")
    show("flood that waits, light p99, fair", fair, "ms", "<= 8")
    show("ratio", shared / fair, "", ">= 20")
    show("flood that computes, light p99, fair", computing, "ms", "")


def show(what: str, value: float, unit: str, gate: str) -> None:
    sys.stdout.write(f"{what:<45}{value:>10.2f} {unit:<3} {gate}\n")


if __name__ == "__main__":
    main()
