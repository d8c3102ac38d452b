from __future__ import annotations

import pytest

from tests.simulation.runs import run

__all__: list[str] = []

SEEDS = 300
BLOCK = 10


@pytest.mark.timeout(60)
@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_nothing_acknowledged_is_lost_whatever_fails(first: int) -> None:
    """Row 1: every run keeps every promise; on demand with many more seeds."""
    for seed in range(first, first + BLOCK):
        run(seed)


def test_a_run_is_repeated_by_its_seed() -> None:
    """Row 1: the same seed takes the same steps, another one takes others."""
    traces: dict[int, list[str]] = {}
    for seed in (3, 5, 29):
        for _ in range(3):
            trace: list[str] = []
            run(seed, trace.append)
            assert traces.setdefault(seed, trace) == trace

    assert len({tuple(trace) for trace in traces.values()}) == len(traces)
