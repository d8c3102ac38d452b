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
    "TEXT",
    "metadata",
    "owners",
    "quarantine",
    "records",
    "stamps",
]

SCHEMA_VERSION = 2
"""Layout of the tables; raised by a release that changes them."""

EVERYONE = ""
"""Partition of a row that belongs to no tenant; no partition can have this name."""

TEXT = Text().with_variant(Text(collation="C"), "postgresql")
"""Compares byte by byte, as SQLite does unasked."""

metadata = MetaData()

stamps = Table(
    "podvisor_schema",
    metadata,
    Column("partition", TEXT, primary_key=True),
    Column("version", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

owners = Table(
    "podvisor_owners",
    metadata,
    Column("partition", TEXT, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

records = Table(
    "podvisor_records",
    metadata,
    Column("partition", TEXT, primary_key=True),
    Column("manager", TEXT, primary_key=True),
    Column("key", TEXT, primary_key=True),
    Column("kind", TEXT, primary_key=True),
    Column("rev", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("parent_manager", TEXT, nullable=False),
    Column("parent_key", TEXT, nullable=False),
    Column("on_parent_stop", TEXT, nullable=False),
    Column("checksum", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index(
        "podvisor_records_by_parent",
        "partition",
        "parent_manager",
        "parent_key",
    ),
    Index("podvisor_records_witness", "partition", "manager", "key").ddl_if("sqlite"),
    sqlite_with_rowid=False,
)

quarantine = Table(
    "podvisor_quarantine",
    metadata,
    Column("partition", TEXT, primary_key=True),
    Column("manager", TEXT, primary_key=True),
    Column("key", TEXT, primary_key=True),
    Column("reason", TEXT, nullable=False),
    Column("since", Float, nullable=False),
    sqlite_with_rowid=False,
)

letters = Table(
    "podvisor_letters",
    metadata,
    Column("partition", TEXT, primary_key=True),
    Column("manager", TEXT, primary_key=True),
    Column("key", TEXT, primary_key=True),
    Column("id", TEXT, primary_key=True),
    Column("stamp", TEXT, nullable=False),
    Column("message", TEXT, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("due", Float, nullable=False),
    Column("sent", Float, nullable=False),
    Column("tries", BigInteger, nullable=False),
    Column("cron", TEXT, nullable=False),
    Column("sender_manager", TEXT, nullable=False),
    Column("sender_key", TEXT, nullable=False),
    Column("checksum", LargeBinary, nullable=False),
    Index("podvisor_letters_by_due", "partition", "due", "stamp"),
    sqlite_with_rowid=False,
)

dead_letters = Table(
    "podvisor_dead_letters",
    metadata,
    Column("partition", TEXT, primary_key=True),
    Column("stamp", TEXT, primary_key=True),
    Column("manager", TEXT, nullable=False),
    Column("key", TEXT, nullable=False),
    Column("id", TEXT, nullable=False),
    Column("message", TEXT, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("sent", Float, nullable=False),
    Column("tries", BigInteger, nullable=False),
    Column("reason", TEXT, nullable=False),
    Column("since", Float, nullable=False),
    sqlite_with_rowid=False,
)

replies = Table(
    "podvisor_replies",
    metadata,
    Column("partition", TEXT, primary_key=True),
    Column("manager", TEXT, primary_key=True),
    Column("key", TEXT, primary_key=True),
    Column("request", TEXT, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("expires", Float, nullable=False),
    Column("checksum", LargeBinary, nullable=False),
    Index("podvisor_replies_by_expiry", "partition", "expires"),
    sqlite_with_rowid=False,
)
