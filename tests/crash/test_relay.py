from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.postgres import fresh_schema

from .command import crash

__all__: list[str] = []


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Give the words that name a store, which no other run uses."""
    if request.param == "sqlite":
        yield []
        return
    with fresh_schema() as url:
        yield ["--url", url]


@pytest.mark.timeout(120)
def test_processes_take_partitions_from_each_other_and_nothing_is_lost(
    store: list[str],
) -> None:
    """Holds 5, row 7: a stale process stops after one refused write per partition."""
    figures = crash(*store, "relay", "--size", "10")

    wrong = [figures[name] for name in ("lost", "extra", "stale", "insisted", "hung")]
    assert wrong == [0, 0, 0, 0, 0]
    assert figures["refused"] == figures["fenced"] == 30
    assert int(str(figures["writes"])) >= 2_000
