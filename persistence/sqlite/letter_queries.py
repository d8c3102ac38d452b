"""Queries for letters, replies and stored bytes, run in the driver's thread."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..identity import Address, InvalidPartition, check_partition, key_to_text
from ..sql import DEAD, FIRST_DUE, INSPECT, LETTERS, MAIL, PENDING, REPLY
from ..store import (
    DeadLetter,
    Letter,
    LetterRow,
    Reply,
    ReplyRow,
    Row,
    SpoiledLetter,
    StoredBytes,
    checksum,
    letter_of,
    reply_of,
)
from .hidden_letters import partitions_in_table, with_hidden_letters
from .hidden_rows import snapshot

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator, Iterable

__all__ = ["dead", "first_due", "inspect", "letters", "mail", "pending", "reply"]


def letters(
    database: sqlite3.Connection,
    partition: str,
    until: float,
    after: tuple[float, str],
    limit: int,
) -> list[Letter | SpoiledLetter]:
    """List letters by due time, readable or not."""
    due, stamp = after
    parameters: dict[str, str | float | int] = {
        "partition": partition,
        "until": until,
        "due": due,
        "stamp": stamp,
        "limit": limit,
    }
    with snapshot(database), _damaged_text_allowed(database):
        rows = database.execute(LETTERS, parameters)
        found = [letter_of(LetterRow._make(row), partition) for row in rows]
        return with_hidden_letters(database, parameters, found)


def mail(
    database: sqlite3.Connection, partition: str, target: Address, limit: int
) -> list[Letter]:
    """List the readable letters of one target."""
    with _damaged_text_allowed(database):
        rows = database.execute(MAIL, {**_place(partition, target), "limit": limit})
        found = [letter_of(LetterRow._make(row), partition) for row in rows]
    return [letter for letter in found if isinstance(letter, Letter)]


def first_due(database: sqlite3.Connection, partition: str) -> float | None:
    """Return when the first letter of a partition is due; ``None`` without letters."""
    number, due = database.execute(FIRST_DUE, {"partition": partition}).fetchone()
    return _seconds(due) if number else None


def pending(
    database: sqlite3.Connection, after: str, limit: int
) -> list[tuple[str, float]]:
    """List the partitions that have letters, with the first due time of each."""
    parameters = {"after": after, "limit": limit}
    found = dict(_checked(partitions_in_table(database, after, limit)))
    found.update(_checked(database.execute(PENDING, parameters)))
    return sorted(found.items())[:limit]


def _checked(rows: Iterable[tuple[bytes, object]]) -> Iterable[tuple[str, float]]:
    for name, due in rows:
        try:
            yield check_partition(name.decode()), _seconds(due)
        except (InvalidPartition, UnicodeDecodeError):
            continue


def dead(
    database: sqlite3.Connection, partition: str, after: str, limit: int
) -> list[DeadLetter]:
    """List dead letters as they are stored."""
    parameters = {"partition": partition, "after": after, "limit": limit}
    with _damaged_text_allowed(database):
        return [DeadLetter(*row) for row in database.execute(DEAD, parameters)]


def reply(
    database: sqlite3.Connection, partition: str, target: Address, key: str
) -> Reply | None:
    """Return a remembered reply.

    Raises:
        CorruptRecord: the row is damaged.
    """
    place = {**_place(partition, target), "request": key}
    row = database.execute(REPLY, place).fetchone()
    return None if row is None else reply_of(ReplyRow._make(row), target)


def inspect(
    database: sqlite3.Connection, partition: str, target: Address
) -> list[StoredBytes]:
    """Return the rows of an instance as they are stored, damaged or not."""
    found: list[StoredBytes] = []
    for *columns, digest in database.execute(INSPECT, _place(partition, target)):
        row = Row._make(columns)
        found.append(
            StoredBytes(
                kind=str(row.kind),
                rev=_whole(row.rev),
                version=_whole(row.version),
                body=_bytes(row.body),
                intact=_intact(row, digest),
            )
        )
    return found


@contextmanager
def _damaged_text_allowed(database: sqlite3.Connection) -> Generator[None]:
    """Read texts that are not UTF-8, so that a damaged row does not hide others."""
    database.text_factory = _lenient
    try:
        yield
    finally:
        database.text_factory = str


def _lenient(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")


def _place(partition: str, target: Address) -> dict[str, str | float | int]:
    return {
        "partition": partition,
        "manager": target.manager,
        "key": key_to_text(target.key),
    }


def _intact(row: Row, digest: object) -> bool:
    try:
        return checksum(row) == digest
    except (TypeError, ValueError):  # a column of another type than its name says
        return False


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
