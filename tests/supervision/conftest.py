from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from persistence import MemoryStore, open_store
from supervision import Host, HostPolicy
from tests.support import MakeStore, ManualClock

__all__ = ["clock", "host", "make"]


@pytest.fixture(params=["memory", "sqlite", "files"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> MakeStore:
    """Open the same data of any store, as often as asked."""
    if request.param == "memory":
        store = MemoryStore()
        return lambda: store
    partition = "/{partition}" if request.param == "files" else ""
    url = f"sqlite+aiosqlite:///{tmp_path}{partition}/podvisor.db"
    open_store(url)  # the first one imports SQLAlchemy; here no loop runs yet
    return lambda: open_store(url)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def host(make: MakeStore, clock: ManualClock) -> AsyncGenerator[Host]:
    """Hold a host across the yield of a fixture, on any store."""
    policy = HostPolicy(shutdown_timeout=2.0, shutdown_grace=0.1)
    async with Host(store=make(), clock=clock, policy=policy) as running:
        yield running
