"""dbos: a workflow on SQLite, the result of each step stored."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

from dbos import DBOS

from tests.benchmarks.system import Steps

__all__ = ["open_steps"]


@DBOS.step()
async def bump(n: int) -> int:
    return n + 1


@DBOS.workflow()
async def count(steps: int) -> int:
    n = 0
    for _ in range(steps):
        n = await bump(n)
    return n


class Workflow(Steps):
    async def run(self, steps: int) -> None:
        assert await count(steps) == steps


@contextlib.asynccontextmanager
async def open_steps(folder: Path) -> AsyncGenerator[Steps]:
    url = f"sqlite:///{folder}/dbos.db"
    DBOS(config={"name": "bench", "system_database_url": url, "log_level": "ERROR"})
    DBOS.launch()
    try:
        yield Workflow()
    finally:
        DBOS.destroy()
