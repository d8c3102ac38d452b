"""xoscar: an actor pool in this process."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import xoscar

from tests.benchmarks.system import System

__all__ = ["open_system"]


class Counter(xoscar.Actor):
    def __init__(self) -> None:
        super().__init__()
        self.n = 0

    async def bump(self) -> int:
        self.n += 1
        return self.n


class Xoscar(System):
    def __init__(self, address: str) -> None:
        self._address = address

    async def actor(self, key: str) -> Any:
        return await xoscar.create_actor(Counter, address=self._address, uid=key)

    async def ask(self, actor: Any) -> int:
        return await actor.bump()

    async def tell(self, actor: Any) -> None:
        await actor.bump.tell()


@contextlib.asynccontextmanager
async def open_system() -> AsyncGenerator[System]:
    pool = await xoscar.create_actor_pool(address="127.0.0.1:0", n_process=0)
    async with pool:
        yield Xoscar(pool.external_address)
