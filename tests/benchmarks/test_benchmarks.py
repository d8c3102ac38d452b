"""The benchmarks work: each runs at a tiny size, and its results have their form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmarks import __main__ as command
from tests.benchmarks.beside import messages, steps
from tests.benchmarks.cases.peers import beside
from tests.benchmarks.figures import Absent, Reach, Row, at_least, at_most
from tests.benchmarks.harness import TINY, Case, Size, alternate
from tests.benchmarks.picture import draw
from tests.benchmarks.registry import CASES
from tests.benchmarks.report import Report, load, write_docs

__all__: list[str] = []


def row(
    *pairs: tuple[float, float], reach: Reach | None = None, name: str = "r"
) -> Row:
    return Row(
        name=name, what="this", reference="that", unit="µs", pairs=pairs, reach=reach
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_gives_ratios_and_says_whether_they_reach(
    case: Case, tmp_path: Path
) -> None:
    file = tmp_path / "results.json"

    command.main(["--only", case.name, "--size", "tiny", "--json", str(file)])

    whole = json.loads(file.read_text(encoding="utf-8"))
    assert {"cpu", "python", "sqlite", "date", "load", "command"} <= whole[
        "about"
    ].keys()
    if not case.optional:
        assert case.name in whole["results"]
    for found in whole["results"].values():
        assert 0 < found["ratio_min"] <= found["ratio_median"] <= found["ratio_max"]
        assert (found["met"] is None) == (found["reach"] is None)


def test_a_ratio_is_taken_pair_by_pair() -> None:
    """A slow moment slows both sides of a pair; medians of each side would mix them."""
    found = row((1.0, 2.0), (40.0, 10.0), (3.0, 3.0))

    assert found.ratios == (0.5, 4.0, 1.0)
    assert (found.ratio, found.ours, found.theirs) == (1.0, 3.0, 3.0)


@pytest.mark.parametrize(
    ("reach", "met"),
    [(at_most(0.5), True), (at_most(0.4), False), (at_least(0.5), True), (None, None)],
)
def test_a_row_is_judged_by_its_median(reach: Reach | None, met: bool | None) -> None:
    found = row((1.0, 2.0), (1.0, 1.0), (1.0, 9.0), reach=reach)

    assert found.met is met


async def test_who_is_measured_first_changes() -> None:
    log: list[str] = []

    async def side(name: str) -> float:
        log.append(name)
        return float(len(log))

    pairs = await alternate(
        lambda: side("ours"), lambda: side("theirs"), Size(repetitions=2, warm_up=1)
    )

    assert log == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert pairs == ((4.0, 3.0), (5.0, 6.0))


def test_results_come_back_as_they_were_written() -> None:
    report = Report(
        about={"cpu": "any"},
        rows=[row((1.0, 2.0), reach=at_least(0.35)), row((3.0, 4.0), name="other")],
        absent={"elsewhere": "not installed"},
    )

    assert load(report.as_text()) == report


def test_a_system_that_is_missing_or_fails_is_told_of() -> None:
    missing = beside("nigrains", "no-such-distribution", ("messages",), TINY)
    failing = beside("no_such_adapter", "attrs", ("messages",), TINY)

    assert missing == [Absent("no-such-distribution", "not installed")]
    [told] = failing
    assert isinstance(told, Absent)
    assert "no_such_adapter" in told.why


async def test_other_systems_are_asked_for_what_podvisor_is_asked_for() -> None:
    found = {**await messages("podvisor", TINY), **await steps("podvisor", TINY)}

    assert found.keys() == {"ask", "tell", "activate", "durable_step"}
    assert all(min(pair) > 0 for pairs in found.values() for pair in pairs)


def test_the_picture_has_a_bar_for_what_is_judged() -> None:
    picture = draw([row((1.0, 2.0), reach=at_most(1), name="seen"), row((1.0, 2.0))])

    assert picture.count('class="yes"') == 1
    assert "seen" in picture


def test_the_docs_are_written_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for name in ("README.md", "docs/benchmarks.md"):
        source = command.ROOT / name
        (tmp_path / name).write_text(source.read_text(encoding="utf-8"), "utf-8")
    named = ("ask_sequential", "durable_ask", "idle_memory", "hibernated_memory")
    rows = [row((2.0, 4.0), reach=at_most(1), name=name) for name in named]
    about = dict.fromkeys(
        ("date", "command", "cpu", "cores", "memory", "load", "system", "python"), "any"
    )
    about |= {"sqlite": "3", "packages": "none"}

    write_docs(Report(about=about, rows=rows), tmp_path)

    written = (tmp_path / "docs/benchmarks.md").read_text(encoding="utf-8")
    assert "| `ask_sequential` | this: **2 µs** | that: 4 µs | 0.50 |" in written
    assert "0.50 times" in (tmp_path / "README.md").read_text(encoding="utf-8")
    assert (tmp_path / "docs/benchmarks.svg").exists()
