"""Start and stop the same instances for ever: nothing may be left behind each time."""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

from pods import Host, add_node, lazy, remove_node

from .agents import Bump, Homes, Meter, Team, homes

__all__ = ["SoakReport", "soak"]

_PARTITIONS = tuple(f"tenant-{number}" for number in range(5))
_KEYS = 40
_AT_ONCE = 20
_SAMPLES = 10
_WARM_UP = 4
"""Samples that do not count: caches fill and the file gets its size."""

_MEGABYTE = 1 << 20
_ENOUGH = 100_000
"""Cycles from which on memory is judged by the slope that the kernel sees."""


@attrs.frozen
class Sample:
    """What a process holds.

    Attributes:
        rows: records in the store.
        size: bytes of its files.
        memory: resident bytes.
        objects: objects that the collector tracks.
        tasks: tasks of the loop.
        threads: threads.
        handles: open files and sockets.
    """

    rows: int
    size: int
    memory: int
    objects: int
    tasks: int
    threads: int
    handles: int


@attrs.frozen(kw_only=True)
class SoakReport:
    """Figures of a run, all of them after the warm-up.

    Attributes:
        cycles: instances started, asked once, and hibernated.
        rows: records in the store; bounded by the keys.
        most_rows: the most there ever were.
        size: bytes of the store's files at the end.
        most_size: the most there ever were.
        slope: growth of resident bytes in 100,000 cycles.
        memory: resident bytes at the end.
        objects: growth of the number of objects.
        tasks: growth of the number of tasks; must be 0.
        threads: likewise.
        handles: likewise, of open files.
        seconds: how long the run took.
    """

    cycles: int
    rows: int
    most_rows: int
    size: int
    most_size: int
    slope: float
    memory: int
    objects: int
    tasks: int
    threads: int
    handles: int
    seconds: float

    @property
    def good(self) -> bool:
        """Whether nothing grows."""
        grown = (self.tasks, self.threads, self.handles, self.most_rows - self.rows)
        steady = self.cycles < _ENOUGH or self.slope <= _MEGABYTE
        return not any(grown) and self.objects < 500 and steady


def soak(
    folder: Path, cycles: int, *, progress: Callable[[], None] = lambda: None
) -> SoakReport:
    """Run so many cycles on one host.

    Args:
        folder: where the file is.
        cycles: how many; a multiple of ten.
        progress: called ten times.
    """
    began = time.monotonic()
    file = folder / "soak.db"
    samples = asyncio.run(_run(file, cycles, progress))
    first, last = samples[_WARM_UP], samples[-1]
    measured = cycles * (_SAMPLES - _WARM_UP) / _SAMPLES
    steady = samples[_WARM_UP:]
    return SoakReport(
        cycles=cycles,
        rows=last.rows,
        most_rows=max(sample.rows for sample in steady),
        size=last.size,
        most_size=max(sample.size for sample in steady),
        slope=(last.memory - first.memory) * 100_000 / measured,
        memory=last.memory,
        objects=last.objects - first.objects,
        tasks=last.tasks - first.tasks,
        threads=last.threads - first.threads,
        handles=last.handles - first.handles,
        seconds=time.monotonic() - began,
    )


async def _run(file: Path, cycles: int, progress: Callable[[], None]) -> list[Sample]:
    samples: list[Sample] = []
    async with Host(file) as host:
        here = homes(host)
        share = cycles // _SAMPLES
        for _ in range(_SAMPLES):
            numbers = iter(range(share))
            async with asyncio.TaskGroup() as group:
                for _ in range(_AT_ONCE):
                    group.create_task(_cycle(here, numbers))
            await _grow_and_shrink(here)
            samples.append(_sample(file))
            progress()
    return samples


async def _cycle(here: Homes, numbers: Iterator[int]) -> None:
    """Start, ask and hibernate an instance; tasks share the numbers."""
    for number in numbers:
        partition = _PARTITIONS[number % len(_PARTITIONS)]
        key = f"k{number // len(_PARTITIONS) % _KEYS}"
        meter = await here.meters.get(key, partition=partition)
        await meter.ask(Bump())
        await here.meters.stop(key, partition=partition)


async def _grow_and_shrink(here: Homes) -> None:
    """Take a pod through its life: a node more, a node less, hibernation."""
    for partition in _PARTITIONS:
        team = await Team.get(here.teams, "team", partition=partition)
        await team.mutate([add_node("extra", lazy(Meter, manager="meters"))])
        await (await team.ensure_node("extra")).ask(Bump())
        await team.mutate([remove_node("extra")])
        await team.stop()


def _sample(file: Path) -> Sample:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return Sample(
        rows=_rows(file),
        size=sum(part.stat().st_size for part in file.parent.glob(f"{file.name}*")),
        memory=pages * os.sysconf("SC_PAGE_SIZE"),
        objects=len(gc.get_objects()),
        tasks=len(asyncio.all_tasks()),
        threads=threading.active_count(),
        handles=len(list(Path("/proc/self/fd").iterdir())),
    )


def _rows(file: Path) -> int:
    # Through SQLite, not by reading the file: closing a file that this process has
    # opened by itself would give up the locks of its connections.
    database = sqlite3.connect(file)
    try:
        (rows,) = database.execute("select count(*) from podvisor_records").fetchone()
    finally:
        database.close()
    return int(rows)
