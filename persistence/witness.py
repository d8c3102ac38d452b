"""A second list of the rows that there are, on other pages than the rows themselves.

A damaged page can hide a row: a search walks past it, and no checksum is there to be
wrong. What is not found is started afresh, so a hidden instance would be replaced
without a word. The database keeps an index over the identity of every row in another
part of the file; what that names and the table does not show has been hidden.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from .address import Address
from .errors import CorruptRecord
from .statements import WITNESS
from .store import Loaded

__all__ = ["expose", "snapshot"]


@contextmanager
def snapshot(database: sqlite3.Connection) -> Generator[None]:
    """Let all statements of the block see one state of the database."""
    database.execute("BEGIN")
    try:
        yield
    finally:
        database.rollback()


def expose(
    database: sqlite3.Connection,
    parameters: Mapping[str, str],
    addresses: Mapping[str, Address],
    found: dict[str, Loaded],
) -> None:
    """Replace what was found of an address by an error if a row of it is hidden.

    Args:
        database: inside the snapshot in which the rows were read.
        parameters: those of the statement that read them.
        addresses: what was asked for, by the text of its key.
        found: what was read; changed in place.
    """
    for text, kind in database.execute(WITNESS, parameters):
        records = found[text]
        if isinstance(records, tuple) and not any(
            r.kind.value == kind for r in records
        ):
            reason = "the database has lost its row, which an index still names"
            found[text] = CorruptRecord(addresses[text], reason)
