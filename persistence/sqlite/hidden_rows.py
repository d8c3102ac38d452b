"""A second list of the rows that there are, on other pages than the rows themselves.

A damaged page can hide a row: a search walks past it, and no checksum is there to be
wrong. What is not found is started afresh, so a hidden instance would be replaced
without a word. The database keeps an index over the identity of every row in another
part of the file; what that names and the table does not show has been hidden.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..sql import INDEXED_ROWS, INDEXED_ROWS_JOINED

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator, Mapping, Sequence

__all__ = ["HIDDEN", "hidden_from", "snapshot"]

HIDDEN = "the database has lost its row, which an index still names"
"""What is said of a row that was not read."""


@contextmanager
def snapshot(database: sqlite3.Connection) -> Generator[None]:
    """Let all statements of the block see one state of the database."""
    database.execute("BEGIN")
    try:
        yield
    finally:
        database.rollback()


def hidden_from(
    database: sqlite3.Connection,
    parameters: Mapping[str, str],
    rows: Sequence[tuple[str, ...]],
) -> list[str]:
    """Name the keys of which the index names a row that was not read.

    Args:
        database: inside the snapshot in which the rows were read.
        parameters: those of the statement that read them.
        rows: what was read; the first columns are the key and the kind.
    """
    if database.execute(INDEXED_ROWS_JOINED, parameters).fetchone() == _testimony(rows):
        return []
    named: list[tuple[str, str]] = database.execute(INDEXED_ROWS, parameters).fetchall()
    return [text for text, _ in {*named}.difference(row[:2] for row in rows)]


def _testimony(rows: Sequence[tuple[str, ...]]) -> tuple[str | None, str | None]:
    """Return what the index has to say if it names these rows and no other.

    No two lists of keys give the same text, as each key is JSON. Both come in the order
    of their keys; if they ever did not, they would be compared one by one.
    """
    if not rows:
        return None, None
    keys, kinds = [row[0] for row in rows], [str(row[1]) for row in rows]
    return ",".join(keys), ",".join(kinds)  # a damaged kind may be of any type
