"""Queries for records, owners and quarantine, run in the driver's thread.

Every row is checked. A record with a wrong column or checksum is reported under the key
that was requested. A listing leaves out a row whose identity cannot be read, because
one damaged row must not hide the others.
"""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, TypeVar

import attrs

from ..errors import CorruptRecord
from ..identity import (
    Address,
    InvalidKey,
    InvalidName,
    InvalidPartition,
    Key,
    check_name,
    check_partition,
    key_from_text,
)
from ..sql import CHILDREN, CLAIM, COUNT, KEYS, LOAD, OWNER, PARTITIONS, QUARANTINED
from ..store import Claim, Quarantine, stored_record
from .hidden_letters import count_letters
from .hidden_rows import HIDDEN, hidden_from, snapshot
from .letter_queries import first_due

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..sql import Parameters
    from ..store import Loaded

__all__ = [
    "children",
    "claim",
    "count",
    "keys",
    "load",
    "partitions",
    "quarantined",
    "with_letters",
]

T = TypeVar("T")


def claim(database: sqlite3.Connection, partition: str) -> Claim:
    """Raise the owner epoch of a partition; runs inside a transaction."""
    database.execute(CLAIM, {"partition": partition})
    (epoch,) = database.execute(OWNER, {"partition": partition}).fetchone()
    return Claim(partition, int(epoch), tuple(quarantined(database, partition)))


def with_letters(database: sqlite3.Connection, claim: Claim) -> Claim:
    """Add to a claim the number of letters, the first due time and the hidden ones.

    If their pages cannot be read, the partition is claimed all the same, with one
    hidden letter that is due at once; reading the letters then reports the damage. Such
    an error would undo a transaction, so this runs outside of one.
    """
    partition = claim.partition
    try:
        due = first_due(database, partition)
        letters, hidden = count_letters(database, partition)
    except sqlite3.Error as error:
        if not _is_damage(error):
            raise
        letters, due, hidden = 1, 0.0, 1
    return attrs.evolve(claim, letters=letters, next_due=due, hidden=hidden)


def load(
    database: sqlite3.Connection,
    partition: str,
    manager: str,
    addresses: Mapping[str, Address],
) -> dict[str, Loaded]:
    """Read the records of addresses, each under the text of its key.

    If the database refuses the batch because of a damaged page, the keys are read one
    by one, so that the damage affects only the keys on that page.
    """
    try:
        return _load_batch(database, partition, manager, addresses)
    except sqlite3.Error as error:
        if not _is_damage(error):
            raise
        if len(addresses) == 1:
            reason = "the database cannot read its row"
            return {
                text: CorruptRecord(address, reason)
                for text, address in addresses.items()
            }
    found: dict[str, Loaded] = {}
    for text, address in addresses.items():
        found.update(load(database, partition, manager, {text: address}))
    return found


def _load_batch(
    database: sqlite3.Connection,
    partition: str,
    manager: str,
    addresses: Mapping[str, Address],
) -> dict[str, Loaded]:
    parameters = {
        "partition": partition,
        "manager": manager,
        "keys": json.dumps(list(addresses), ensure_ascii=False),
    }
    rows: list[tuple[str, ...]]
    with snapshot(database):
        rows = database.execute(LOAD, parameters).fetchall()
        hidden = hidden_from(database, parameters, rows)
    found: dict[str, Loaded] = dict.fromkeys(addresses, ())
    for columns in rows:
        text = columns[0]
        records = found[text]
        if isinstance(records, tuple):
            try:
                found[text] = (*records, stored_record(columns, addresses[text]))
            except CorruptRecord as error:
                found[text] = error
    for text in hidden:
        if isinstance(found[text], tuple):
            found[text] = CorruptRecord(addresses[text], HIDDEN)
    return found


def keys(
    database: sqlite3.Connection,
    place: tuple[str, str],
    *,
    after: str,
    limit: int,
) -> list[Key]:
    """Return the next page of keys of a (partition, manager) after a text."""
    partition, manager = place
    parameters: Parameters = {"partition": partition, "manager": manager}
    return _page(database, KEYS, parameters, key_from_text, after, limit)


def partitions(database: sqlite3.Connection, *, after: str, limit: int) -> list[str]:
    """Return the next page of partitions that have an owner."""
    return _page(database, PARTITIONS, {}, check_partition, after, limit)


def _page(
    database: sqlite3.Connection,
    statement: str,
    parameters: Parameters,
    read: Callable[[str], T],
    after: str,
    limit: int,
) -> list[T]:
    """Read a page of one column; it is full unless the listing ends in it.

    Unreadable rows are skipped here and not by the caller, to whom a short page means
    the end of the listing.
    """
    page: list[T] = []
    last: bytes = after.encode()
    while len(page) < limit:
        wanted = limit - len(page)
        rows: list[tuple[bytes]] = database.execute(
            statement, {**parameters, "after": last, "limit": wanted}
        ).fetchall()
        for (raw,) in rows:
            try:
                page.append(read(raw.decode()))
            except (InvalidKey, InvalidPartition, UnicodeDecodeError):
                continue
        if len(rows) < wanted:
            break
        (last,) = rows[-1]
    return page


def count(database: sqlite3.Connection, partition: str, manager: str) -> int:
    """Count the instances that have a state."""
    parameters = {"partition": partition, "manager": manager}
    (number,) = database.execute(COUNT, parameters).fetchone()
    return int(number)


def children(
    database: sqlite3.Connection, partition: str, manager: str, key: str
) -> list[Address]:
    """List the children of an instance."""
    parameters = {"partition": partition, "manager": manager, "key": key}
    rows = database.execute(CHILDREN, parameters)
    return [address for _, address in _addressed(rows, partition)]


def quarantined(database: sqlite3.Connection, partition: str) -> list[Quarantine]:
    """List the quarantined instances of a partition."""
    rows = database.execute(QUARANTINED, {"partition": partition})
    found: list[Quarantine] = []
    for (reason, since), address in _addressed(rows, partition):
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else ""
        stamp = since if isinstance(since, float) else 0.0
        found.append(Quarantine(address, text, stamp))
    return found


def _addressed(
    rows: sqlite3.Cursor, partition: str
) -> Iterator[tuple[list[object], Address]]:
    for manager, key, *rest in rows:
        try:
            name = check_name(manager.decode(), "manager")
            address = Address(partition, name, key_from_text(key.decode()))
        except (InvalidKey, InvalidName, UnicodeDecodeError):
            continue
        yield rest, address


def _is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error is due to a damaged row or page, not to the medium.

    Python's driver refuses text that is not UTF-8 without a SQLite code.
    """
    name = str(getattr(error, "sqlite_errorname", "SQLITE_CORRUPT"))
    return name.startswith("SQLITE_CORRUPT")
