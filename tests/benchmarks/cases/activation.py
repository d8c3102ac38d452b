"""How long it takes until a fresh key has answered for the first time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pods import Durability, Host
from tests.benchmarks.agents import Bump, Counter
from tests.benchmarks.byhand import QueueActor
from tests.benchmarks.figures import Row, at_most
from tests.benchmarks.harness import Case, Size, Stopwatch, alternate

__all__ = ["CASES"]

PARTITIONS = 100


async def activate(size: Size) -> Sequence[Row]:
    keys = size.of(10_000, 20)

    async def ours() -> float:
        async with Host("memory://") as host:
            manager = host.manager("counters", Counter, durability=Durability.NONE)
            with Stopwatch() as spent:
                for n in range(keys):
                    ref = await manager.get(f"k{n}", partition=f"p{n % PARTITIONS}")
                    await ref.ask(Bump())
        return spent.micros(keys)

    async def theirs() -> float:
        loop = asyncio.get_running_loop()
        tasks: list[asyncio.Task[None]] = []
        with Stopwatch() as spent:
            for _ in range(keys):
                actor = QueueActor()
                tasks.append(loop.create_task(actor.serve()))
                await actor.ask()
        for task in tasks:
            task.cancel()
        await asyncio.sleep(0)
        return spent.micros(keys)

    return [
        Row(
            name="activate",
            what="a fresh key, get and ask; 10,000 over 100 partitions",
            reference="a task and an `asyncio.Queue` for an actor, and a first message",
            unit="µs",
            pairs=await alternate(ours, theirs, size),
            reach=at_most(0.3),
        )
    ]


CASES = (Case(name="activate", measure=activate),)
