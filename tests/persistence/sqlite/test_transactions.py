from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TypeGuard

import pytest

from persistence import (
    Address,
    Answer,
    Bury,
    Delete,
    Letter,
    Post,
    Reply,
    Save,
    StaleOwner,
    StaleRevision,
    StoreError,
    Unit,
    open_store,
)
from persistence.sql.operations import Parameters
from persistence.sql.suspects import Suspects
from persistence.sqlite.bulk_saves import Values
from persistence.sqlite.engine import transaction
from persistence.sqlite.transactions import apply_units
from persistence.testing import opened, save, state, unit

__all__: list[str] = []

PARTITIONS = ("acme", *(f"p{n}" for n in range(20)))
TARGET = Address("acme", "workers", "one")
LETTER = Letter(TARGET, "s1", "s1", "Do", 1, b"{}")
REPLY = Reply(TARGET, "order-17", b"digest", b"3", expires=9e9)


class Damaged(sqlite3.Connection):
    """A database some of whose statements find a damaged page, in order.

    The driver raises no ``OperationalError`` for that, and the transaction stays open.
    """

    failing: tuple[str, ...] = ()
    calls: int = 0
    tried: Counter[str]
    suspects: Suspects

    def execute(self, sql: str, parameters: object = ()) -> sqlite3.Cursor:
        self._meet(sql)
        return super().execute(sql, parameters)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  as it came

    def executemany(self, sql: str, parameters: object) -> sqlite3.Cursor:
        self._meet(sql)
        assert _are_rows(parameters)
        for row in parameters:
            values = row.values() if isinstance(row, dict) else row
            self.tried[next(v for v in values if v in PARTITIONS)] += 1
        return super().executemany(sql, parameters)

    def _meet(self, sql: str) -> None:
        self.calls += 1
        if self.failing and sql.strip().startswith(self.failing[0]):
            self.failing = self.failing[1:]
            error = sqlite3.DatabaseError("database disk image is malformed")
            error.sqlite_errorcode, error.sqlite_errorname = 11, "SQLITE_CORRUPT"
            raise error


def _are_rows(parameters: object) -> TypeGuard[list[Values | Parameters]]:
    return isinstance(parameters, list)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make a database whose partitions have an owner."""
    path = tmp_path / "podvisor.db"

    async def claim() -> None:
        make = partial(open_store, f"sqlite+aiosqlite:///{path}")
        async with opened(make, *PARTITIONS):
            pass

    asyncio.run(claim())
    return path


@pytest.fixture
def database(path: Path) -> Generator[Damaged]:
    with closing(Damaged(path, isolation_level=None)) as found:
        found.tried, found.suspects = Counter(), Suspects(batches=20)
        yield found


def apply(
    database: Damaged, units: Sequence[Unit], *failing: str
) -> list[StoreError | None] | sqlite3.Error:
    """Save units as the writer does, while statements fail that begin with a text."""
    database.failing = failing
    try:
        return transaction(
            database, lambda found: apply_units(found, units, database.suspects)
        )
    except sqlite3.Error as error:
        return error
    finally:
        assert not database.failing


def rows(path: Path) -> dict[str, int]:
    """Count what another process finds in each table."""
    tables = ("records", "letters", "dead_letters", "replies")
    with closing(sqlite3.connect(path)) as other:
        return {
            name: other.execute(f"SELECT count(*) FROM podvisor_{name}").fetchone()[0]  # noqa: S608  constants
            for name in tables
        }


@pytest.mark.parametrize("undoing", ["ROLLBACK TO", "RELEASE"])
def test_a_unit_that_cannot_be_undone_is_not_committed_half(
    database: Damaged, path: Path, undoing: str
) -> None:
    """Holds 3: a reply that is not stored takes the state with it, whatever fails."""
    half = unit(Save(state("one")), Answer(REPLY))

    refused = apply(database, [half], "INSERT INTO podvisor_replies", undoing)
    after = rows(path)
    again = apply(database, [half])

    assert isinstance(refused, sqlite3.OperationalError)
    assert refused.sqlite_errorname == "SQLITE_CORRUPT"
    assert not any(after.values())
    assert again == [None]


def test_units_that_cannot_be_undone_together_are_not_tried_apart(
    database: Damaged, path: Path
) -> None:
    """Holds 3: what is left of the first try would be committed with the second."""
    units = [save("one"), unit(Save(state("two")), Answer(REPLY))]

    refused = apply(database, units, "INSERT INTO podvisor_replies", "ROLLBACK TO")

    assert isinstance(refused, sqlite3.OperationalError)
    assert not any(rows(path).values())


def test_units_whose_savepoint_does_not_end_are_undone_and_tried_apart(
    database: Damaged, path: Path
) -> None:
    """Holds 3: rows of the first try would make the second look stale."""
    answers = apply(database, [save("one"), save("two")], "RELEASE")

    assert answers == [None, None]
    assert rows(path)["records"] == 2


def test_an_operation_of_two_statements_is_whole(database: Damaged, path: Path) -> None:
    """Holds 3: a letter is alive or dead, and never both."""
    assert apply(database, [unit(Post(LETTER))]) == [None]
    bury = Bury(
        partition="acme",
        manager="workers",
        key='"one"',
        id="s1",
        stamp="s1",
        tries=5,
        reason="poison",
        since=1.0,
    )

    (refused,) = _answers(apply(database, [unit(bury)], "DELETE"))
    after = rows(path)
    again = apply(database, [unit(bury)])

    assert refused is not None
    assert (after["letters"], after["dead_letters"]) == (1, 0)
    assert again == [None]
    assert (rows(path)["letters"], rows(path)["dead_letters"]) == (0, 1)


def test_rows_of_many_partitions_are_one_call_of_the_driver(
    database: Damaged,
) -> None:
    """A6: who shares a transaction shares the way to the database too."""
    first = [save("k", 1, partition=name) for name in PARTITIONS]
    second = [save("k", 2, partition=name) for name in PARTITIONS]
    apply(database, first)
    before = database.calls

    answers = apply(database, second)

    assert answers == [None] * len(PARTITIONS)
    assert database.calls - before == len(
        ("BEGIN IMMEDIATE", "SAVEPOINT", "UPDATE", "RELEASE", "COMMIT")
    )


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        (save("k", 7), StaleRevision),
        (save("k", 1), StaleRevision),
        (unit(Save(state("k", 2)), epoch=9), StaleOwner),
        (unit(Delete(Address("acme", "workers", "k")), epoch=9), StaleOwner),
        (unit(Save(state("new")), Save(state("k", 7))), StaleRevision),
    ],
)
@pytest.mark.parametrize("neighbours", [0, 2])
def test_a_refusal_in_one_partition_is_felt_by_no_other(
    database: Damaged, refused: Unit, error: type[StoreError], neighbours: int
) -> None:
    """A6: a batch that is undone for one unit is done again for all the others."""
    apply(database, [save("k", 1, partition=name) for name in PARTITIONS])
    others = [save("k", 2, partition=name) for name in PARTITIONS[1:]]
    same = [save(f"n{n}") for n in range(neighbours)]

    answers = _answers(apply(database, [*others, *same, refused, save("last")]))

    assert [type(answer) for answer in answers if answer] == [error]
    assert isinstance(answers[-2], error)
    found = database.execute(
        "SELECT partition, key, rev FROM podvisor_records WHERE rev = 2 OR key <> ?",
        ('"k"',),
    ).fetchall()
    wanted = [(name, '"k"', 2) for name in PARTITIONS[1:]]
    wanted += [("acme", f'"n{n}"', 1) for n in range(neighbours)]
    assert sorted(found) == sorted([*wanted, ("acme", '"last"', 1)])


def stale(_: int) -> Unit:
    return save("bad", 7)


def unbindable(turn: int) -> Unit:
    return save(f"bad{turn}\ud800")


def moved(turn: int) -> Unit:
    """Save a row under another parent each time, which is no fault at all."""
    parent = Address("acme", "workers", f"parent{turn}")
    return unit(Save(state("child", turn, parent=parent)))


@pytest.mark.parametrize("provoking", [stale, unbindable, moved])
def test_a_partition_that_has_every_batch_done_again_costs_the_others_one_try(
    database: Damaged, provoking: Callable[[int], Unit]
) -> None:
    """P1: from its first fault on it is tried apart, and shares no fault any more."""
    others, turns = PARTITIONS[1:], 60

    for turn in range(1, turns + 1):
        mine = [save("k", turn), provoking(turn)]
        rest = [save("k", turn, partition=name) for name in others]
        answers = _answers(apply(database, [*rest, *mine]))

        assert answers[:-1] == [None] * (len(others) + 1)
        assert (answers[-1] is None) == (provoking is moved)

    assert {database.tried[name] for name in others} <= {turns, turns + 1}
    assert len(database.suspects) == 1


def test_a_partition_that_has_behaved_for_a_while_is_tried_with_the_others(
    database: Damaged,
) -> None:
    """P1: one fault does not set it apart for ever."""
    apply(database, [stale(1), *(save("k", partition=p) for p in PARTITIONS[1:3])])
    calls: list[int] = []

    for rev in range(1, 23):
        before = database.calls
        apply(database, [save("k", rev), save("j", rev, partition="p9")])
        calls.append(database.calls - before)

    alone, together = 2 + 2 * len(("SAVEPOINT", "UPDATE", "RELEASE")), 2 + 3
    assert calls == [*[alone] * 20, together, together]


def test_units_of_a_partition_that_is_tried_apart_keep_their_order(
    database: Damaged,
) -> None:
    """A9: its revisions are saved one after the other, and so are those beside them."""
    apply(database, [stale(1), save("k", partition="p1")])
    units = [save("k", rev, partition=p) for rev in (2, 3, 4) for p in ("acme", "p1")]

    answers = _answers(apply(database, [save("k"), *units]))

    assert answers == [None] * 7
    found = database.execute("SELECT partition, rev FROM podvisor_records")
    assert sorted(found.fetchall()) == [("acme", 4), ("p1", 4)]


def _answers(
    found: list[StoreError | None] | sqlite3.Error,
) -> list[StoreError | None]:
    assert isinstance(found, list)
    return found
