"""Fixtures of pytest for tests of your own agents.

::

    # conftest.py, in the folder of pytest.ini
    pytest_plugins = ["pods.testing.plugin"]

They are plain fixtures and know no event loop, so that tests may run under anyio's
plugin or under pytest-asyncio; a test enters the host itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from persistence import MemoryStore, Store, open_store

from .bench import HostBench
from .simulation import simulate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .clocks import FrozenClock

__all__ = [
    "podvisor_clock",
    "podvisor_host",
    "podvisor_partitions",
    "podvisor_simulate",
    "podvisor_store",
]


@pytest.fixture(params=["sqlite"])
def podvisor_store(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Callable[[], Store]:
    """Make stores on the same rows: ``sqlite`` (a file of the test), or ``memory``.

    Choose with ``@pytest.mark.parametrize("podvisor_store", ["sqlite", "memory"],
    indirect=True)``, or override it to test another store.
    """
    if request.param == "memory":
        store = MemoryStore()
        return lambda: store
    file = tmp_path / "podvisor.db"
    open_store(file)  # imports SQLAlchemy, which would block a loop
    return lambda: open_store(file)


@pytest.fixture
def podvisor_host(podvisor_store: Callable[[], Store]) -> HostBench:
    """Return a host to enter: ``async with podvisor_host as host``."""
    return HostBench(podvisor_store)


@pytest.fixture
def podvisor_clock(podvisor_host: HostBench) -> FrozenClock:
    """Return the clock of ``podvisor_host``; it stands still until it is advanced."""
    return podvisor_host.clock


@pytest.fixture
def podvisor_partitions() -> tuple[str, str]:
    """Return two partitions whose names are easily mixed up."""
    return "acme", "acme-corp"


@pytest.fixture
def podvisor_simulate() -> Callable[..., object]:
    """Return ``simulate``; for tests that are no coroutines themselves."""
    return simulate
