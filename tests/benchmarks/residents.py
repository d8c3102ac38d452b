"""How many bytes something keeps of a process; run for each figure in a fresh one.

``python -m tests.benchmarks.residents WHAT COUNT`` prints bytes for each of the count.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from pods import Durability, Host
from tests.benchmarks.agents import Bump, Trio

__all__ = ["main", "measured_apart", "resident", "resident_with_children"]

PARTITIONS = 100
WAVE = 1_000
"""Instances that are live at a time while many are hibernated."""


def resident() -> int:
    """Return the bytes that the process holds, once it has let go of what it can."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return _resident_of("self")


def resident_with_children() -> int:
    """Return the same, with those of every process that came of this one."""
    parents: dict[str, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            stat = (folder / "stat").read_text(encoding="utf-8")
            parents[folder.name] = stat.rpartition(")")[2].split()[1]
    found = resident()
    ours = {str(os.getpid())}
    while ours:
        ours = {process for process, parent in parents.items() if parent in ours}
        found += sum(map(_resident_of, ours))
    return found


def _resident_of(process: str) -> int:
    try:
        pages = Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


async def idle_instances(count: int) -> float:
    """Instances that have answered once, without a ref."""
    async with Host("memory://") as host:
        manager = host.manager("trios", Trio, durability=Durability.NONE)
        for n in range(PARTITIONS):  # the partitions themselves are not counted
            await (await manager.get("warm", partition=f"p{n}")).ask(Bump())
        before = resident()
        for n in range(count):
            partition = f"p{n % PARTITIONS}"
            await (await manager.get(f"k{n}", partition=partition)).ask(Bump())
        return (resident() - before) / count


async def idle_tasks(count: int) -> float:
    """Tasks that wait for their queues."""
    before = resident()
    queues: list[asyncio.Queue[int]] = [asyncio.Queue() for _ in range(count)]
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(queue.get()) for queue in queues]
    await asyncio.sleep(0)
    found = (resident() - before) / count
    for task in tasks:
        task.cancel()
    return found


async def hibernated_instances(count: int) -> float:
    """Instances that were live, a thousand at a time, and have been stored."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{folder}/podvisor.db"
        async with Host(url) as host:
            manager = host.manager("trios", Trio, durability=Durability.HIBERNATE)

            async def wave(start: int, size: int) -> None:
                async def one(n: int) -> None:
                    key, partition = f"k{n}", f"p{n % PARTITIONS}"
                    await (await manager.get(key, partition=partition)).ask(Bump())
                    await manager.stop(key, partition=partition)

                async with asyncio.TaskGroup() as group:
                    for n in range(start, start + size):
                        group.create_task(one(n))

            for start in range(0, count, WAVE):  # fills the caches: 20,000 do
                await wave(start, min(WAVE, count - start))
            before = resident()
            for start in range(count, 2 * count, WAVE):
                await wave(start, min(WAVE, 2 * count - start))
            return max(resident() - before, 1) / count


_KINDS: dict[str, Callable[[int], Awaitable[float]]] = {
    "idle_instances": idle_instances,
    "idle_tasks": idle_tasks,
    "hibernated_instances": hibernated_instances,
}


async def measured_apart(kind: Callable[[int], Awaitable[float]], count: int) -> float:
    """Measure one of the above in a fresh process."""
    command = [sys.executable, "-m", __name__, kind.__name__, str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: ASYNC221, S603  nothing else runs
    return float(done.stdout)


def main(kind: str, count: str) -> None:
    gc.disable()  # it would go through all that is there again and again

    async def measured() -> float:
        return await _KINDS[kind](int(count))

    sys.stdout.write(f"{asyncio.run(measured())}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
