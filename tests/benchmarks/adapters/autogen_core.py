"""autogen-core: its single-threaded runtime."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncGenerator
from typing import Any

from autogen_core import (
    AgentId,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    message_handler,
)

from tests.benchmarks.system import System

__all__ = ["open_system"]


@dataclasses.dataclass
class Bump:
    pass


@dataclasses.dataclass
class Count:
    n: int


class Counter(RoutedAgent):
    def __init__(self) -> None:
        super().__init__("counts")
        self.n = 0

    @message_handler
    async def bump(self, message: Bump, ctx: MessageContext) -> Count:
        self.n += 1
        return Count(self.n)


class AutogenCore(System):
    def __init__(self, runtime: SingleThreadedAgentRuntime) -> None:
        self._runtime = runtime

    async def actor(self, key: str) -> Any:
        return AgentId("counter", key)

    async def ask(self, actor: Any) -> int:
        return (await self._runtime.send_message(Bump(), actor)).n

    async def tell(self, actor: Any) -> None:
        # It has no one-way message to one agent; a call is the nearest.
        await self._runtime.send_message(Bump(), actor)


@contextlib.asynccontextmanager
async def open_system() -> AsyncGenerator[System]:
    runtime = SingleThreadedAgentRuntime()
    await Counter.register(runtime, "counter", Counter)
    runtime.start()
    try:
        yield AutogenCore(runtime)
    finally:
        await runtime.stop()
