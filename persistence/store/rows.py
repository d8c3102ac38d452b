"""The columns of a record in a table, and the check of its checksum.

Every store keeps these columns, so a test in memory sees what a file would hold.
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
_TEXTS = {kind: kind.value for kind in RecordKind}  # reading ``value`` takes a call

CHECKSUM_BYTES = 8
"""Detects accidents: one damaged row in 10**19 passes. It is not a signature."""


class Row(NamedTuple):
    """A record as columns, with the names and the order of the columns of the table.

    ``""`` means no parent, as neither a name nor the text of a key is ever empty.

    A named tuple and not an attrs class: every save builds one, and a frozen attrs
    class takes twice as long to build.
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
"""The values of a ``Row``. Code that only reads them does without names: faster."""

_Columns: TypeAlias = tuple[str, str, int, int, str, str, str, bytes, bytes]
"""The result of ``LOAD`` without damage; SQLite keeps any type in any column."""

_TYPES = get_args(_Columns)


def stored_record(columns: tuple[object, ...], address: Address) -> Record:
    """Return the record in one row of the result of ``LOAD``.

    Args:
        columns: in the order of the statement.
        address: the address of the query that found the row.

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
    return tuple(map(type, columns)) == _TYPES  # a match takes as long as the query


def row_of(record: Record) -> Row:
    """Return the columns of a record."""
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
    """Return the record in a row.

    Args:
        row: a ``Row``, or its values.
        address: the address of the query that found the row.

    Raises:
        CorruptRecord: a column holds a value that no record has.
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
        raise CorruptRecord(address, "its parent is not an address") from error


def checksum(row: _Values) -> bytes:
    """Return the digest of a row, including its identity.

    With the identity, no row passes for another. The length of each text is digested
    too: without the lengths, ``ab`` + ``c`` and ``a`` + ``bc`` have one digest.
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
