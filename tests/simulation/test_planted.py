"""Mistakes that are planted on purpose: a harness that finds none proves nothing."""

from __future__ import annotations

import asyncio
import contextvars
import re
from collections.abc import Callable

import attrs
import pytest

from persistence import PodsError, Unit, Writer
from persistence.sql import operations
from persistence.sqlite import transactions
from supervision import AskTimeout
from supervision.agents.instance import Instance
from supervision.execution.turns import Turns
from supervision.messaging.delivery import Delivery
from tests.simulation.plan import Plan
from tests.simulation.runs import run

__all__: list[str] = []

SEEDS = 60


CONTESTED = Plan(
    clients=4,
    steps=12,
    partitions=("acme",),
    keys=("k",),
    taken_over=True,
    fault_rate=0.0,
    kinds=(),
    slow=0.0,
    hold=0.1,
    crashes=(),
    idle=None,
    mailbox=1_000,
    impatience=0.0,
)
"""Two processes that work on the same ledger."""
CROWDED = attrs.evolve(CONTESTED, clients=5, steps=20, taken_over=False)
"""One process whose only ledger always has something in its mailbox."""


def found_by(seeds: range, plan: Plan | None = None) -> str:
    """Return what the first run says that fails."""
    for seed in seeds:
        try:
            run(seed, plan=plan)
        except (AssertionError, AskTimeout) as error:
            return f"seed {seed}: {error}"
    return ""


def _no(*_: object) -> bool:
    return False


@pytest.mark.timeout(60)
def test_an_answer_before_the_commit_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 1: a writer that does not wait for the disk loses what it acknowledged."""
    commit = Writer.commit

    def at_once(
        self: Writer,
        unit: Unit,
        ended: Callable[[PodsError | None], None],
        context: contextvars.Context,
    ) -> None:
        commit(self, unit, lambda _: None, context)
        _ = asyncio.get_running_loop().call_soon(ended, None, context=context)

    monkeypatch.setattr(Writer, "commit", at_once)

    assert "lost" in found_by(range(SEEDS))


@pytest.mark.timeout(60)
def test_a_save_that_asks_for_no_owner_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Row 1, holds 5: without the fence a process that was taken over writes on."""
    for module, name in (
        (operations, "INSERT"),
        (operations, "UPDATE"),
        (transactions, "UPDATE"),
        (transactions, "MOVE"),
    ):
        statement = getattr(module, name)
        weak = re.sub(r"(AND|WHERE) EXISTS \(.*?\)", "", statement, flags=re.DOTALL)
        weak = weak.replace("AND rev = :rev - 1", "")
        weak = weak.replace("INSERT INTO", "INSERT OR REPLACE INTO")
        assert weak != statement
        monkeypatch.setattr(module, name, weak)
    monkeypatch.setattr(transactions, "MUST_HIT", frozenset[str]())
    monkeypatch.setattr(transactions, "_apply_together", _no)

    assert "lost" in found_by(range(SEEDS), CONTESTED)


def test_two_processes_on_the_same_rows_lose_nothing() -> None:
    """Row 1, holds 5: with the fence, the same runs are clean."""
    assert not found_by(range(5), CONTESTED)


def test_one_crowded_ledger_forgets_nothing_and_repeats_nothing() -> None:
    """Row 1, A9: nor does it handle a timer that has been replaced."""
    assert not found_by(range(5), CROWDED)


@pytest.mark.timeout(60)
def test_a_turn_that_is_not_undone_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 1: a handler that fails leaves nothing of what it changed."""
    monkeypatch.setattr(Turns, "_undo", _no)

    assert found_by(range(SEEDS))


@pytest.mark.timeout(60)
def test_mail_that_is_lost_on_the_way_to_a_successor_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Row 1: who asks an instance that hibernates gets an answer."""

    def lose(_: Delivery, instance: Instance) -> None:
        while instance.mail:
            instance.mail.take()
        instance.waiters = None

    monkeypatch.setattr(Delivery, "rehome", lose)

    assert found_by(range(SEEDS))


@pytest.mark.timeout(60)
def test_a_replaced_timer_that_is_handled_all_the_same_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Row 1, A9: it was in a mailbox when another one took its place."""
    monkeypatch.setattr("supervision.messaging.mailroom.recall_letter", _no)

    assert "replaced and handled" in found_by(range(SEEDS), CROWDED)
