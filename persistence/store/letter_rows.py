"""The columns of letters and replies in a table, and the check of their checksum."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

from ..errors import CorruptRecord
from ..identity import (
    Address,
    InvalidKey,
    InvalidName,
    check_name,
    key_from_text,
    key_to_text,
)
from .letters import Letter, Reply, SpoiledLetter
from .rows import CHECKSUM_BYTES

__all__ = [
    "LetterRow",
    "ReplyRow",
    "letter_of",
    "letter_row",
    "reply_of",
    "reply_row",
]


class LetterRow(NamedTuple):
    """A letter as columns, in the order of the table; ``""`` means no sender."""

    partition: str
    manager: str
    key: str
    id: str
    stamp: str
    message: str
    version: int
    body: bytes
    due: float
    sent: float
    tries: int
    cron: str
    sender_manager: str
    sender_key: str
    checksum: bytes


class ReplyRow(NamedTuple):
    """A remembered reply as columns, in the order of the table."""

    partition: str
    manager: str
    key: str
    request: str
    digest: bytes
    body: bytes
    expires: float
    checksum: bytes


_LETTER_TYPES = (*(str,) * 6, int, bytes, float, float, int, *(str,) * 3, bytes)
_REPLY_TYPES = (*(str,) * 4, bytes, bytes, float, bytes)


def letter_row(letter: Letter) -> LetterRow:
    """Return the columns of a letter."""
    target, sender = letter.target, letter.sender
    fields = (
        target.partition,
        target.manager,
        key_to_text(target.key),
        letter.id,
        letter.stamp,
        letter.message,
        letter.version,
        letter.body,
        float(letter.due),
        float(letter.sent),
        letter.tries,
        letter.cron,
        "" if sender is None else sender.manager,
        "" if sender is None else key_to_text(sender.key),
    )
    return LetterRow(*fields, _digest(fields))


def letter_of(row: LetterRow, partition: str) -> Letter | SpoiledLetter:
    """Return the letter in a row, or what is left of it if the row is damaged.

    Args:
        row: the columns; damage may have changed their types.
        partition: the partition of the query that found the row.
    """
    if tuple(map(type, row)) != _LETTER_TYPES:
        return _spoiled(row, partition, "a column has a value of the wrong type")
    if row.partition != partition or _digest(row[:-1]) != row.checksum:
        return _spoiled(row, partition, "its checksum does not match")
    try:
        return Letter(
            target=_address(partition, row.manager, row.key),
            id=row.id,
            stamp=row.stamp,
            message=row.message,
            version=row.version,
            body=row.body,
            due=row.due,
            sent=row.sent,
            tries=row.tries,
            cron=row.cron,
            sender=(
                _address(partition, row.sender_manager, row.sender_key)
                if row.sender_manager
                else None
            ),
        )
    except (InvalidKey, InvalidName):
        return _spoiled(row, partition, "its target or sender is not an address")


def reply_row(reply: Reply) -> ReplyRow:
    """Return the columns of a reply."""
    fields = (
        reply.target.partition,
        reply.target.manager,
        key_to_text(reply.target.key),
        reply.key,
        reply.digest,
        reply.body,
        float(reply.expires),
    )
    return ReplyRow(*fields, _digest(fields))


def reply_of(row: ReplyRow, target: Address) -> Reply:
    """Return the reply in a row; damage may have changed the types of its columns.

    Raises:
        CorruptRecord: the row is not what was stored.
    """
    right_types = tuple(map(type, row)) == _REPLY_TYPES
    if not right_types or _digest(row[:-1]) != row.checksum:
        raise CorruptRecord(target, "a remembered reply of it is damaged")
    return Reply(target, row.request, row.digest, row.body, row.expires)


def _address(partition: str, manager: str, key: str) -> Address:
    return Address(partition, check_name(manager, "manager"), key_from_text(key))


def _digest(fields: tuple[object, ...]) -> bytes:
    """Return the digest of columns, from the ``repr`` of the tuple.

    Two different tuples of plain values never have the same ``repr``.
    """
    text = repr(fields).encode(errors="surrogatepass")
    return blake2b(text, digest_size=CHECKSUM_BYTES).digest()


def _spoiled(row: LetterRow, partition: str, reason: str) -> SpoiledLetter:
    due: object = row.due
    return SpoiledLetter(
        partition=partition,
        manager=_text(row.manager),
        key=_text(row.key),
        id=_text(row.id),
        stamp=_text(row.stamp),
        due=due if isinstance(due, float) else 0.0,
        reason=reason,
    )


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="surrogateescape")
    return value if isinstance(value, str) else repr(value)
