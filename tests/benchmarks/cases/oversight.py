"""What it costs to ask how every tenant is served."""

from __future__ import annotations

import contextlib
import tracemalloc
from collections.abc import AsyncGenerator, Callable, Sequence

from pods import Durability, Host
from tests.benchmarks.agents import Bump, BumpLater, Counter
from tests.benchmarks.figures import Row, at_most
from tests.benchmarks.harness import Case, Side, Size, Stopwatch, alternate

__all__ = ["CASES"]


@contextlib.asynccontextmanager
async def busy_host(partitions: int) -> AsyncGenerator[Host]:
    async with Host("memory://") as host:
        counters = host.manager("counters", Counter, durability=Durability.NONE)
        for number in range(partitions):
            ref = await counters.get("one", partition=f"part-{number}")
            for _ in range(10):
                await ref.ask(Bump())
            await ref.ask(BumpLater())
        yield host


async def health(size: Size) -> Sequence[Row]:
    partitions = size.of(1_000, 10)

    async def fifty() -> float:
        return 50.0

    def cost(call: Callable[[], object]) -> Side:
        async def measured() -> float:
            with Stopwatch() as spent:
                call()
            return spent.seconds * 1e3

        return measured

    async with busy_host(partitions) as host:
        calls: dict[str, Callable[[], object]] = {
            "health": host.health,
            "affected": host.affected,
        }
        rows = [
            Row(
                name=name,
                what=f"`host.{name}()` of 1,000 partitions",
                reference="fifty milliseconds",
                unit="ms",
                pairs=await alternate(cost(call), fifty, size),
                reach=at_most(1),
            )
            for name, call in calls.items()
        ]
        host.runtime.catalog.partition("part-1").counters.rejected += 1
        rows.append(
            Row(
                name="affected_one",
                what="`host.affected()` of 1,000 partitions, one of which is",
                reference="fifty milliseconds",
                unit="ms",
                pairs=await alternate(cost(host.affected), fifty, size),
                reach=at_most(1),
            )
        )
    return [*rows, await _partition_memory(partitions, size)]


async def _partition_memory(partitions: int, size: Size) -> Row:
    async def taken() -> float:
        async with Host("memory://") as host:
            tracemalloc.start()
            before, _ = tracemalloc.get_traced_memory()
            for number in range(partitions):
                host.runtime.catalog.partition(f"idle-{number}")
            after, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        return (after - before) / partitions

    async def one_byte() -> float:
        return 1.0

    return Row(
        name="partition_memory",
        what="what the host keeps of a partition that has done nothing yet",
        reference="one byte",
        unit="B",
        pairs=await alternate(taken, one_byte, size.with_warm_up(0)),
    )


CASES = (Case(name="health", measure=health),)
