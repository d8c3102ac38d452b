"""The tables, as they are laid out in every database.

Every primary key and every index begins with ``partition``, also that of the one row
that carries the version of the layout: a partition is found by descending an index,
never by filtering what others have. Text columns compare byte by byte (``BINARY``), so
no two partitions and no two keys are one to the database and two to us.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

__all__ = [
    "EVERYONE",
    "SCHEMA_VERSION",
    "metadata",
    "owners",
    "quarantine",
    "records",
    "stamps",
]

SCHEMA_VERSION = 1
"""Layout of the tables; raised by a release that changes them."""

EVERYONE = ""
"""Partition of a row that belongs to no tenant; no partition can have this name."""

metadata = MetaData()

stamps = Table(
    "podvisor_schema",
    metadata,
    Column("partition", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

owners = Table(
    "podvisor_owners",
    metadata,
    Column("partition", Text, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

records = Table(
    "podvisor_records",
    metadata,
    Column("partition", Text, primary_key=True),
    Column("manager", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("rev", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("parent_manager", Text, nullable=False),
    Column("parent_key", Text, nullable=False),
    Column("on_parent_stop", Text, nullable=False),
    Column("checksum", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index(
        "podvisor_records_by_parent",
        "partition",
        "parent_manager",
        "parent_key",
    ),
    sqlite_with_rowid=False,
)

quarantine = Table(
    "podvisor_quarantine",
    metadata,
    Column("partition", Text, primary_key=True),
    Column("manager", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("since", Float, nullable=False),
    sqlite_with_rowid=False,
)
