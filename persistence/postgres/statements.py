"""How a statement is put to PostgreSQL: behind the wall, and many in one round trip.

The texts that write are those of ``statements``, with numbered and typed parameters.
Each is wrapped so that it gives one row for every execution, and so that an execution
with nothing but a partition (its *entrance*) opens the wall for the executions after
it and does nothing else: all its parameters are ``NULL``, and ``NULL`` equals nothing.
A batch of executions travels together, so a hundred saves of a hundred partitions cost
one round trip instead of three hundred, each under the setting of its own partition.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import attrs

from .. import sql
from ..sql import ANSWER, INSERT, INSPECT, MOVE, SETTING, UPDATE

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CHILDREN",
    "CLAIM",
    "COUNT",
    "DEAD",
    "FIRST_DUE",
    "KEYS",
    "LETTERS",
    "LOAD",
    "LOCK",
    "MAIL",
    "PARTITIONS",
    "QUARANTINED",
    "REPLY",
    "STORED_BYTES",
    "Statement",
    "writing",
]

_TYPES = {
    **dict.fromkeys(("rev", "epoch", "version", "tries", "limit"), "bigint"),
    **dict.fromkeys(("body", "checksum", "digest"), "bytea"),
    **dict.fromkeys(
        ("since", "due", "sent", "expires", "before", "until"), "double precision"
    ),
    "keys": "text[]",
}
"""Types of parameters by name; every other one is text."""

_ENTER = f"set_config('{SETTING}', $1::text, true)"
_NAME = re.compile(r"(?<!:):(\w+)")


@attrs.frozen
class Statement:
    """A text for the driver, and the parameters that it numbers.

    Its first parameter is the partition that may be touched, whatever the statement
    itself names; its answer is one row, whose second column is the result.
    """

    text: str
    names: tuple[str, ...]

    def entrance(self, partition: str) -> tuple[object, ...]:
        """Return the arguments that open the wall and touch no row."""
        return (partition, *(None for _ in self.names))

    def arguments(
        self, partition: str, parameters: Mapping[str, object]
    ) -> tuple[object, ...]:
        """Return the arguments in earnest."""
        return (partition, *(parameters[name] for name in self.names))


def _numbered(text: str) -> Statement:
    """Number the parameters of a text, after the one that opens the wall."""
    names = tuple(dict.fromkeys(_NAME.findall(text)))

    def number(match: re.Match[str]) -> str:
        name = match[1]
        return f"${names.index(name) + 2}::{_TYPES.get(name, 'text')}"

    return Statement(_NAME.sub(number, text), names)


def _giving(text: str, result: str) -> Statement:
    """Wrap a statement that gives one row."""
    return _numbered(f"WITH done AS ({text}) SELECT {_ENTER}, {result}")


def _listing(text: str, *order: str) -> Statement:
    """Wrap a query that gives many rows; they become one array, in order."""
    by = f" ORDER BY {', '.join(f'found.{name}' for name in order)}" if order else ""
    rows = f"SELECT array_agg(ROW(found.*){by}) FROM ({text}) AS found"  # noqa: S608  constants
    return _numbered(f"SELECT {_ENTER}, ({rows})")


@cache
def writing(text: str) -> Statement:
    """Wrap one of the texts that write; the result is how many rows were hit.

    A row that is there already is no error, as an error would end the transaction: it
    is a row that was not hit. PostgreSQL sees by itself that an index is unchanged.
    """
    if text == UPDATE:
        text = MOVE
    if text in (INSERT, ANSWER):
        text += " ON CONFLICT DO NOTHING"
    return _giving(f"{text} RETURNING 1", "(SELECT count(*) FROM done)")


LOCK = _giving(
    "SELECT epoch FROM podvisor_owners WHERE partition = :partition FOR SHARE",
    "ROW((SELECT epoch FROM done), pg_current_xact_id()::text)",
)
"""Keeps a partition from being claimed until the transaction ends.

Without the lock, a claim could be committed between the check of the epoch and the
commit of the save. The result is the epoch and the name of the transaction.
"""

CLAIM = _giving(
    """
    INSERT INTO podvisor_owners (partition, epoch)
    SELECT :partition, 1 WHERE :partition IS NOT NULL
    ON CONFLICT (partition) DO UPDATE SET epoch = podvisor_owners.epoch + 1
    RETURNING epoch
    """,
    "(SELECT epoch FROM done)",
)

LOAD = _listing(
    """
    SELECT key, kind, rev, version, parent_manager, parent_key, on_parent_stop, body,
        checksum
    FROM podvisor_records
    WHERE partition = :partition AND manager = :manager AND key = ANY (:keys)
    """
)

KEYS = _listing(
    """
    SELECT key FROM podvisor_records
    WHERE partition = :partition AND manager = :manager AND key > :after
    GROUP BY key ORDER BY key LIMIT :limit
    """,
    "key",
)

PARTITIONS = _listing(
    """
    SELECT partition FROM podvisor_owners WHERE partition > :after
    ORDER BY partition LIMIT :limit
    """,
    "partition",
)

COUNT = _numbered(
    f"""
    SELECT {_ENTER}, (
        SELECT count(*) FROM podvisor_records
        WHERE partition = :partition AND manager = :manager AND kind = 'state'
    )
    """  # noqa: S608  constants
)

CHILDREN = _listing(
    """
    SELECT manager, key FROM podvisor_records
    WHERE partition = :partition AND parent_manager = :manager AND parent_key = :key
    """,
    "manager",
    "key",
)

QUARANTINED = _listing(
    """
    SELECT manager, key, reason, since FROM podvisor_quarantine
    WHERE partition = :partition
    """,
    "manager",
    "key",
)

STORED_BYTES = _listing(INSPECT, "kind")
LETTERS = _listing(sql.LETTERS, "due", "stamp")
MAIL = _listing(sql.MAIL, "due", "stamp")
FIRST_DUE = _listing(sql.FIRST_DUE)
DEAD = _listing(sql.DEAD, "stamp")
REPLY = _listing(sql.REPLY)
