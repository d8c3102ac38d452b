"""thespian: its simple system base, which runs actors in the caller's process."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

from thespian.actors import Actor, ActorSystem

from tests.benchmarks.system import System

__all__ = ["open_system"]


class Counter(Actor):
    def __init__(self) -> None:
        super().__init__()
        self.n = 0

    def receiveMessage(self, message: Any, sender: Any) -> None:  # noqa: N802  theirs
        if not isinstance(message, str):
            return
        self.n += 1
        if message == "ask":
            self.send(sender, self.n)


class Thespian(System):
    def __init__(self, system: ActorSystem) -> None:
        self._system = system

    async def actor(self, key: str) -> Any:
        return self._system.createActor(Counter)

    async def ask(self, actor: Any) -> int:
        return self._system.ask(actor, "ask", 10)

    async def tell(self, actor: Any) -> None:
        self._system.tell(actor, "tell")


@contextlib.asynccontextmanager
async def open_system() -> AsyncGenerator[System]:
    system = ActorSystem("simpleSystemBase")
    try:
        yield Thespian(system)
    finally:
        system.shutdown()
