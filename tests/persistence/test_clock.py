from __future__ import annotations

import asyncio
import time

from persistence import SystemClock

__all__: list[str] = []


async def test_the_system_clock_calls_back_on_the_loop() -> None:
    """P7: a callback runs once, one that was called off never."""
    clock = SystemClock()
    rung = asyncio.Event()
    calls: list[str] = []

    started = clock.monotonic()
    clock.call_later(0.0, lambda: calls.append("off")).cancel()
    clock.call_later(0.001, rung.set)
    await rung.wait()

    assert clock.monotonic() > started
    assert calls == []


def test_the_wall_clock_is_that_of_the_machine() -> None:
    """P7: stamps that people read are Unix seconds."""
    before = time.time_ns()

    stamp = SystemClock().wall()

    assert before <= stamp * 1e9 + 1000 <= time.time_ns() + 2000
