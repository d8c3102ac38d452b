"""pykka: an actor is a thread with a queue."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

from pykka import ActorRegistry, ThreadingActor

from tests.benchmarks.system import System

__all__ = ["open_system"]


class Counter(ThreadingActor):
    def __init__(self) -> None:
        super().__init__()
        self.n = 0

    def on_receive(self, message: Any) -> int:
        self.n += 1
        return self.n


class Pykka(System):
    single = False

    async def actor(self, key: str) -> Any:
        return Counter.start()

    async def ask(self, actor: Any) -> int:
        return actor.ask("bump")

    async def tell(self, actor: Any) -> None:
        actor.tell("bump")

    async def stop(self, actor: Any) -> None:
        actor.stop()


@contextlib.asynccontextmanager
async def open_system() -> AsyncGenerator[System]:
    try:
        yield Pykka()
    finally:
        ActorRegistry.stop_all()
