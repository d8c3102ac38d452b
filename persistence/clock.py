"""The clock that is passed in: every wait and every timestamp of podvisor uses it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Clock", "Handle", "SystemClock"]


class Handle(Protocol):
    """A scheduled callback that can be cancelled."""

    def cancel(self) -> None:
        """Cancel the callback; no effect if it has run."""
        ...


class Clock(Protocol):
    """The source of time; ``SystemClock`` in production, a manual one in tests."""

    def monotonic(self) -> float:
        """Return seconds that never go back; only differences have a meaning."""
        ...

    def wall(self) -> float:
        """Return Unix seconds, for stamps that people read; they may jump."""
        ...

    def call_later(self, delay: float, callback: Callable[[], object]) -> Handle:
        """Schedule a callback on the running loop, ``delay`` seconds from now."""
        ...


class SystemClock:
    """The monotonic clock and the wall clock of the machine."""

    monotonic = staticmethod(time.monotonic)

    def wall(self) -> float:
        return time.time()  # noqa: TID251  the only place that reads it

    def call_later(self, delay: float, callback: Callable[[], object]) -> Handle:
        return asyncio.get_running_loop().call_later(delay, callback)
