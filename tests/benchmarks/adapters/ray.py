"""ray: an actor is a process."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import ray

from tests.benchmarks.system import System

__all__ = ["open_system"]


@ray.remote(num_cpus=0)
class Counter:
    def __init__(self) -> None:
        self.n = 0

    def bump(self) -> int:
        self.n += 1
        return self.n


class Ray(System):
    single = False
    most = 2

    async def actor(self, key: str) -> Any:
        return Counter.remote()

    async def ask(self, actor: Any) -> int:
        return await actor.bump.remote()

    async def tell(self, actor: Any) -> None:
        actor.bump.remote()

    async def stop(self, actor: Any) -> None:
        ray.kill(actor)


@contextlib.asynccontextmanager
async def open_system() -> AsyncGenerator[System]:
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        yield Ray()
    finally:
        ray.shutdown()
