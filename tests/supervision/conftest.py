from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from supervision import Host, HostPolicy
from tests.stores import STORES, stored
from tests.support import MakeStore, ManualClock

__all__ = ["clock", "host", "make"]


@pytest.fixture(params=STORES)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeStore]:
    """Open the same data of either store, as often as asked."""
    with stored(request.param, tmp_path) as make_store:
        yield make_store


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def host(make: MakeStore, clock: ManualClock) -> AsyncGenerator[Host]:
    """Hold a host across the yield of a fixture, on any store."""
    policy = HostPolicy(shutdown_timeout=2.0, shutdown_grace=0.1)
    async with Host(store=make(), clock=clock, policy=policy) as running:
        yield running
