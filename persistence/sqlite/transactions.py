"""How units become rows, inside one transaction.

A batch is first tried as a whole: what uses the same statement is one call of the
driver, which carries the statement out for row after row. If any row is not where its
writer believes, all of it is undone; then each partition is tried as a whole, and where
that fails too, unit by unit, so that the one that is refused disturbs no other. From
then on its partition is tried apart from the others, whatever it does: see
``suspects``. No statement spans two partitions.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, TypeAlias

from ..errors import AlreadyAnswered, LetterGone, StaleOwner, StaleRevision, StoreError
from ..sql import (
    MOVE,
    MULTI_STATEMENT,
    MUST_HIT,
    OWNER,
    UPDATE,
    Parameters,
    refusal_of,
    statements_of,
)
from ..store import Operation, Save, Unit
from .bulk_saves import SAVES, Values, saving
from .engine import unavailable

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from ..sql import Suspects

__all__ = ["apply_units"]

_Write: TypeAlias = tuple[str, Values | Parameters]

_MUST_HIT = MUST_HIT | SAVES


def apply_units(
    database: sqlite3.Connection, units: Sequence[Unit], suspects: Suspects
) -> list[StoreError | None]:
    """Write units of any partitions; say for each why it was refused."""
    if len(units) == 1:  # it costs less alone
        return [_apply_alone(database, units[0])]
    answers: list[StoreError | None] = [None] * len(units)
    apart = suspects.count_batch(unit.partition for unit in units)
    shared = [u for u in units if u.partition not in apart] if apart else units
    left: Sequence[int] = range(len(units))
    if not shared or _apply_together(database, shared):
        left = [n for n in left if units[n].partition in apart] if apart else ()
    lanes: dict[str, list[int]] = {}
    for index in left:
        lanes.setdefault(units[index].partition, []).append(index)
    tried = len(lanes) == 1 and not apart  # as a whole, just now
    for partition, indexes in lanes.items():
        if tried or not _apply_together(database, [units[n] for n in indexes]):
            for index in indexes:
                answers[index] = _apply_alone(database, units[index])
            if not tried:
                suspects.add(partition)
    return answers


def _owner_epoch(database: sqlite3.Connection, partition: str) -> int | None:
    """Return the epoch of a partition's owner; none if it was never claimed."""
    row = database.execute(OWNER, {"partition": partition}).fetchone()
    return None if row is None else row[0]


def _apply_together(database: sqlite3.Connection, units: Sequence[Unit]) -> bool:
    """Write units, or nothing of any."""
    try:
        with _savepoint(database):
            for statement, run in groupby(_todo(database, units), itemgetter(0)):
                _execute_many(database, statement, [one for _, one in run])
    except Exception as error:
        if _concerns_all(database, error):
            raise
        return False
    return True


def _todo(database: sqlite3.Connection, units: Sequence[Unit]) -> list[_Write]:
    """Lay units out as statements.

    Who owns the partition is asked for a unit only if none of its statements has to hit
    a row: each has the epoch in its ``WHERE``, so one that hits shows that it is right.

    Raises:
        _Missed: a unit has an epoch that is not the owner's.
    """
    todo: list[_Write] = []
    for unit in units:
        shown = False
        for operation in unit.operations:
            if type(operation) is Save:  # nearly all are
                todo.append(saving(operation.record, unit.epoch))
                shown = True
                continue
            for write in statements_of(operation, unit.epoch):
                todo.append(write)
                shown = shown or write[0] in MUST_HIT
        if not shown and _owner_epoch(database, unit.partition) != unit.epoch:
            raise _Missed
    return todo


def _execute_many(
    database: sqlite3.Connection,
    statement: str,
    parameters: list[Values | Parameters],
) -> None:
    hits = database.executemany(statement, parameters).rowcount
    if statement in _MUST_HIT and hits != len(parameters):
        raise _Missed


def _apply_alone(database: sqlite3.Connection, unit: Unit) -> StoreError | None:
    """Write one unit, or say why it was refused and leave nothing of it."""
    try:
        todo = unit.operations
        if len(todo) == 1 and not isinstance(todo[0], MULTI_STATEMENT):
            _carry_out(database, todo[0], unit)  # one statement is a whole by itself
        else:
            _check_owner(database, unit)
            with _savepoint(database):
                for operation in unit.operations:
                    _carry_out(database, operation, unit)
    except (StaleOwner, StaleRevision, AlreadyAnswered, LetterGone) as error:
        return error
    except Exception as error:
        if _concerns_all(database, error):
            raise
        return unavailable("save", error)  # a fault of the unit, such as a bad value
    return None


def _carry_out(database: sqlite3.Connection, operation: Operation, unit: Unit) -> None:
    """Do one operation; find out why if nothing was where it should be.

    The owner is asked for only then: each statement has the epoch in its ``WHERE``, so
    one that changed a row has shown that the epoch is right.
    """
    hits = 0
    try:
        for statement, parameters in statements_of(operation, unit.epoch):
            hits = database.execute(statement, parameters).rowcount
            if not hits and statement is UPDATE:
                hits = database.execute(MOVE, parameters).rowcount
    except sqlite3.IntegrityError as error:
        if _concerns_all(database, error):
            raise
        hits = 0  # a first revision, or a reply, of a row that exists
    if not hits:
        _check_owner(database, unit)
        if (refusal := refusal_of(operation)) is not None:
            raise refusal


def _check_owner(database: sqlite3.Connection, unit: Unit) -> None:
    if _owner_epoch(database, unit.partition) != unit.epoch:
        raise StaleOwner(unit.partition, unit.epoch)


class _Missed(Exception):
    """A statement changed fewer rows than it should have."""


@contextmanager
def _savepoint(database: sqlite3.Connection) -> Generator[None]:
    """Undo what the block did if it raises, and leave the transaction open.

    Raises:
        OperationalError: it could not be undone: the transaction must not be committed.
    """
    database.execute("SAVEPOINT podvisor")
    try:
        yield
        database.execute("RELEASE podvisor")
    except BaseException:
        if database.in_transaction:  # SQLite ends it itself when the disk is full
            _undo(database)
        raise


def _undo(database: sqlite3.Connection) -> None:
    try:
        database.execute("ROLLBACK TO podvisor")
        database.execute("RELEASE podvisor")
    except sqlite3.Error as error:
        lasting = sqlite3.OperationalError(*error.args)
        lasting.sqlite_errorcode = error.sqlite_errorcode
        lasting.sqlite_errorname = error.sqlite_errorname
        raise lasting from error


def _concerns_all(database: sqlite3.Connection, error: Exception) -> bool:
    """Tell a refusal of the medium from one that a single unit brought about.

    The driver raises ``OperationalError`` for a full disk, an I/O error or a lock, and
    other classes for a value it cannot bind, a constraint, or a damaged page. Whatever
    it raises, a transaction that SQLite has ended itself must not be gone on with: the
    next statement would be committed alone.
    """
    return isinstance(error, sqlite3.OperationalError) or not database.in_transaction
