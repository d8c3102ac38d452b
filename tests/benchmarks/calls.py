"""How many functions of the product one operation calls; the same on every machine.

``python -m tests.benchmarks.calls`` prints the calls of each operation. To compare two
checkouts, run it in both: times tell which is faster, calls tell if a layer came in.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType

from pods import Agent, Durability, Host, InstanceManager, Message, handler

__all__ = ["count", "main"]

ROOT = Path(__file__).parents[2]
PRODUCT = tuple(f"{ROOT}/{name}/" for name in ("pods", "supervision", "persistence"))
WARM, COUNTED = 20, 200


class Add(Message[int]):
    by: int = 1


class Counter(Agent):
    total: int = 0

    @handler
    def add(self, message: Add) -> int:
        self.total += message.by
        return self.total


class Waiter(Agent):
    total: int = 0

    @handler
    async def add(self, message: Add) -> int:
        self.total += message.by
        return self.total


async def count(operation: Callable[[int], Awaitable[object]]) -> float:
    """Return the calls of one operation, as the mean of many on the loop's thread."""
    calls = 0

    def record(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code.co_filename.startswith(PRODUCT)

    for number in range(WARM):
        await operation(number)
    sys.setprofile(record)
    try:
        for number in range(WARM, WARM + COUNTED):
            await operation(number)
    finally:
        sys.setprofile(None)
    return calls / COUNTED


async def in_memory() -> dict[str, float]:
    async with Host("memory://") as host:
        volatile = host.manager("volatile", Counter, durability=Durability.NONE)
        waiting = host.manager("waiting", Waiter, durability=Durability.NONE)
        counter = await volatile.get("one", partition="acme")
        waiter = await waiting.get("one", partition="acme")
        return {
            "ask of a def handler": await count(lambda _: counter.ask(Add())),
            "ask of an async def handler": await count(lambda _: waiter.ask(Add())),
            "tell": await count(lambda _: counter.tell(Add())),
            "activate": await count(lambda n: volatile.get(f"k{n}", partition="acme")),
        }


async def in_sqlite(file: Path) -> dict[str, float]:
    async with Host(file) as host:
        counters = host.manager("counters", Counter)
        counter = await counters.get("one", partition="acme")
        durable = await count(lambda _: counter.ask(Add()))
        await _hibernate(counters)
        thaw = await count(lambda n: counters.get(f"k{n}", partition="acme"))
        return {"durable ask": durable, "thaw": thaw}


async def _hibernate(counters: InstanceManager[Counter]) -> None:
    for number in range(WARM + COUNTED):
        counter = await counters.get(f"k{number}", partition="acme")
        await counter.ask(Add())
        await counters.stop(f"k{number}", partition="acme")


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = {**await in_memory(), **await in_sqlite(Path(folder) / "calls.db")}
    for operation, calls in found.items():
        print(f"{operation:<28}{calls:>8.1f} calls")  # noqa: T201  what it is for


if __name__ == "__main__":
    asyncio.run(main())
