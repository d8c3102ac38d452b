"""podvisor itself, as every other system is measured."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

from pods import AgentRef, Durability, Host
from tests.benchmarks.agents import Bump, Counter
from tests.benchmarks.system import Steps, System

__all__ = ["open_steps", "open_system"]


class Podvisor(System):
    def __init__(self, host: Host) -> None:
        self._counters = host.manager("counters", Counter, durability=Durability.NONE)

    async def actor(self, key: str) -> AgentRef[Counter]:
        return await self._counters.get(key, partition="acme")

    async def ask(self, actor: AgentRef[Counter]) -> int:
        return await actor.ask(Bump())

    async def tell(self, actor: AgentRef[Counter]) -> None:
        await actor.tell(Bump())


@contextlib.asynccontextmanager
async def open_system() -> AsyncGenerator[System]:
    async with Host("memory://") as host:
        yield Podvisor(host)


class Durable(Steps):
    def __init__(self, actor: AgentRef[Counter]) -> None:
        self._actor = actor

    async def run(self, steps: int) -> None:
        for _ in range(steps):
            await self._actor.ask(Bump())


@contextlib.asynccontextmanager
async def open_steps(folder: Path) -> AsyncGenerator[Steps]:
    async with Host(f"sqlite+aiosqlite:///{folder}/podvisor.db") as host:
        counters = host.manager("counters", Counter)
        yield Durable(await counters.get("one", partition="acme"))
