"""Time, injected: every wait and every timestamp of the product asks a clock."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Clock", "Handle", "SystemClock"]


class Handle(Protocol):
    """A callback that was asked for and can be called off."""

    def cancel(self) -> None:
        """Make sure that the callback does not run any more."""
        ...


class Clock(Protocol):
    """What the product knows of time."""

    def monotonic(self) -> float:
        """Seconds on a scale that never goes back; only differences mean anything."""
        ...

    def wall(self) -> float:
        """Seconds since the Unix epoch, for stamps that people read; it may jump."""
        ...

    def call_later(self, delay: float, callback: Callable[[], object]) -> Handle:
        """Run a callback on the running loop after ``delay`` seconds."""
        ...


class SystemClock:
    """The running loop's clock, and the machine's wall clock."""

    monotonic = staticmethod(time.monotonic)

    def wall(self) -> float:
        return time.time()  # noqa: TID251  this is the one place that reads it

    def call_later(self, delay: float, callback: Callable[[], object]) -> Handle:
        return asyncio.get_running_loop().call_later(delay, callback)
