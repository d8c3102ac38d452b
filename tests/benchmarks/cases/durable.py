"""What is stored: many askers who share commits, one asker, and instances that thaw.

Neither side is pinned: podvisor's writer has a thread beside the loop, and the disk is
the machine's.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from pods import AgentRef, Host, InstanceManager
from tests.benchmarks.agents import Bump, Counter
from tests.benchmarks.figures import Row, at_least, at_most
from tests.benchmarks.harness import Case, Size, Stopwatch, alternate
from tests.benchmarks.rawsqlite import RawTable, payload_of, raw_table

__all__ = ["CASES"]

MANY = 100


class Stage:
    """A host on a file with instances that are stored, and a raw table beside it."""

    def __init__(
        self,
        host: Host,
        manager: InstanceManager[Counter],
        refs: Sequence[AgentRef[Counter]],
        raw: RawTable,
        payload: int,
    ) -> None:
        self.host = host
        self.manager = manager
        self.refs = refs
        self.raw = raw
        self.payload = payload
        self.batch = 1

    async def ask_all(self, times: int) -> None:
        """Let each instance be asked so often, all at once."""

        async def caller(ref: AgentRef[Counter]) -> None:
            for _ in range(times):
                await ref.ask(Bump())

        before = self.host.runtime.writer.statistics()
        async with asyncio.TaskGroup() as group:
            for ref in self.refs:
                group.create_task(caller(ref))
        after = self.host.runtime.writer.statistics()
        commits = after.transactions - before.transactions
        self.batch = max(1, round((after.committed - before.committed) / commits))


@contextlib.asynccontextmanager
async def stage(instances: int, partitions: int) -> AsyncGenerator[Stage]:
    """Set both sides up on the same disk."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "podvisor.db"
        async with counters_on(file) as (_, manager):
            await (await manager.get("k0", partition="p0")).ask(Bump())
        payload = payload_of(file)
        async with counters_on(file) as (host, manager):
            refs = [
                await manager.get(f"k{n}", partition=f"p{n % partitions}")
                for n in range(instances)
            ]
            with raw_table(Path(folder) / "raw.db", instances, payload) as raw:
                found = Stage(host, manager, refs, raw, payload)
                await found.ask_all(1)
                yield found


@contextlib.asynccontextmanager
async def counters_on(
    file: Path,
) -> AsyncGenerator[tuple[Host, InstanceManager[Counter]]]:
    async with Host(f"sqlite+aiosqlite:///{file}") as host:
        yield host, host.manager("counters", Counter)


async def durable_ask(size: Size) -> Sequence[Row]:
    many, times = size.of(MANY, 5), size.of(20, 2)
    rows = many * times
    batches: list[int] = []
    async with stage(many, many) as both:

        async def ours() -> float:
            with Stopwatch(time.perf_counter) as spent:
                await both.ask_all(times)
            batches.append(both.batch)
            return spent.rate(rows)

        async def theirs() -> float:
            with Stopwatch(time.perf_counter) as spent:
                both.raw.save(rows, both.batch)
            return spent.rate(rows)

        pairs = await alternate(ours, theirs, size)
    return [
        Row(
            name="durable_ask",
            what=f"{MANY} callers, each reply after its commit",
            reference="sqlite3 `executemany`, as many rows in a transaction",
            unit="rows/s",
            pairs=pairs,
            reach=at_least(0.35),
            note=f"{min(batches)} to {max(batches)} rows in a transaction, "
            f"{both.payload} bytes each",
        )
    ]


async def durable_ask_single(size: Size) -> Sequence[Row]:
    asks = size.of(100, 3)
    async with stage(1, 1) as both:
        [ref] = both.refs

        async def ours() -> float:
            with Stopwatch(time.perf_counter) as spent:
                for _ in range(asks):
                    await ref.ask(Bump())
            return spent.micros(asks)

        async def theirs() -> float:
            with Stopwatch(time.perf_counter) as spent:
                both.raw.save(asks, 1)
            return spent.micros(asks)

        pairs = await alternate(ours, theirs, size)
    return [
        Row(
            name="durable_ask_single",
            what="one caller, each reply after its commit",
            reference="one raw commit of one row",
            unit="µs",
            pairs=pairs,
            reach=at_most(1.6),
        )
    ]


async def thaw(size: Size) -> Sequence[Row]:
    many, times = size.of(MANY, 5), size.of(20, 2)
    async with stage(many, 1) as both:
        keys = [ref.key for ref in both.refs]

        async def ours() -> float:
            spent = Stopwatch(time.perf_counter)
            for _ in range(times):
                for key in keys:
                    await both.manager.stop(key, partition="p0")
                with spent:
                    async with asyncio.TaskGroup() as group:
                        for key in keys:
                            group.create_task(both.manager.get(key, partition="p0"))
            return spent.rate(many * times)

        async def theirs() -> float:
            with Stopwatch(time.perf_counter) as spent:
                for _ in range(times):
                    assert both.raw.load(range(many)) == many
            return spent.rate(many * times)

        pairs = await alternate(ours, theirs, size)
    return [
        Row(
            name="thaw",
            what=f"{MANY} hibernated instances of a partition, wanted at once",
            reference=f"sqlite3 `SELECT … IN` of {MANY} rows",
            unit="rows/s",
            pairs=pairs,
            reach=at_least(0.1),
        )
    ]


CASES = tuple(
    Case(name=measure.__name__, measure=measure, single=False)
    for measure in (durable_ask, durable_ask_single, thaw)
)
