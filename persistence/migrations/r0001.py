"""Version 1: partitions, records and quarantine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Column, Float, LargeBinary, Text

from .row_security import enable_row_security

if TYPE_CHECKING:
    from alembic.operations import Operations

__all__ = ["upgrade"]

_TEXT = Text().with_variant(Text(collation="C"), "postgresql")


def upgrade(op: Operations) -> None:
    """Make the first tables."""
    op.create_table(
        "podvisor_schema",
        Column("partition", _TEXT, primary_key=True),
        Column("version", BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "podvisor_owners",
        Column("partition", _TEXT, primary_key=True),
        Column("epoch", BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "podvisor_records",
        Column("partition", _TEXT, primary_key=True),
        Column("manager", _TEXT, primary_key=True),
        Column("key", _TEXT, primary_key=True),
        Column("kind", _TEXT, primary_key=True),
        Column("rev", BigInteger, nullable=False),
        Column("epoch", BigInteger, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("parent_manager", _TEXT, nullable=False),
        Column("parent_key", _TEXT, nullable=False),
        Column("on_parent_stop", _TEXT, nullable=False),
        Column("checksum", LargeBinary, nullable=False),
        Column("body", LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "podvisor_records_by_parent",
        "podvisor_records",
        ["partition", "parent_manager", "parent_key"],
    )
    op.create_table(
        "podvisor_quarantine",
        Column("partition", _TEXT, primary_key=True),
        Column("manager", _TEXT, primary_key=True),
        Column("key", _TEXT, primary_key=True),
        Column("reason", _TEXT, nullable=False),
        Column("since", Float, nullable=False),
        sqlite_with_rowid=False,
    )
    enable_row_security(
        op, "podvisor_owners", "podvisor_records", "podvisor_quarantine"
    )
