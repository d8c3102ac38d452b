"""papyra: actors on anyio."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

from papyra import Actor, ActorSystem

from tests.benchmarks.system import System

__all__ = ["open_system"]


class Counter(Actor):
    def __init__(self) -> None:
        self.n = 0

    async def receive(self, message: Any) -> int:
        self.n += 1
        return self.n


class Papyra(System):
    def __init__(self, system: ActorSystem) -> None:
        self._system = system

    async def actor(self, key: str) -> Any:
        return self._system.spawn(Counter, name=key)

    async def ask(self, actor: Any) -> int:
        return await actor.ask("bump")

    async def tell(self, actor: Any) -> None:
        await actor.tell("bump")


@contextlib.asynccontextmanager
async def open_system() -> AsyncGenerator[System]:
    async with ActorSystem() as system:
        yield Papyra(system)
