"""tapio: typed actors, each a task, with messages that pydantic validates."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

from tapio import ActorSystem, Behavior, Behaviors, Message
from tapio.actor import ActorContext, ActorRef

from tests.benchmarks.system import System

__all__ = ["open_system"]


class Count(Message):
    n: int


class Bump(Message):
    reply_to: ActorRef[Count] | None = None


def counter() -> Behavior[Bump]:
    n = 0

    async def bump(ctx: ActorContext[Bump], message: Bump) -> Behavior[Bump]:
        nonlocal n
        n += 1
        if message.reply_to is not None:
            message.reply_to.tell(Count(n=n))
        return Behaviors.same()

    return Behaviors.receive(bump)


class Tapio(System):
    def __init__(self, system: ActorSystem) -> None:
        self._system = system

    async def actor(self, key: str) -> Any:
        return self._system.spawn(counter(), name=key)

    async def ask(self, actor: Any) -> int:
        reply = await actor.ask(lambda ref: Bump(reply_to=ref), expect=Count)
        return reply.n

    async def tell(self, actor: Any) -> None:
        actor.tell(Bump())


@contextlib.asynccontextmanager
async def open_system() -> AsyncGenerator[System]:
    async with ActorSystem("bench") as system:
        yield Tapio(system)
