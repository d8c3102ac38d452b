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
from typing import TypeAlias

import attrs

from .address import Address, key_to_text
from .engine import unavailable
from .errors import AlreadyAnswered, StaleOwner, StaleRevision, StoreError
from .letter_rows import letter_row, reply_row
from .letter_statements import (
    ANSWER,
    BURY,
    DEFER,
    DROP_MAIL,
    DROP_REPLIES,
    EXHUME,
    FORGET_REPLIES,
    POST,
    TAKE_AWAY,
)
from .letters import Answer, Bury, Defer, Exhume, ForgetReplies, Post, Take
from .records import Delete, LiftQuarantine, Operation, PutQuarantine, Save, Unit
from .rows import Row, checksum, row_of
from .statements import DELETE, INSERT, LIFT, MARK, MOVE, OWNER, UPDATE

__all__ = ["Parameters", "apply_units"]

Parameters: TypeAlias = dict[str, str | int | float | bytes]
_Write: TypeAlias = tuple[str, Parameters]

_MUST_HIT = frozenset({INSERT, UPDATE})
"""Statements that change one row each, or the writer's belief was stale."""


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
        writes = [
            write
            for unit in units
            for one in unit.operations
            for write in _writes(one, unit.epoch)
        ]
        with _savepoint(database):
            for statement, run in groupby(writes, itemgetter(0)):
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
    if statement in _MUST_HIT and hits != len(parameters):
        raise _Missed


def _apply_alone(database: sqlite3.Connection, unit: Unit) -> StoreError | None:
    """Write one unit, or say why it was refused and leave nothing of it."""
    try:
        if len(unit.operations) == 1:  # one statement is a whole by itself
            _carry_out(database, unit.operations[0], unit)
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
        for statement, parameters in _writes(operation, unit.epoch):
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


def _writes(operation: Operation, epoch: int) -> tuple[_Write, ...]:
    if isinstance(operation, Save):  # nearly all are, and a match is slower
        record = operation.record
        statement = INSERT if record.rev == 1 else UPDATE
        return ((statement, _columns(row_of(record), epoch)),)
    match operation:
        case Delete(address):
            place = _place(address, epoch)
            return tuple((one, place) for one in (DELETE, DROP_MAIL, DROP_REPLIES))
        case LiftQuarantine(address):
            return ((LIFT, _place(address, epoch)),)
        case PutQuarantine(mark):
            place = _place(mark.address, epoch)
            return ((MARK, {**place, "reason": mark.reason, "since": mark.since}),)
        case _:
            return _letter_writes(operation, epoch)


def _letter_writes(
    operation: Post | Take | Defer | Bury | Exhume | Answer | ForgetReplies, epoch: int
) -> tuple[_Write, ...]:
    match operation:
        case Post(letter):
            return ((POST, {**letter_row(letter)._asdict(), "epoch": epoch}),)
        case Defer(letter):
            return ((DEFER, {**letter_row(letter)._asdict(), "epoch": epoch}),)
        case Take(target, name, stamp):
            place = {**_place(target, epoch), "id": name, "stamp": stamp}
            return ((TAKE_AWAY, place),)
        case Answer(reply):
            return ((ANSWER, {**reply_row(reply)._asdict(), "epoch": epoch}),)
        case Bury():
            place = {**attrs.asdict(operation), "epoch": epoch}
            return ((BURY, place), (TAKE_AWAY, place))
        case Exhume() | ForgetReplies():
            statement = EXHUME if isinstance(operation, Exhume) else FORGET_REPLIES
            return ((statement, {**attrs.asdict(operation), "epoch": epoch}),)


def _columns(row: Row, epoch: int) -> Parameters:
    return {
        "partition": row.partition,
        "manager": row.manager,
        "key": row.key,
        "kind": row.kind,
        "rev": row.rev,
        "epoch": epoch,
        "version": row.version,
        "parent_manager": row.parent_manager,
        "parent_key": row.parent_key,
        "on_parent_stop": row.on_parent_stop,
        "checksum": checksum(row),
        "body": row.body,
    }


def _place(address: Address, epoch: int) -> Parameters:
    return {
        "partition": address.partition,
        "manager": address.manager,
        "key": key_to_text(address.key),
        "epoch": epoch,
    }


class _Missed(Exception):
    """A statement changed fewer rows than it should have."""


@contextmanager
def _savepoint(database: sqlite3.Connection) -> Generator[None]:
    """Undo what the block did if it raises, and leave the transaction open."""
    database.execute("SAVEPOINT podvisor")
    try:
        yield
    except BaseException:
        if database.in_transaction:  # SQLite ends it itself when the disk is full
            database.execute("ROLLBACK TO podvisor")
            database.execute("RELEASE podvisor")
        raise
    database.execute("RELEASE podvisor")


def _concerns_all(database: sqlite3.Connection, error: Exception) -> bool:
    """Tell a refusal of the medium from one that a single unit brought about.

    The driver raises ``OperationalError`` for a full disk, an I/O error or a lock, and
    other classes for a value it cannot bind, a constraint, or a damaged page. Whatever
    it raises, a transaction that SQLite has ended itself must not be gone on with: the
    next statement would be committed alone.
    """
    return isinstance(error, sqlite3.OperationalError) or not database.in_transaction
