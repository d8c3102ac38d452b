"""The Monday: what the others wait while one tenant floods the host."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from examples import monday
from examples.monday import Outcome

__all__: list[str] = []


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("monday") / "monday.svg"


@pytest.fixture(scope="module")
def outcomes(file: Path) -> dict[str, Outcome]:
    return {outcome.name: outcome for outcome in monday.main(file)}


def test_six_decisions_live_through_the_same_day(outcomes: dict[str, Outcome]) -> None:
    """O4: all rows in one run, and no job is lost under any of them."""
    jobs = len(monday.arrivals())

    assert len(outcomes) == 6
    assert {len(outcome.waits) for outcome in outcomes.values()} == {jobs}


def test_without_fairness_the_others_wait_for_the_flood(
    outcomes: dict[str, Outcome],
) -> None:
    """O4: one queue for all makes everybody wait for minutes."""
    fifo = outcomes["first come, first served"]

    assert fifo.others_worst > 500
    assert fifo.others_late > 100


def test_fairness_alone_costs_the_others_one_job(outcomes: dict[str, Outcome]) -> None:
    """O4: without a cap a newcomer waits until one of a hundred seats is free."""
    for name in ("round robin", "fair, no cap"):
        assert 45 < outcomes[name].others_worst <= 60
        assert outcomes[name].others_late == 0


def test_a_cap_alone_keeps_the_flood_waiting_for_hours(
    outcomes: dict[str, Outcome],
) -> None:
    """O4: nobody else waits, and 80 seats stand idle for three hours."""
    for name in ("cap of 20, no burst", "fair + cap of 20"):
        assert outcomes[name].others_worst <= 45.5
        assert outcomes[name].flood_took == pytest.approx(188, abs=1)


def test_with_a_burst_the_others_wait_for_nothing_and_the_flood_is_soon_over(
    outcomes: dict[str, Outcome],
) -> None:
    """O4: others at most 45.5 s, no target missed, X done within 52 minutes."""
    best = outcomes["fair + cap + burst"]

    assert best.others_worst <= 45.5
    assert best.others_late == 0
    assert best.flood_took <= 52


def test_the_picture_has_a_panel_per_decision(
    outcomes: dict[str, Outcome], file: Path
) -> None:
    """O4: who waited how long, over time."""
    root = ET.fromstring(file.read_text())  # noqa: S314  our own file

    groups = root.findall("{http://www.w3.org/2000/svg}g")

    dots = [
        len(group.findall("{http://www.w3.org/2000/svg}circle")) for group in groups
    ]
    assert len(groups) == len(outcomes) == 6
    assert dots[0] > dots[-1] > 0


def test_the_table_has_a_row_per_decision(
    outcomes: dict[str, Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    """O4: what a reader of the example sees."""
    monday.show(list(outcomes.values()))

    printed = capsys.readouterr().out
    assert all(name in printed for name in outcomes)
