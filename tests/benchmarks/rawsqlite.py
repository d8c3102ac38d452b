"""What durable cases are held against: sqlite3 itself, with the same promises.

One table, the rows as large as podvisor's, WAL, ``synchronous=FULL``; nothing between
the statement and the driver.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Generator, Sequence
from pathlib import Path

__all__ = ["RawTable", "payload_of", "raw_table"]


def payload_of(file: Path) -> int:
    """Return the bytes of values in one of podvisor's rows; its host is closed."""
    with contextlib.closing(sqlite3.connect(file)) as database:
        names = [
            name
            for _, name, *_ in database.execute("PRAGMA table_info(podvisor_records)")
        ]
        lengths = " + ".join(f"length(CAST({name} AS BLOB))" for name in names)
        [(found,)] = database.execute(f"SELECT max({lengths}) FROM podvisor_records")  # noqa: S608  names of columns
    return int(found)


class RawTable:
    """Rows of a key and a body.

    Args:
        file: a new database.
        rows: how many there are.
        payload: bytes of values in one.
    """

    def __init__(self, file: Path, rows: int, payload: int) -> None:
        self._keys = [f"key-{n:08}" for n in range(rows)]
        self._room = max(8, payload - len(self._keys[0]))
        self._database = sqlite3.connect(file, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute(
            "CREATE TABLE rows (key TEXT PRIMARY KEY, body BLOB) WITHOUT ROWID"
        )
        made = [(key, os.urandom(self._room)) for key in self._keys]
        self._database.executemany("INSERT INTO rows VALUES (?, ?)", made)

    def save(self, count: int, batch: int) -> None:
        """Change so many rows, so many in one transaction."""
        for start in range(0, count, batch):
            end = min(start + batch, count)
            keys = [self._keys[n % len(self._keys)] for n in range(start, end)]
            # A body that is the same again would be no change, and no sync of the disk.
            changes = [(os.urandom(self._room), key) for key in keys]
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("UPDATE rows SET body=? WHERE key=?", changes)
            self._database.execute("COMMIT")

    def load(self, keys: Sequence[int]) -> int:
        """Read some rows in one statement."""
        marks = ",".join("?" * len(keys))
        query = f"SELECT key, body FROM rows WHERE key IN ({marks})"  # noqa: S608  marks only
        return len(
            self._database.execute(query, [self._keys[n] for n in keys]).fetchall()
        )

    def close(self) -> None:
        self._database.close()


@contextlib.contextmanager
def raw_table(file: Path, rows: int, payload: int) -> Generator[RawTable]:
    """Open such a table for a while."""
    with contextlib.closing(RawTable(file, rows, payload)) as table:
        yield table
