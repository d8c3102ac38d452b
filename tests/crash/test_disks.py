from __future__ import annotations

from pathlib import Path

import pytest

from .command import crash
from .sandbox import sandbox_of

__all__: list[str] = []


@pytest.mark.timeout(60)
@pytest.mark.parametrize("how", ["limit", "full", "faulty"])
def test_a_disk_that_fails_costs_no_acknowledged_turn(how: str, tmp_path: Path) -> None:
    """A9, row 5: turns are refused by name, and go on without a restart afterwards.

    ``limit`` is a limit on file sizes, ``full`` a full file system, ``faulty`` are
    random I/O errors. Every other process is killed while its disk fails.
    """
    sandbox = sandbox_of(how, tmp_path)
    if sandbox.missing:
        pytest.skip(sandbox.missing)

    figures = crash("disk", "--size", "6", "--how", how)

    assert figures["notes"] == []
    names = ("lost", "half", "denied", "untyped", "stuck", "hung")
    assert [figures[name] for name in names] == [0] * len(names)
    assert int(str(figures["refused"])) > 0
    assert int(str(figures["acked"])) > 0
