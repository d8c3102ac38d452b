"""Clocks for tests: one that follows a simulated loop, one that stands still."""

from __future__ import annotations

import functools
import heapq
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["FrozenClock", "SimulatedClock"]

_EPOCH = 1_800_000_000.0
_START = 1_000.0


class SimulatedClock:
    """The clock of a simulated host: the loop's time, and a wall clock that jumps.

    ``kill`` ends all its timers, as the end of a process does.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, jumped: float = 0.0) -> None:
        self._loop = loop
        self._jumped = jumped
        self._dead = False

    def monotonic(self) -> float:
        return self._loop.time()

    def wall(self) -> float:
        return _EPOCH + self._loop.time() + self._jumped

    def call_later(
        self, delay: float, callback: Callable[[], object]
    ) -> asyncio.TimerHandle:
        return self._loop.call_later(delay, functools.partial(self._fire, callback))

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward, or back; the monotonic one does not notice."""
        self._jumped += seconds

    def kill(self) -> None:
        """Cancel every timer."""
        self._dead = True

    def _fire(self, callback: Callable[[], object]) -> None:
        if not self._dead:
            callback()


class _Timer:
    """A callback that a frozen clock holds."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """Make sure that it does not run."""
        self.callback = None


class FrozenClock:
    """A clock that stands still until ``advance``."""

    def __init__(self) -> None:
        self._now = _START
        self._jumped = 0.0
        self._order = count()
        self._due: list[tuple[float, int, _Timer]] = []

    def __repr__(self) -> str:
        return f"<FrozenClock {self._now - _START:g} s, {len(self._due)} timers>"

    def monotonic(self) -> float:
        return self._now

    def wall(self) -> float:
        return _EPOCH + self._now + self._jumped

    def call_later(self, delay: float, callback: Callable[[], object]) -> _Timer:
        timer = _Timer(callback)
        heapq.heappush(self._due, (self._now + delay, next(self._order), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Advance the time, and call each timer at the moment that it is due.

        Hibernations and restarts that it sets off have only begun when it returns;
        ``HostUnderTest.advance`` waits for them.
        """
        end = self._now + seconds
        while self._due and self._due[0][0] <= end:
            at, _, timer = heapq.heappop(self._due)
            self._now = max(self._now, at)
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback()
        self._now = end

    def clear(self) -> None:
        """Forget every timer, as the end of a process does."""
        self._due.clear()

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward, or back; no timer notices."""
        self._jumped += seconds
