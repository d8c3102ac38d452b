"""Statements and parameters of each operation, the same for every SQL database.

The parameters carry the epoch of the unit, and each statement compares it with the
owner epoch of the partition.
"""

from __future__ import annotations

from typing import TypeAlias

import attrs

from ..errors import AlreadyAnswered, LetterGone, StaleRevision, StoreError
from ..identity import Address, key_to_text
from ..store import (
    Answer,
    Bury,
    Defer,
    Delete,
    Exhume,
    ForgetReplies,
    LiftQuarantine,
    Operation,
    Post,
    PutQuarantine,
    Row,
    Save,
    Take,
    checksum,
    letter_row,
    reply_row,
    row_of,
)
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
    TAKE_CERTAIN,
)
from .statements import DELETE, INSERT, LIFT_QUARANTINE, PUT_QUARANTINE, UPDATE

__all__ = [
    "MULTI_STATEMENT",
    "MUST_HIT",
    "BoundStatement",
    "Parameters",
    "refusal_of",
    "statements_of",
]

Parameters: TypeAlias = dict[str, str | int | float | bytes]
BoundStatement: TypeAlias = tuple[str, Parameters]

MUST_HIT = frozenset({INSERT, UPDATE, ANSWER, TAKE_CERTAIN})
"""Statements that must change one row each; otherwise the unit is refused."""

MULTI_STATEMENT = (Delete, Bury)
"""Operations that take more than one statement."""


def statements_of(operation: Operation, epoch: int) -> tuple[BoundStatement, ...]:
    """Return the statements that carry out an operation, in order."""
    if isinstance(operation, Save):  # most are saves; a match is slower
        record = operation.record
        statement = INSERT if record.rev == 1 else UPDATE
        return ((statement, _columns(row_of(record), epoch)),)
    match operation:
        case Delete(address):
            place = _place(address, epoch)
            return tuple((one, place) for one in (DELETE, DROP_MAIL, DROP_REPLIES))
        case LiftQuarantine(address):
            return ((LIFT_QUARANTINE, _place(address, epoch)),)
        case PutQuarantine(mark):
            place = _place(mark.address, epoch)
            reason = _storable(mark.reason)
            return ((PUT_QUARANTINE, {**place, "reason": reason, "since": mark.since}),)
        case _:
            return _letter_statements(operation, epoch)


def refusal_of(operation: Operation) -> StoreError | None:
    """Return the error for an operation that changed no row; ``None`` if it may."""
    match operation:
        case Save(record):
            return StaleRevision(record.address, record.rev - 1)
        case Answer(reply):
            return AlreadyAnswered(reply.target, reply.key)
        case Take(target, _, stamp) if operation.is_certain:
            return LetterGone(target, stamp)
        case _:
            return None


def _letter_statements(
    operation: Post | Take | Defer | Bury | Exhume | Answer | ForgetReplies, epoch: int
) -> tuple[BoundStatement, ...]:
    match operation:
        case Post(letter):
            return ((POST, {**letter_row(letter)._asdict(), "epoch": epoch}),)
        case Defer(letter):
            return ((DEFER, {**letter_row(letter)._asdict(), "epoch": epoch}),)
        case Take(target, name, stamp):
            place = {**_place(target, epoch), "id": name, "stamp": stamp}
            certain = operation.is_certain
            return ((TAKE_CERTAIN if certain else TAKE_AWAY, place),)
        case Answer(reply):
            return ((ANSWER, {**reply_row(reply)._asdict(), "epoch": epoch}),)
        case Bury():
            place = {**attrs.asdict(operation), "epoch": epoch}
            place["reason"] = _storable(operation.reason)
            return ((BURY, place), (TAKE_AWAY, place))
        case Exhume() | ForgetReplies():
            statement = EXHUME if isinstance(operation, Exhume) else FORGET_REPLIES
            return ((statement, {**attrs.asdict(operation), "epoch": epoch}),)


def _storable(reason: str) -> str:
    """Replace NUL and lone surrogates, which some databases refuse in a text.

    A reason is for people to read and may quote anything. Without the replacement its
    quarantine or dead letter could not be stored, and a letter would be tried without
    end.
    """
    return reason.encode(errors="replace").decode().replace("\0", "\ufffd")


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
