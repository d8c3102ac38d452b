from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from .command import Figures, crash
from .events import Event
from .ledger import Ledger

__all__: list[str] = []


@pytest.mark.timeout(400)
def test_what_was_acknowledged_survives_kill_9() -> None:
    """A9, G15, row 4: 300 kills, in recovery too: states, topologies, letters, timers.

    Three files side by side, as a kill waits for the disk most of the time.
    """
    with ThreadPoolExecutor(3) as pool:
        every = list(pool.map(_killed_a_hundred_times, ("1", "2", "3")))

    assert [figures["notes"] for figures in every] == [[], [], []]
    for figures in every:
        faults = ("lost", "half", "hung", "died", "integrity")
        assert [figures[name] for name in faults] == [0, 0, 0, 0, "ok"]
    assert _sum(every, "kills") == 300
    assert _sum(every, "early") > 20
    assert _sum(every, "acked") > 2_000


def _killed_a_hundred_times(seed: str) -> Figures:
    return crash("--seed", seed, "kill", "--size", "100")


def _sum(every: list[Figures], name: str) -> int:
    return sum(int(str(figures[name])) for figures in every)


@pytest.mark.timeout(60)
def test_a_store_that_answers_too_early_is_found_out() -> None:
    """A9: the proof can fail; a store that acknowledges before it writes does it."""
    figures = crash("kill", "--size", "5", "--plant", "hasty")

    assert int(str(figures["lost"])) > 0


def _book(*events: Event) -> Ledger:
    ledger = Ledger()
    for event in events:
        ledger.take(event)
    return ledger


def _asked(total: int) -> list[Event]:
    return [Event("begun", "p", "s", total), Event("acked", "p", "s", total)]


@pytest.mark.parametrize(
    ("found", "lost", "half"), [(1, 1, 0), (2, 0, 0), (3, 0, 0), (4, 0, 1)]
)
def test_begun_work_may_be_found_or_not_and_nothing_else(
    found: int, lost: int, half: int
) -> None:
    """A9: two were acknowledged, a third was begun."""
    ledger = _book(
        *_asked(1),
        *_asked(2),
        Event("begun", "p", "s", 3),
        Event("opened"),
        Event("found", "p", "s", found),
        Event("looked"),
    )

    assert (ledger.lost, ledger.half) == (lost, half)


def test_a_look_that_was_killed_counts_for_nothing() -> None:
    """A9: only who has looked at everything can say that something is missing."""
    ledger = _book(
        *_asked(1),
        Event("opened"),
        Event("opened"),
        Event("found", "p", "s", 1),
        Event("looked"),
    )

    assert (ledger.lost, ledger.half, ledger.looks) == (0, 0, 1)


@pytest.mark.parametrize(
    ("did", "found", "lost", "half"),
    [
        ("adding", True, 0, 0),
        ("adding", False, 0, 0),
        ("added", True, 0, 0),
        ("added", False, 1, 0),
        ("removing", True, 0, 0),
        ("removing", False, 0, 0),
        ("removed", True, 0, 1),
        ("removed", False, 0, 0),
    ],
)
def test_a_node_is_there_once_it_was_added_until_it_was_removed(
    did: str, found: bool, lost: int, half: int
) -> None:
    """G15: an acknowledged change of a topology is back, an unfinished one may be."""
    node = [Event("node", "p", "n"), Event("found", "p", "n", 0)]
    ledger = _book(
        Event("added", "p", "n"),
        Event(did, "p", "n"),
        Event("opened"),
        *(node if found else ()),
        Event("looked"),
    )

    assert (ledger.lost, ledger.half) == (lost, half)


def test_an_instance_that_is_not_found_is_lost() -> None:
    """A9: nothing found is worse than too little."""
    ledger = _book(*_asked(1), Event("opened"), Event("looked"))

    assert ledger.lost == 1
