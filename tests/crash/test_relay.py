from __future__ import annotations

import os

import pytest

from .command import crash

__all__: list[str] = []

POSTGRES = os.environ.get("PODVISOR_TEST_POSTGRES", "")


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "url",
    [
        pytest.param("", id="sqlite"),
        pytest.param(
            POSTGRES,
            id="postgres",
            marks=pytest.mark.skipif(
                not POSTGRES, reason="PODVISOR_TEST_POSTGRES names no database"
            ),
        ),
    ],
)
def test_processes_take_partitions_from_each_other_and_nothing_is_lost(
    url: str,
) -> None:
    """B5, row 7: a stale process stops after one refused write of each partition."""
    figures = crash(*(["--url", url] if url else []), "relay", "--size", "10")

    wrong = [figures[name] for name in ("lost", "extra", "stale", "insisted", "hung")]
    assert wrong == [0, 0, 0, 0, 0]
    assert figures["refused"] == figures["fenced"] == 30
    assert int(str(figures["writes"])) >= 2_000
