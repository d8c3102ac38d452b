"""Letters that a damaged page hides: the table and its index by due time as witnesses.

Both name every letter, on pages of their own. A search by due time that finds no row
for an entry of the index walks on, and a row that the index does not name is never
looked for: either letter would be gone without a word.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

from .address import key_to_text
from .letters import Letter, SpoiledLetter

__all__ = ["count_hidden", "expose_letters", "partitions_of_table"]

Parameters = Mapping[str, str | float | int]
_Entry = tuple[bytes, bytes, bytes, bytes, float]

_BY_DUE = "INDEXED BY podvisor_letters_by_due"

_ENTRIES = f"""
SELECT CAST(manager AS BLOB), CAST(key AS BLOB), CAST(id AS BLOB),
    CAST(stamp AS BLOB), due
FROM podvisor_letters {_BY_DUE}
WHERE partition = :partition AND due <= :until AND (due, stamp) > (:due, :stamp)
ORDER BY due, stamp LIMIT :limit
"""  # noqa: S608  a constant goes in, no value
"""Reads the index alone: it holds every column that is asked for."""

_COUNTS = f"""
SELECT
    (SELECT count(version) FROM podvisor_letters NOT INDEXED
     WHERE partition = :partition),
    (SELECT count(*) FROM podvisor_letters {_BY_DUE} WHERE partition = :partition),
    (SELECT count(*) FROM podvisor_letters AS entry {_BY_DUE}
     WHERE partition = :partition AND EXISTS (
        SELECT 1 FROM podvisor_letters AS letter NOT INDEXED
        WHERE letter.partition = entry.partition AND letter.manager = entry.manager
            AND letter.key = entry.key AND letter.id = entry.id
            AND letter.stamp = entry.stamp AND letter.due = entry.due
            AND letter.version IS NOT NULL
     ))
"""  # noqa: S608  a constant goes in, no value
"""Names ``version``, as SQLite would else count the entries of the index again."""

_PARTITIONS = """
WITH RECURSIVE found (name) AS (
    SELECT * FROM (
        SELECT partition FROM podvisor_letters NOT INDEXED
        WHERE partition > :after AND version IS NOT NULL
        ORDER BY partition LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT partition FROM podvisor_letters NOT INDEXED
        WHERE partition > found.name AND version IS NOT NULL
        ORDER BY partition LIMIT 1
    )
    FROM found WHERE found.name IS NOT NULL
)
SELECT CAST(name AS BLOB) FROM found WHERE name IS NOT NULL LIMIT :limit
"""


def count_hidden(database: sqlite3.Connection, partition: str) -> tuple[int, int]:
    """Count the letters of a partition, and those that only one of both names."""
    parameters = {"partition": partition}
    table, index, both = database.execute(_COUNTS, parameters).fetchone()
    letters = max(int(table), int(index))
    return letters, letters - int(both)


def partitions_of_table(
    database: sqlite3.Connection, after: str, limit: int
) -> Iterable[tuple[bytes, object]]:
    """List the partitions of which the table has letters; all due, as none is known."""
    for (name,) in database.execute(_PARTITIONS, {"after": after, "limit": limit}):
        yield name, 0.0


def expose_letters(
    database: sqlite3.Connection,
    parameters: Parameters,
    found: list[Letter | SpoiledLetter],
) -> list[Letter | SpoiledLetter]:
    """Return a page of letters with those that the index names and the table has not.

    A letter whose entry says something else than its row is not believed.

    Args:
        database: inside the snapshot in which the page was read.
        parameters: those of the statement that read it.
        found: what was read.
    """
    rows: list[_Entry] = database.execute(_ENTRIES, parameters).fetchall()
    named, had = set(rows), {_entry(one) for one in found}
    if named == had:
        return found
    spoiled = {one.stamp for one in found if isinstance(one, SpoiledLetter)}
    page = [
        one for one in found if isinstance(one, SpoiledLetter) or _entry(one) in named
    ]
    partition = str(parameters["partition"])
    lost = [_lost(row, partition) for row in rows if row not in had]
    page += [one for one in lost if one.stamp not in spoiled]
    page.sort(key=lambda one: (one.due, one.stamp))
    return page[: int(parameters["limit"])]


def _entry(one: Letter | SpoiledLetter) -> _Entry:
    """Say what the index has to say of a letter."""
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
