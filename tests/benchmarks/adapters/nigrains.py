"""nigrains: virtual actors for asyncio."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

from nigrains import Grain, Runtime

from tests.benchmarks.system import System

__all__ = ["open_system"]


class Counter(Grain):
    grain_type = "counter"

    async def activate(self) -> None:
        self.n = 0

    async def bump(self) -> int:
        self.n += 1
        return self.n


class Nigrains(System):
    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def actor(self, key: str) -> Any:
        return self._runtime.reference(Counter, key)

    async def ask(self, actor: Any) -> int:
        return await actor.bump()

    async def tell(self, actor: Any) -> None:
        await actor.bump()  # it has no one-way message; a call is the nearest


@contextlib.asynccontextmanager
async def open_system() -> AsyncGenerator[System]:
    runtime = Runtime()
    runtime.register(Counter)
    async with runtime:
        yield Nigrains(runtime)
