from __future__ import annotations

import pytest

from .command import crash

__all__: list[str] = []


@pytest.mark.timeout(120)
def test_what_starts_and_stops_leaves_nothing_behind() -> None:
    """P6, row 15: rows, files, objects, tasks, threads and handles stay as they are.

    The large size also judges the slope of the memory that the kernel sees.
    """
    figures = crash("soak", "--size", "2000")

    grown = [figures[name] for name in ("tasks", "threads", "handles")]
    assert grown == [0, 0, 0]
    assert figures["rows"] == figures["most_rows"] == 5 * (40 + 3)
    assert int(str(figures["objects"])) < 500
    assert int(str(figures["most_size"])) < 8_000_000
