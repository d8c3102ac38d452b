"""How units become rows, inside one transaction.

The units of a partition are first tried together, a statement for many rows; if any row
is not where its writer believes, they are undone and done again one by one, so that the
one that is refused disturbs no other. A statement never spans two partitions.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter

from .engine import unavailable
from .errors import AlreadyAnswered, StaleOwner, StaleRevision, StoreError
from .letters import Answer
from .records import Operation, Save, Unit
from .statements import MOVE, OWNER, UPDATE
from .writes import MUST_HIT, OF_SEVERAL, Parameters, writes

__all__ = ["apply_units"]


def apply_units(
    database: sqlite3.Connection, units: Sequence[Unit]
) -> list[StoreError | None]:
    """Write units of any partitions; say for each why it was refused."""
    lanes: dict[str, list[int]] = {}
    for index, unit in enumerate(units):
        lanes.setdefault(unit.partition, []).append(index)
    answers: list[StoreError | None] = [None] * len(units)
    for indexes in lanes.values():
        if len(indexes) == 1 or not _apply_together(
            database, [units[index] for index in indexes]
        ):
            for index in indexes:
                answers[index] = _apply_alone(database, units[index])
    return answers


def _owner_epoch(database: sqlite3.Connection, partition: str) -> int | None:
    """Return the epoch of a partition's owner; none if it was never claimed."""
    row = database.execute(OWNER, {"partition": partition}).fetchone()
    return None if row is None else row[0]


def _apply_together(database: sqlite3.Connection, units: Sequence[Unit]) -> bool:
    """Write all the units of one partition, or none of them."""
    epoch = _owner_epoch(database, units[0].partition)
    if any(unit.epoch != epoch for unit in units):
        return False
    try:
        todo = [
            write
            for unit in units
            for one in unit.operations
            for write in writes(one, unit.epoch)
        ]
        with _savepoint(database):
            for statement, run in groupby(todo, itemgetter(0)):
                _execute_many(database, statement, [one for _, one in run])
    except Exception as error:
        if _concerns_all(database, error):
            raise
        return False
    return True


def _execute_many(
    database: sqlite3.Connection, statement: str, parameters: list[Parameters]
) -> None:
    hits = database.executemany(statement, parameters).rowcount
    if statement in MUST_HIT and hits != len(parameters):
        raise _Missed


def _apply_alone(database: sqlite3.Connection, unit: Unit) -> StoreError | None:
    """Write one unit, or say why it was refused and leave nothing of it."""
    try:
        todo = unit.operations
        if len(todo) == 1 and not isinstance(todo[0], OF_SEVERAL):
            _carry_out(database, todo[0], unit)  # one statement is a whole by itself
        else:
            _check_owner(database, unit)
            with _savepoint(database):
                for operation in unit.operations:
                    _carry_out(database, operation, unit)
    except (StaleOwner, StaleRevision, AlreadyAnswered) as error:
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
        for statement, parameters in writes(operation, unit.epoch):
            hits = database.execute(statement, parameters).rowcount
            if not hits and statement is UPDATE:
                hits = database.execute(MOVE, parameters).rowcount
    except sqlite3.IntegrityError as error:
        if _concerns_all(database, error):
            raise
        hits = 0  # a first revision, or a reply, of a row that exists
    if not hits:
        _check_owner(database, unit)
        if isinstance(operation, Save):
            record = operation.record
            raise StaleRevision(record.address, record.rev - 1)
        if isinstance(operation, Answer):
            raise AlreadyAnswered(operation.reply.target, operation.reply.key)


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
