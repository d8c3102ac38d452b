from __future__ import annotations

import attrs
import pytest

from persistence import (
    Address,
    Answer,
    Bury,
    Delete,
    Exhume,
    ForgetReplies,
    Operation,
    Post,
    PutQuarantine,
    Quarantine,
    Reply,
    Save,
    StaleRevision,
    Take,
    Unit,
)
from persistence.postgres.plan import Step, at_fault, steps_of, together, unfit
from persistence.sql.letter_statements import ANSWER, FORGET_REPLIES
from persistence.sql.statements import DELETE, INSERT, UPDATE
from persistence.testing import letter, save, state, unit

__all__: list[str] = []


def steps(*units: Unit) -> list[list[Step]]:
    return [steps_of(index, one) for index, one in enumerate(units)]


def flat(units: list[list[Step]]) -> list[Step]:
    return [step for one in units for step in one]


def missed(units: list[list[Step]], *indexes: tuple[int, int]) -> frozenset[Step]:
    """Say which steps hit nothing, by (unit, step)."""
    return frozenset(units[unit][step] for unit, step in indexes)


LONG = "長" * 800
"""A key of 2,400 bytes, which an index takes if little else is in its rows."""

HERE = Address("acme", "workers", LONG)


class TestUnfit:
    @pytest.mark.parametrize(
        "operation",
        [
            Save(state("長" * 1_000)),
            Save(state("k", 2, parent=Address("acme", "workers", "長" * 1_000))),
            Post(attrs.evolve(letter("1", LONG), id="@" + LONG)),
            Answer(Reply(HERE, LONG, b"d", b"1", 9.0)),
            PutQuarantine(Quarantine(Address("acme", "w", "長" * 1_000), "x", 1.0)),
        ],
    )
    def test_a_key_that_no_index_takes_is_found_before_it_is_sent(
        self, operation: Operation
    ) -> None:
        """P1: the server would end the transaction of everybody for it."""
        found = unfit(steps(save("j"), unit(Save(state("k")), operation)))

        assert list(found) == [1]
        assert "larger than an index" in str(found[1])

    @pytest.mark.parametrize(
        "operation",
        [
            Save(state(LONG)),
            Save(state("k" * 2_048, body=b"x" * 9_000)),
            Post(attrs.evolve(letter("1"), body=b"x" * 9_000)),
            Answer(Reply(HERE, "k" * 100, b"d", b"x" * 9_000, 9.0)),
            Take(HERE, "@" + LONG, ""),
            Delete(Address("acme", "workers", "長" * 2_000)),
        ],
    )
    def test_what_is_long_elsewhere_is_sent(self, operation: Operation) -> None:
        """A4: the keys that can be stored are stored, and what is not is not missed."""
        assert unfit(steps(unit(operation))) == {}


class TestTogether:
    def test_saves_of_many_units_are_two_runs(self) -> None:
        """A6: a batch costs as many round trips as it has kinds of statements."""
        units = [save(f"k{n}", 1 + n % 2) for n in range(100)]

        runs = together(flat(steps(*units)))

        assert [run.statement for run in runs] == [INSERT, UPDATE]
        assert [len(run.steps) for run in runs] == [50, 50]

    def test_what_touches_a_row_keeps_its_order(self) -> None:
        """A9: a row that is removed and made again is removed first."""
        address = Address("acme", "workers", "k")
        units = [save("k"), save("k", 2), unit(Delete(address)), save("k"), save("j")]

        runs = together(flat(steps(*units)))

        of_k = [
            (run.statement, step.unit)
            for run in runs
            for step in run.steps
            if step.parameters.get("key") == '"k"' and "records" in run.statement
        ]
        assert of_k == [(INSERT, 0), (UPDATE, 1), (DELETE, 2), (INSERT, 3)]

    def test_turns_that_write_to_each_other_stay_few_runs(self) -> None:
        """A6: fifty turns, each with a state, a letter taken and a letter posted."""
        units = [
            unit(
                Save(state(f"k{n}", 2)),
                Take(letter(f"in{n}", f"k{n}").target, f"in{n}", f"in{n}"),
                Post(letter(f"out{n}", f"k{(n + 1) % 50}")),
            )
            for n in range(50)
        ]

        runs = together(flat(steps(*units)))

        assert len(runs) <= 5

    @pytest.mark.parametrize(
        "operations",
        [
            [Post(letter("1")), Take(letter("1").target, "1", "1")],
            [
                Bury("acme", "workers", '"k"', "1", "1", 3, "why", 9.0),
                Exhume("acme", "1"),
            ],
            [
                Answer(Reply(Address("acme", "workers", "k"), "r", b"d", b"1", 9.0)),
                ForgetReplies("acme", 10.0),
                Answer(Reply(Address("acme", "workers", "j"), "r", b"d", b"1", 9.0)),
            ],
        ],
    )
    def test_what_may_touch_the_same_row_is_never_turned_round(
        self, operations: list[Operation]
    ) -> None:
        """A9: also where rows are removed without their instance being named."""
        wanted = [step.statement for step in steps_of(0, unit(*operations))]

        runs = together(steps_of(0, unit(*operations)))

        assert [run.statement for run in runs] == wanted

    def test_replies_of_two_partitions_do_not_wait_for_each_other(self) -> None:
        """A6: a partition that forgets replies does not cost another a round trip."""
        target = Address("globex", "workers", "k")
        units = steps(
            unit(ForgetReplies("acme", 10.0)),
            unit(Answer(Reply(target, "r", b"d", b"1", 9.0)), partition="globex"),
            unit(ForgetReplies("globex", 10.0), partition="globex"),
            unit(ForgetReplies("acme", 10.0)),
        )

        runs = together(flat(units))

        assert [run.statement for run in runs] == [
            FORGET_REPLIES,
            ANSWER,
            FORGET_REPLIES,
        ]


class TestAtFault:
    def test_a_unit_that_missed_is_refused(self) -> None:
        """A9: and no other."""
        units = steps(save("a", 2), save("b", 2), save("c", 2))

        refused = at_fault(units, missed(units, (1, 0)))

        assert list(refused) == [1]
        assert isinstance(refused[1], StaleRevision)

    def test_units_that_cannot_have_disturbed_each_other_are_refused_at_once(
        self,
    ) -> None:
        """P1: five hundred stale units cost one more transaction."""
        units = steps(*(save(f"k{n}", 2) for n in range(500)))

        refused = at_fault(units, missed(units, *((n, 0) for n in range(500))))

        assert len(refused) == 500

    def test_a_unit_that_missed_because_of_a_refused_one_is_judged_again(self) -> None:
        """A9: without the first unit, the second finds the row as it expects it."""
        units = steps(unit(Save(state("a", 2)), Save(state("b", 9))), save("a", 2))

        refused = at_fault(units, missed(units, (0, 1), (1, 0)))

        assert list(refused) == [0]

    def test_a_unit_that_missed_because_of_a_doubtful_one_is_judged_again(self) -> None:
        """A9: the second unit hit only on account of the first, and hid the third."""
        units = steps(
            unit(Save(state("a", 9)), Save(state("b", 2))),
            unit(Save(state("b", 3)), Save(state("c", 2))),
            save("c", 2),
        )

        refused = at_fault(units, missed(units, (0, 0), (2, 0)))

        assert list(refused) == [0]
