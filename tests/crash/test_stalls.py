from __future__ import annotations

import pytest

from .command import Figures, crash
from .stalls import Patience, Spent

__all__: list[str] = []


def _a_kill(plant: str) -> Figures:
    return crash("kill", "--size", "1", "--plant", plant, "--patience", "0.3")


@pytest.mark.timeout(60)
def test_a_process_that_stands_still_is_found_out_and_says_where() -> None:
    """Row 4: threads and tasks are named, and how the time was spent."""
    figures = _a_kill("silent")

    assert int(str(figures["hung"])) > 0
    story = str(figures["notes"])
    assert "hung: in " in story
    assert "Current thread" in story
    assert "in _never" in story


@pytest.mark.timeout(60)
def test_a_process_that_ends_by_itself_is_found_out_and_says_why() -> None:
    """Row 4: it is not taken for one that is slow."""
    figures = _a_kill("refusing")

    assert int(str(figures["died"])) > 0
    assert "StoreUnavailable" in str(figures["notes"])


@pytest.mark.parametrize(
    ("spent", "over"),
    [
        (Spent(running=0.0, queued=0.0), True),
        (Spent(running=10.0, queued=0.0), True),
        (Spent(running=1.0, queued=9.0), False),
        (Spent(running=1.0, queued=0.0, asleep=True), False),
    ],
)
def test_patience_runs_out_with_the_time_that_a_process_had(
    spent: Spent, over: bool
) -> None:
    """Row 4: to wait for a processor or for the disk is not to stand still."""
    patience = Patience(5.0, began=0.0)

    assert patience.is_over(10.0, spent) is over


def test_patience_has_an_end_on_the_busiest_machine() -> None:
    """Row 4: a run comes to its end."""
    patience = Patience(5.0, began=0.0)

    assert patience.is_over(1_000.0, Spent(queued=1_000.0))
