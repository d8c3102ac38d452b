from __future__ import annotations

from collections.abc import Iterator

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import settings

from tests.checked_phases import checked_phases
from tests.hibernating import always_hibernate, hibernates

pytest.register_assert_rewrite("persistence.testing")

settings.register_profile("large", max_examples=5_000, deadline=None)

__all__ = ["anyio_backend", "idleness", "legal_phases", "no_blocking_calls"]


@pytest.fixture(autouse=True)
def idleness(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let instances hibernate whenever they may, if the run is about that."""
    if hibernates(request.node):
        always_hibernate(monkeypatch)


@pytest.fixture(scope="session", autouse=True)
def legal_phases() -> Iterator[None]:
    """Check every change of an instance's phase against the table in the code."""
    with checked_phases():
        yield


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run every async test on asyncio, the only loop that podvisor supports."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def no_blocking_calls() -> Iterator[None]:
    """Make a blocking call of the product on a running loop an error."""
    product = ["pods", "supervision", "persistence"]
    shipped_tests = ["persistence.testing"]
    with blockbuster_ctx(product, excluded_modules=shipped_tests) as watch:
        # The tracer of a coverage run takes its own lock, wherever the code is.
        locks = watch.functions["threading.Lock.acquire"]
        locks.can_block_in("coverage/collector.py", "lock_data")
        for function in watch.functions.values():
            function.can_block_in(
                "supervision/agents/timers.py", "_zone"
            )  # it says why
            # The driver looks for a password and certificates at home when it connects.
            function.can_block_in(
                "asyncpg/connect_utils.py", "_parse_connect_dsn_and_args"
            )
            # A simulated loop does the work of threads itself, in no time.
            function.can_block_in("pods/testing/simulation.py", {"_run", "_end"})
        yield
