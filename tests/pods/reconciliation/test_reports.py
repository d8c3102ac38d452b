from __future__ import annotations

import pytest

from pods.reconciliation.reports import (
    MAX_LINES,
    Failure,
    MutationReport,
    NodeResult,
    ReconcileReport,
    Source,
)

CRASH = Failure.of(RuntimeError("no more paper"))


def test_a_reconciliation_is_ok_when_nothing_failed_or_waits() -> None:
    """G8: one word for the caller."""
    fine = ReconcileReport(nodes=(NodeResult("a", Source.RUNNING),))

    assert fine.ok
    assert not ReconcileReport(failures={"a": CRASH}).ok
    assert not ReconcileReport(pending=("a",)).ok


def test_a_reconciliation_names_its_nodes() -> None:
    """G8: completed, failed, pending; where each node came from."""
    report = ReconcileReport(
        requested=("a", "b", "c", "d"),
        waves=(("a", "b"), ("c",), ("d",)),
        nodes=(NodeResult("a", Source.STARTED), NodeResult("b", Source.ADOPTED)),
        failures={"c": CRASH},
        pending=("d",),
    )

    assert report.completed == ("a", "b")
    assert report.failed == ("c",)
    assert str(report) == (
        "not ok: 2 running, 1 failed, 1 pending, 3 waves\n"
        "  c  failed    RuntimeError: no more paper\n"
        "  d  pending\n"
        "  a  started\n"
        "  b  adopted"
    )


def test_a_mutation_says_added_removed_started_stopped_and_failures() -> None:
    """G15: the report."""
    report = MutationReport(
        added=("eager_one", "lazy_one"),
        removed=("old", "stuck"),
        started=("eager_one",),
        stopped=("old",),
        failures={"stuck": CRASH},
    )

    assert not report.ok
    assert str(report) == (
        "not ok: 2 added, 2 removed, 1 started, 1 stopped, 1 failed\n"
        "  stuck      failed    RuntimeError: no more paper\n"
        "  old        removed   stopped\n"
        "  stuck      removed\n"
        "  eager_one  added     started\n"
        "  lazy_one   added"
    )


def test_an_empty_report_is_one_line() -> None:
    """G15: nothing to do is fine."""
    assert MutationReport().ok
    assert str(MutationReport()) == (
        "ok: 0 added, 0 removed, 0 started, 0 stopped, 0 failed"
    )
    assert str(ReconcileReport()) == "ok: 0 running, 0 failed, 0 pending, 0 waves"


def test_a_long_report_is_cut_and_says_so() -> None:
    """G15: bounded in print, whole as a value."""
    nodes = tuple(NodeResult(f"n{i}", Source.STARTED) for i in range(1_000))
    report = ReconcileReport(nodes=nodes, failures={"bad": CRASH})

    lines = str(report).splitlines()

    assert len(lines) == MAX_LINES + 2
    assert lines[1].startswith("  bad")
    assert lines[-1] == f"  and {1_001 - MAX_LINES} more"
    assert len(report.completed) == 1_000


def test_a_failure_is_one_bounded_line() -> None:
    """G15: a message of a megabyte or of many lines does not flood the log."""
    long = Failure.of(ValueError("line\n" * 1_000_000))

    assert len(long.text) == 300
    assert long.text.endswith("…")
    assert "\n" not in long.text
    assert str(Failure.of(KeyError())) == "KeyError"


def test_a_report_does_not_change_with_what_it_was_made_of() -> None:
    """G15: a value."""
    failures = {"a": CRASH}
    report = MutationReport(failures=failures)

    failures.clear()

    assert report.failures == {"a": CRASH}
    with pytest.raises(TypeError):
        report.failures["b"] = CRASH  # type: ignore[index] # pyright: ignore[reportIndexIssue]
