"""Rows of records that a damaged page hides, found with an index on other pages.

A damaged page can hide a row: a search passes it, and no checksum fails. A key without
a row gets a new instance, so a hidden instance would be replaced silently. The database
keeps an index over the identity of every row in another part of the file. A row that
the index lists and the table does not return is hidden.
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
"""The reason in the error for a hidden row."""


@contextmanager
def snapshot(database: sqlite3.Connection) -> Generator[None]:
    """Make all statements of the block see the same state of the database."""
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
    """Return the keys of the rows that the index lists and that were not read.

    Args:
        database: inside the snapshot in which the rows were read.
        parameters: those of the statement that read the rows.
        rows: the rows that were read; the first columns are the key and the kind.
    """
    if database.execute(INDEXED_ROWS_JOINED, parameters).fetchone() == _joined(rows):
        return []
    listed: list[tuple[str, str]] = database.execute(
        INDEXED_ROWS, parameters
    ).fetchall()
    return [text for text, _ in {*listed}.difference(row[:2] for row in rows)]


def _joined(rows: Sequence[tuple[str, ...]]) -> tuple[str | None, str | None]:
    """Return what ``INDEXED_ROWS_JOINED`` gives if the index lists exactly these rows.

    Two lists of keys never give the same text, as each key is JSON. The rows and the
    index come in the order of the keys. If they ever did not, ``hidden_from`` would
    compare them one by one.
    """
    if not rows:
        return None, None
    keys, kinds = [row[0] for row in rows], [str(row[1]) for row in rows]
    return ",".join(keys), ",".join(kinds)  # a damaged kind may be of any type
