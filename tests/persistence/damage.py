"""Damage to a database file, as a test makes it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

__all__ = ["SCHEMA", "behind_the_index"]

SCHEMA = "SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema WHERE name = ?"


def behind_the_index(path: Path, statement: str, *values: object, index: str) -> None:
    """Change one row of a table as damage does: an index of it does not learn of it."""
    with closing(sqlite3.connect(path)) as database, database:
        described = database.execute(SCHEMA, (index,)).fetchone()
        database.execute("PRAGMA writable_schema = ON")
        database.execute("DELETE FROM sqlite_schema WHERE name = ?", (index,))
    with closing(sqlite3.connect(path)) as database, database:
        assert database.execute(statement, values).rowcount == 1
        database.execute("PRAGMA writable_schema = ON")
        database.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", described)
