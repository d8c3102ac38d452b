"""One other system, measured in turns with podvisor; run for each in a fresh process.

``python -m tests.benchmarks.beside WHAT ADAPTER SIZE`` prints pairs of figures as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

from tests.benchmarks.figures import Pair
from tests.benchmarks.harness import FULL, TINY, Size, Stopwatch, alternate, pinned
from tests.benchmarks.residents import resident_with_children
from tests.benchmarks.system import Steps, System

__all__ = ["MARK", "Figures", "main"]

MARK = "figures: "
MANY = 100

Opened: TypeAlias = contextlib.AbstractAsyncContextManager[System]
Figures: TypeAlias = dict[str, tuple[Pair, ...]]


class Beside:
    """Both systems, and what each is asked to do."""

    def __init__(self, ours: System, theirs: System, size: Size) -> None:
        self._ours = ours
        self._theirs = theirs
        self._size = size
        # Whose work is done in other threads or processes is told by the wall clock.
        self._clock = time.process_time if theirs.single else time.perf_counter
        self._many = min(size.of(MANY, 3), theirs.most)
        self._keys = 0

    async def measure(self) -> Figures:
        return {
            "ask": await self._alternate(self._ask),
            "tell": await self._alternate(self._tell),
            "activate": await self._alternate(self._activate),
        }

    async def _alternate(
        self, what: Callable[[System], Awaitable[float]]
    ) -> tuple[Pair, ...]:
        return await alternate(
            lambda: what(self._ours), lambda: what(self._theirs), self._size
        )

    @contextlib.asynccontextmanager
    async def _actors(self, system: System, count: int) -> AsyncGenerator[list[object]]:
        actors = [await system.actor(self._key()) for _ in range(count)]
        for actor in actors:
            await system.ask(actor)
        yield actors
        for actor in actors:
            await system.stop(actor)

    def _key(self) -> str:
        self._keys += 1
        return f"k{self._keys}"

    async def _ask(self, system: System) -> float:
        asks = self._size.of(1_000, 5)
        async with self._actors(system, 1) as [actor]:
            with Stopwatch(self._clock) as spent:
                for _ in range(asks):
                    await system.ask(actor)
        return spent.micros(asks)

    async def _tell(self, system: System) -> float:
        each = self._size.of(20, 2)
        async with self._actors(system, self._many) as actors:
            with Stopwatch(self._clock) as spent:
                for _ in range(each):
                    for actor in actors:
                        await system.tell(actor)
                for actor in actors:  # when it is answered, all before it is handled
                    await system.ask(actor)
        return spent.micros(self._many * (each + 1))

    async def _activate(self, system: System) -> float:
        keys = [self._key() for _ in range(self._many)]
        actors: list[object] = []
        with Stopwatch(self._clock) as spent:
            for key in keys:
                actor = await system.actor(key)
                await system.ask(actor)
                actors.append(actor)
        for actor in actors:
            await system.stop(actor)
        return spent.micros(self._many)


async def messages(adapter: str, size: Size) -> Figures:
    """Measure asks, tells and activations of both."""
    async with _opened("podvisor") as ours, _opened(adapter) as theirs:
        with pinned() if theirs.single else contextlib.nullcontext():
            return await Beside(ours, theirs, size).measure()


async def memory(adapter: str, size: Size) -> Figures:
    """Measure the bytes of an idle actor, of this one only."""
    async with _opened(adapter) as system:
        await system.ask(await system.actor("warm"))
        before = resident_with_children()
        count = min(system.most, size.of(1_000, 5))
        kept: list[object] = []
        for n in range(count):
            actor = await system.actor(f"k{n}")
            await system.ask(actor)
            kept.append(actor)
        return {"memory": (((resident_with_children() - before) / count, 1.0),)}


async def steps(adapter: str, size: Size) -> Figures:
    """Measure steps that are stored one by one."""
    count = size.of(100, 3)

    async def step(system: Steps) -> float:
        with Stopwatch(time.perf_counter) as spent:
            await system.run(count)
        return spent.micros(count)

    ours, theirs = _adapter("podvisor"), _adapter(adapter)
    with (
        tempfile.TemporaryDirectory() as here,
        tempfile.TemporaryDirectory() as there,
    ):
        async with (
            ours.open_steps(Path(here)) as one,
            theirs.open_steps(Path(there)) as other,
        ):
            pairs = await alternate(lambda: step(one), lambda: step(other), size)
    return {"durable_step": pairs}


_MEASURES = {"messages": messages, "memory": memory, "steps": steps}


def _adapter(name: str) -> Any:  # noqa: ANN401  a module, whose names are what it has
    return importlib.import_module(f"tests.benchmarks.adapters.{name}")


def _opened(name: str) -> Opened:
    found: Opened = _adapter(name).open_system()
    return found


def main(what: str, adapter: str, size: str) -> None:
    chosen = TINY if size == "tiny" else FULL.with_warm_up(1)

    async def measured() -> Figures:
        return await _MEASURES[what](adapter, chosen)

    found = asyncio.run(measured())
    # A marked line of its own: some systems print.
    sys.stdout.write(f"\n{MARK}{json.dumps(found)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
