"""Letters that a damaged page hides, found by comparing the table with its index.

The table and its index by due time both list every letter, on pages of their own. A
search by due time skips an entry of the index that has no row. It never finds a row
that the index does not list. Either letter would be lost silently.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ..identity import key_to_text
from ..sql import INDEXED_LETTERS, LETTER_COUNTS, PENDING_ROWS
from ..store import Letter, SpoiledLetter

if TYPE_CHECKING:
    import sqlite3

__all__ = ["count_letters", "partitions_in_table", "with_hidden_letters"]

Parameters = Mapping[str, str | float | int]
_Entry = tuple[bytes, bytes, bytes, bytes, float]


def count_letters(database: sqlite3.Connection, partition: str) -> tuple[int, int]:
    """Count the letters of a partition, and those in only one of table and index."""
    parameters = {"partition": partition}
    table, index, both = database.execute(LETTER_COUNTS, parameters).fetchone()
    letters = max(int(table), int(index))
    return letters, letters - int(both)


def partitions_in_table(
    database: sqlite3.Connection, after: str, limit: int
) -> Iterable[tuple[bytes, object]]:
    """List the partitions with letters in the table; each counts as due at 0.0."""
    for (name,) in database.execute(PENDING_ROWS, {"after": after, "limit": limit}):
        yield name, 0.0


def with_hidden_letters(
    database: sqlite3.Connection,
    parameters: Parameters,
    found: list[Letter | SpoiledLetter],
) -> list[Letter | SpoiledLetter]:
    """Return a page of letters with those that are in the index and not in the table.

    A letter whose row differs from its index entry is left out, and its entry is added
    as a spoiled letter.

    Args:
        database: inside the snapshot in which the page was read.
        parameters: those of the statement that read the page.
        found: the letters that were read.
    """
    rows: list[_Entry] = database.execute(INDEXED_LETTERS, parameters).fetchall()
    listed, entries = set(rows), {_entry(one) for one in found}
    if listed == entries:
        return found
    spoiled = {one.stamp for one in found if isinstance(one, SpoiledLetter)}
    page = [
        one for one in found if isinstance(one, SpoiledLetter) or _entry(one) in listed
    ]
    partition = str(parameters["partition"])
    lost = [_lost(row, partition) for row in rows if row not in entries]
    page += [one for one in lost if one.stamp not in spoiled]
    page.sort(key=lambda one: (one.due, one.stamp))
    return page[: int(parameters["limit"])]


def _entry(one: Letter | SpoiledLetter) -> _Entry:
    """Return the index entry that a letter must have."""
    if isinstance(one, Letter):
        manager, key = one.target.manager, key_to_text(one.target.key)
    else:
        manager, key = one.manager, one.key
    return (_raw(manager), _raw(key), _raw(one.id), _raw(one.stamp), one.due)


def _lost(row: _Entry, partition: str) -> SpoiledLetter:
    manager, key, name, stamp = (
        raw.decode(errors="surrogateescape") for raw in row[:4]
    )
    return SpoiledLetter(
        partition=partition,
        manager=manager,
        key=key,
        id=name,
        stamp=stamp,
        due=float(row[4]),
        reason="the database has lost its row, which an index still names",
        lost=True,
    )


def _raw(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
