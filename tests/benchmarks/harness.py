"""How a benchmark is run: both sides in turn, on one core, without the collector.

The machine may be busy. Whatever slows it slows both sides of a pair, which are
measured one right after the other; who is first changes with every repetition.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Self, TypeAlias

import attrs

from .figures import Pair, Result

__all__ = [
    "FULL",
    "TINY",
    "Case",
    "Side",
    "Size",
    "Stopwatch",
    "alternate",
    "no_collections",
    "pinned",
    "run",
]

Side: TypeAlias = Callable[[], Awaitable[float]]
"""Does its work once, and returns its figure."""


@attrs.frozen
class Size:
    """How much is measured.

    Attributes:
        repetitions: pairs of figures that are kept.
        warm_up: pairs that are not.
        tiny: only to see that it works.
    """

    repetitions: int
    warm_up: int
    tiny: bool = False

    def of(self, full: int, tiny: int) -> int:
        """Choose how often something is done."""
        return tiny if self.tiny else full

    def with_warm_up(self, warm_up: int) -> Size:
        """Return what suits long cases: as few repetitions as make a median."""
        fewer = min(self.repetitions, FEWEST)
        return Size(fewer, min(warm_up, self.warm_up), tiny=self.tiny)


FEWEST = 7
FULL = Size(repetitions=9, warm_up=2)
TINY = Size(repetitions=1, warm_up=0, tiny=True)


@attrs.frozen(kw_only=True)
class Case:
    """A benchmark, and how it wants to be run.

    Attributes:
        name: its id, and that of its first row.
        measure: measures it.
        single: it uses one thread only, so one core is enough for both sides.
        optional: it is run when it is asked for.
    """

    name: str
    measure: Callable[[Size], Awaitable[Sequence[Result]]]
    single: bool = True
    optional: bool = False


def run(case: Case, size: Size) -> Sequence[Result]:
    """Measure one case in a loop of its own."""

    async def measured() -> Sequence[Result]:
        return await case.measure(size)

    with pinned() if case.single else contextlib.nullcontext():
        return asyncio.run(measured())


async def alternate(ours: Side, theirs: Side, size: Size) -> tuple[Pair, ...]:
    """Measure both sides in turn."""
    pairs: list[Pair] = []
    for n in range(size.warm_up + size.repetitions):
        if n % 2:
            second = await _once(theirs)
            first = await _once(ours)
        else:
            first = await _once(ours)
            second = await _once(theirs)
        pairs.append((first, second))
    return tuple(pairs[size.warm_up :])


async def _once(side: Side) -> float:
    with no_collections():
        return await side()


@contextlib.contextmanager
def no_collections() -> Generator[None]:
    """Keep the garbage collector out of what is measured; begin with a clean heap."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextlib.contextmanager
def pinned() -> Generator[None]:
    """Keep this thread, and those it starts, on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Stopwatch:
    """Adds up the seconds inside its ``with`` blocks.

    Args:
        clock: CPU time, which others on the machine do not lengthen; a case that waits
            for a disk or another process takes ``time.perf_counter``.
    """

    def __init__(self, clock: Callable[[], float] = time.process_time) -> None:
        self._clock = clock
        self._began = 0.0
        self.seconds = 0.0

    def __enter__(self) -> Self:
        self._began = self._clock()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += self._clock() - self._began

    def micros(self, count: int) -> float:
        """Return the microseconds for each of so many."""
        return self.seconds / count * 1e6

    def rate(self, count: int) -> float:
        """Return how many of so many come to a second."""
        return count / self.seconds
