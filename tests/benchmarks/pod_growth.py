"""How the cost of a pod grows from 100 to 1,000 linked nodes, in seconds.

Run it with ``python -m tests.benchmarks.pod_growth [REPETITIONS] [memory|sqlite]``.
Each repetition measures both sizes in turn, so that a busy machine slows both.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable
from typing import TypeVar

from pods import Host, OnParentStop, Pod
from tests.benchmarks.linked import linked
from tests.pods.support import Reviewer

__all__ = ["main", "measure"]

T = TypeVar("T")
Times = dict[str, float]

LOOKUPS = 1_000
HUNDREDS = (1, 10)


async def measure(url: str, hundreds: int) -> Times:
    """Take a pod of so many hundred nodes through its life; return seconds."""
    times: Times = {}

    async def timed(what: str, call: Awaitable[T]) -> T:
        gc.collect()
        start = time.perf_counter()
        result = await call
        times[what] = time.perf_counter() - start
        return result

    async with Host(url) as host:
        host.manager("workers", Reviewer)
        pods = host.manager("pods", linked(hundreds, OnParentStop.CONTINUE))
        pod = await timed("get", Pod.get(pods, "p", partition="acme"))
        await timed("get again", Pod.get(pods, "p", partition="acme"))
        await timed("reconcile", pod.reconcile())
        await timed("nodes", pod.nodes())
        await pod.stop()
        await timed("thaw, adopt", Pod.get(pods, "p", partition="acme"))
        start = time.perf_counter()
        for _ in range(LOOKUPS):
            pod.lookup_node("middle0")
        times["lookup_node"] = (time.perf_counter() - start) / LOOKUPS
        start = time.perf_counter()
    times["shutdown"] = time.perf_counter() - start
    async with Host(url) as host:
        host.manager("workers", Reviewer)
        pods = host.manager("pods", linked(hundreds, OnParentStop.STOP))
        pod = await timed("thaw all", Pod.get(pods, "p", partition="acme"))
        await timed("stop", pod.stop())
    return times


def _fresh(store: str, folder: str) -> str:
    if store == "memory":
        return "memory://"
    name = tempfile.mkdtemp(dir=folder)
    return f"sqlite+aiosqlite:///{name}/podvisor.db"


def main(repetitions: int = 7, store: str = "sqlite") -> None:
    """Measure, and print the median times and the ratios with their spread."""
    runs: list[tuple[Times, Times]] = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(repetitions):
            few, many = (
                asyncio.run(measure(_fresh(store, folder), size)) for size in HUNDREDS
            )
            runs.append((few, many))
    print(f"{store}, {repetitions} repetitions, median ms and ratio 1,000 : 100 nodes")  # noqa: T201  a script
    print(f"{'':12} {'100':>9} {'1,000':>9}   {'min':>6} {'median':>6} {'max':>6}")  # noqa: T201  a script
    for what in runs[0][0]:
        small = [run[0][what] * 1e3 for run in runs]
        large = [run[1][what] * 1e3 for run in runs]
        ratios = [b / a for a, b in zip(small, large, strict=True)]
        middle = statistics.median
        print(  # noqa: T201  a script
            f"{what:12} {middle(small):9.3f} {middle(large):9.3f}   "
            f"{min(ratios):6.1f} {middle(ratios):6.1f} {max(ratios):6.1f}"
        )


if __name__ == "__main__":
    given = sys.argv[1:]
    main(int(given[0]) if given else 7, given[1] if len(given) > 1 else "sqlite")
