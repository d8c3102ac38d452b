"""Saving the units of a batch, inside one transaction.

1. The units of all partitions are saved under one savepoint. Consecutive statements
   with the same text are one call of the driver, which runs the text for each row.
2. If a row has another revision or owner than its unit expects, the savepoint is undone
   and each partition gets a savepoint of its own.
3. If that fails too, its units are saved one by one, so that a refused unit affects no
   other. The partition becomes a suspect and from then on skips step 1: see
   ``suspects``.

No statement spans two partitions.
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
from .bulk_saves import BULK_SAVES, Values, bulk_save_of
from .engine import unavailable

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from ..sql import Suspects

__all__ = ["apply_units"]

_Statement: TypeAlias = tuple[str, Values | Parameters]

_MUST_HIT = MUST_HIT | BULK_SAVES


def apply_units(
    database: sqlite3.Connection, units: Sequence[Unit], suspects: Suspects
) -> list[StoreError | None]:
    """Save units of any partitions; return for each the error that refused it."""
    if len(units) == 1:  # it is cheaper without a savepoint
        return [_apply_alone(database, units[0])]
    answers: list[StoreError | None] = [None] * len(units)
    suspected = suspects.count_batch(unit.partition for unit in units)
    shared = [u for u in units if u.partition not in suspected] if suspected else units
    left: Sequence[int] = range(len(units))
    if not shared or _apply_together(database, shared):
        left = [n for n in left if units[n].partition in suspected] if suspected else ()
    by_partition: dict[str, list[int]] = {}
    for index in left:
        by_partition.setdefault(units[index].partition, []).append(index)
    # With a single partition, step 1 has just tried what step 2 would try.
    already_tried = len(by_partition) == 1 and not suspected
    for partition, indexes in by_partition.items():
        if already_tried or not _apply_together(database, [units[n] for n in indexes]):
            for index in indexes:
                answers[index] = _apply_alone(database, units[index])
            if not already_tried:
                suspects.add(partition)
    return answers


def _owner_epoch(database: sqlite3.Connection, partition: str) -> int | None:
    """Return the owner epoch of a partition; ``None`` if it was never claimed."""
    row = database.execute(OWNER, {"partition": partition}).fetchone()
    return None if row is None else row[0]


def _apply_together(database: sqlite3.Connection, units: Sequence[Unit]) -> bool:
    """Save all units, or nothing of any; return whether they were saved."""
    try:
        with _savepoint(database):
            for statement, run in groupby(_statements(database, units), itemgetter(0)):
                _execute_many(database, statement, [one for _, one in run])
    except Exception as error:
        if _is_of_medium(database, error):
            raise
        return False
    return True


def _statements(
    database: sqlite3.Connection, units: Sequence[Unit]
) -> list[_Statement]:
    """Return the statements of units, in order.

    Each statement has the epoch in its ``WHERE``, so a statement that changes a row
    proves that the epoch is right. The owner is read only for a unit without a
    statement that must change a row.

    Raises:
        _Missed: the epoch of a unit is not that of the owner.
    """
    statements: list[_Statement] = []
    for unit in units:
        epoch_proven = False
        for operation in unit.operations:
            if type(operation) is Save:  # most operations are saves
                statements.append(bulk_save_of(operation.record, unit.epoch))
                epoch_proven = True
                continue
            for statement in statements_of(operation, unit.epoch):
                statements.append(statement)
                epoch_proven = epoch_proven or statement[0] in MUST_HIT
        if not epoch_proven and _owner_epoch(database, unit.partition) != unit.epoch:
            raise _Missed
    return statements


def _execute_many(
    database: sqlite3.Connection,
    statement: str,
    parameters: list[Values | Parameters],
) -> None:
    hits = database.executemany(statement, parameters).rowcount
    if statement in _MUST_HIT and hits != len(parameters):
        raise _Missed


def _apply_alone(database: sqlite3.Connection, unit: Unit) -> StoreError | None:
    """Save one unit, or undo all of it and return the error that refused it."""
    try:
        operations = unit.operations
        if len(operations) == 1 and not isinstance(operations[0], MULTI_STATEMENT):
            # One statement is atomic without a savepoint.
            _run_operation(database, operations[0], unit)
        else:
            _check_owner(database, unit)
            with _savepoint(database):
                for operation in operations:
                    _run_operation(database, operation, unit)
    except (StaleOwner, StaleRevision, AlreadyAnswered, LetterGone) as error:
        return error
    except Exception as error:
        if _is_of_medium(database, error):
            raise
        return unavailable("save", error)  # such as for a value that cannot be stored
    return None


def _run_operation(
    database: sqlite3.Connection, operation: Operation, unit: Unit
) -> None:
    """Run one operation; raise the reason if it had to change a row and did not.

    The owner is read only then. Each statement has the epoch in its ``WHERE``, so a
    statement that changed a row proves that the epoch is right.
    """
    hits = 0
    try:
        for statement, parameters in statements_of(operation, unit.epoch):
            hits = database.execute(statement, parameters).rowcount
            if not hits and statement is UPDATE:
                hits = database.execute(MOVE, parameters).rowcount
    except sqlite3.IntegrityError as error:
        if _is_of_medium(database, error):
            raise
        hits = 0  # a first revision, or a reply, whose row exists
    if not hits:
        _check_owner(database, unit)
        if (refusal := refusal_of(operation)) is not None:
            raise refusal


def _check_owner(database: sqlite3.Connection, unit: Unit) -> None:
    if _owner_epoch(database, unit.partition) != unit.epoch:
        raise StaleOwner(unit.partition, unit.epoch)


class _Missed(Exception):
    """A statement changed fewer rows than it must."""


@contextmanager
def _savepoint(database: sqlite3.Connection) -> Generator[None]:
    """Undo the block if it raises, and leave the transaction open.

    Raises:
        OperationalError: the block could not be undone, and the transaction must not be
            committed.
    """
    database.execute("SAVEPOINT podvisor")
    try:
        yield
        database.execute("RELEASE podvisor")
    except BaseException:
        if database.in_transaction:  # SQLite itself ends it on a full disk
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


def _is_of_medium(database: sqlite3.Connection, error: Exception) -> bool:
    """Return whether an error is due to the medium, not to a single unit.

    The driver raises ``OperationalError`` for a full disk, an I/O error or a lock, and
    other classes for a value it cannot bind, a constraint, or a damaged page. After any
    error, a transaction that SQLite itself has ended must not be continued: the next
    statement would be committed alone.
    """
    return isinstance(error, sqlite3.OperationalError) or not database.in_transaction
