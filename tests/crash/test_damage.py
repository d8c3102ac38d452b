from __future__ import annotations

import pytest

from .agents import Sight
from .command import Figures, crash
from .torn import Written, compare

__all__: list[str] = []


def _wrong(figures: Figures) -> list[object]:
    assert figures["notes"] == []
    return [figures["silent"], figures["untyped"]]


@pytest.mark.timeout(120)
def test_flipped_bits_are_never_answered() -> None:
    """P2, row 6: 60 flips; what answers is right, and what is hit says so.

    Damage to the pages that all partitions share ends in a refusal to open the file.
    """
    figures = crash("flip", "--size", "60")

    assert _wrong(figures) == [0, 0]
    assert int(str(figures["refused"])) > 20
    assert int(str(figures["right"])) > 60 * 40
    assert float(str(figures["hit_mean"])) < 2


@pytest.mark.timeout(60)
def test_a_file_that_ends_early_is_refused() -> None:
    """P2: a truncated file is no smaller database and no new one."""
    figures = crash("cut", "--size", "15")

    assert _wrong(figures) == [0, 0]
    assert int(str(figures["unopened"])) > 5


@pytest.mark.timeout(60)
def test_a_torn_log_keeps_all_that_was_acknowledged() -> None:
    """A9, row 5: a power cut leaves what was synced, and whole turns of one moment."""
    figures = crash("tear", "--size", "40")

    assert figures["notes"] == []
    assert [figures[name] for name in ("lost", "half", "refused")] == [0, 0, 0]
    assert figures["writes"] == 150


@pytest.mark.parametrize(
    ("totals", "whole", "expected"),
    [
        ((1, 1), 200, (0, 0)),
        ((1, 0), 150, (0, 0)),
        ((0, 0), 150, (1, 0)),
        ((0, 1), 50, (0, 1)),
        ((0, 0), 50, (0, 0)),
    ],
)
def test_a_log_is_judged_by_what_was_whole_and_in_which_order(
    totals: tuple[int, int], whole: int, expected: tuple[int, int]
) -> None:
    """A9: a was acknowledged at byte 100 before b began, b at byte 200."""
    a, b = ("acme", "a"), ("acme", "b")
    written = [Written(a, 1, 10, 20, 100), Written(b, 1, 30, 40, 200)]
    found = {a: Sight(totals[0], whole=True), b: Sight(totals[1], whole=True)}

    assert compare(written, found, whole) == expected
