"""The one form in which a record lies in a table, and the check of its bytes.

Every store keeps these fields, so that what a test sees in memory is what a file holds.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple, TypeAlias, TypeGuard, get_args

from ..errors import CorruptRecord
from ..identity import (
    Address,
    InvalidKey,
    InvalidName,
    check_name,
    key_from_text,
    key_to_text,
)
from .records import Record, RecordKind

__all__ = [
    "CHECKSUM_BYTES",
    "Row",
    "checksum",
    "record_of",
    "row_of",
    "stored_record",
]

_KINDS = {kind.value: kind for kind in RecordKind}
_TEXTS = {kind: kind.value for kind in RecordKind}  # ``value`` itself takes a call

CHECKSUM_BYTES = 8
"""Enough against accidents: one flipped row in 10**19 passes. It is no signature."""


class Row(NamedTuple):
    """A record as columns; ``""`` stands for no parent, as no name and no key is empty.

    A named tuple and no attrs class, because every save makes one and an attrs class
    that is frozen takes twice as long.

    The names are those of the table, the order that of its columns.
    """

    partition: str
    manager: str
    key: str
    kind: str
    rev: int
    version: int
    parent_manager: str
    parent_key: str
    on_parent_stop: str
    body: bytes


_Values: TypeAlias = tuple[str, str, str, str, int, int, str, str, str, bytes]
"""What a ``Row`` holds; who only reads one has no use for names, which take time."""

_Columns: TypeAlias = tuple[str, str, int, int, str, str, str, bytes, bytes]
"""What ``LOAD`` gives if nothing is damaged; SQLite keeps any type in any column."""

_TYPES = get_args(_Columns)


def stored_record(columns: tuple[object, ...], address: Address) -> Record:
    """Read what ``LOAD`` gives of one row.

    Args:
        columns: in the order of the statement.
        address: what was asked for; the row was found under it.

    Raises:
        CorruptRecord: the types, the checksum or the values are not those of a record.
    """
    if not _are_typed(columns):
        raise CorruptRecord(address, "a column has a value of the wrong type")
    row = (address.partition, address.manager, *columns[:-1])
    if checksum(row) != columns[-1]:
        raise CorruptRecord(address, "its checksum does not match")
    return record_of(row, address)


def _are_typed(columns: tuple[object, ...]) -> TypeGuard[_Columns]:
    return tuple(map(type, columns)) == _TYPES  # a match costs as much as the query


def row_of(record: Record) -> Row:
    """Lay a record out as columns."""
    address = record.address
    parent = record.parent
    return Row(
        address.partition,
        address.manager,
        key_to_text(address.key),
        _TEXTS[record.kind],
        record.rev,
        record.version,
        "" if parent is None else parent.manager,
        "" if parent is None else key_to_text(parent.key),
        record.on_parent_stop,
        record.body,
    )


def record_of(row: _Values, address: Address) -> Record:
    """Read a record back from its columns.

    Args:
        row: a ``Row``, or its values.
        address: what was asked for; the row was found under it.

    Raises:
        CorruptRecord: a column holds what no record has.
    """
    _, _, _, word, rev, version, manager, key, on_parent_stop, body = row
    kind = _KINDS.get(word)
    if kind is None:
        raise CorruptRecord(address, "its kind is unknown")
    if rev < 1 or version < 1:
        raise CorruptRecord(address, "its revision or version is below 1")
    parent = _parent(manager, key, address) if manager or key else None
    return Record(address, kind, rev, version, body, parent, on_parent_stop)


def _parent(manager: str, key: str, address: Address) -> Address:
    try:
        above = check_name(manager, "manager")
        return Address(address.partition, above, key_from_text(key))
    except (InvalidKey, InvalidName) as error:
        raise CorruptRecord(address, "its parent is no address") from error


def checksum(row: _Values) -> bytes:
    """Digest a row, its identity included, so that no row can stand in for another.

    Each text goes in with its length before it: without the lengths, ``ab`` + ``c``
    and ``a`` + ``bc`` were one.
    """
    partition, manager, key, kind, rev, version, above, above_key, policy, body = row
    head = (
        f"{rev}.{version}.{len(partition)}.{len(manager)}.{len(key)}.{len(kind)}."
        f"{len(above)}.{len(above_key)}.{len(policy)}:"
        f"{partition}{manager}{key}{kind}{above}{above_key}{policy}"
    )
    digest = blake2b(head.encode(), digest_size=CHECKSUM_BYTES)
    digest.update(body)
    return digest.digest()
