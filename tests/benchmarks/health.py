"""P7: what ``host.health()`` and ``host.affected()`` cost, and what a partition takes.

Run it by hand: ``python -m tests.benchmarks.health``. The promise is less than 50 ms at
1,000 partitions; the suite asserts no times.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
import tracemalloc
from collections.abc import Callable

from supervision import Durability, Host
from tests.support import Add, AddLater, Counter

__all__: list[str] = []

PARTITIONS = 1_000


async def main() -> None:
    """Print the times of both calls, and the bytes per partition."""
    tracemalloc.start()
    async with Host("memory://") as host:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(PARTITIONS):
            host.runtime.partition(f"idle-{number}")
        after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"bytes per idle partition  {(after - before) / PARTITIONS:.0f}")  # noqa: T201
    async with Host("memory://") as host:
        counters = host.manager("counters", Counter, durability=Durability.NONE)
        for number in range(PARTITIONS):
            ref = await counters.get("one", partition=f"part-{number}")
            for _ in range(10):
                await ref.ask(Add())
            await ref.ask(AddLater())
        _show("health()", host.health)
        _show("affected()", host.affected)
        host.runtime.partition("part-1").counters.rejected += 1
        _show("one is", host.affected)


def _show(name: str, call: Callable[[], object]) -> None:
    times: list[float] = []
    for _ in range(20):
        began = time.process_time()
        call()
        times.append((time.process_time() - began) * 1000)
    load = os.getloadavg()[0]
    print(  # noqa: T201
        f"{name:12} {PARTITIONS} partitions: median {statistics.median(times):.1f} ms, "
        f"worst {max(times):.1f} ms of CPU (load {load:.1f})"
    )


if __name__ == "__main__":
    asyncio.run(main())
