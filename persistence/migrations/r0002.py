"""Version 2: letters, dead letters, remembered replies, and a witness of records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Column, Float, LargeBinary, Text

from .row_security import enable_row_security, is_postgresql

if TYPE_CHECKING:
    from alembic.operations import Operations

__all__ = ["upgrade"]

_TEXT = Text().with_variant(Text(collation="C"), "postgresql")


def upgrade(op: Operations) -> None:
    """Add the tables of durable messages, and an index; no stored row changes."""
    if not is_postgresql(op):  # its pages have checksums of their own
        op.create_index(
            "podvisor_records_witness",
            "podvisor_records",
            ["partition", "manager", "key"],
        )
    _letters(op)
    op.create_table(
        "podvisor_replies",
        Column("partition", _TEXT, primary_key=True),
        Column("manager", _TEXT, primary_key=True),
        Column("key", _TEXT, primary_key=True),
        Column("request", _TEXT, primary_key=True),
        Column("digest", LargeBinary, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("expires", Float, nullable=False),
        Column("checksum", LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "podvisor_replies_by_expiry", "podvisor_replies", ["partition", "expires"]
    )
    enable_row_security(
        op, "podvisor_letters", "podvisor_dead_letters", "podvisor_replies"
    )


def _letters(op: Operations) -> None:
    op.create_table(
        "podvisor_letters",
        Column("partition", _TEXT, primary_key=True),
        Column("manager", _TEXT, primary_key=True),
        Column("key", _TEXT, primary_key=True),
        Column("id", _TEXT, primary_key=True),
        Column("stamp", _TEXT, nullable=False),
        Column("message", _TEXT, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("due", Float, nullable=False),
        Column("sent", Float, nullable=False),
        Column("tries", BigInteger, nullable=False),
        Column("cron", _TEXT, nullable=False),
        Column("sender_manager", _TEXT, nullable=False),
        Column("sender_key", _TEXT, nullable=False),
        Column("checksum", LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "podvisor_letters_by_due", "podvisor_letters", ["partition", "due", "stamp"]
    )
    op.create_table(
        "podvisor_dead_letters",
        Column("partition", _TEXT, primary_key=True),
        Column("stamp", _TEXT, primary_key=True),
        Column("manager", _TEXT, nullable=False),
        Column("key", _TEXT, nullable=False),
        Column("id", _TEXT, nullable=False),
        Column("message", _TEXT, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("sent", Float, nullable=False),
        Column("tries", BigInteger, nullable=False),
        Column("reason", _TEXT, nullable=False),
        Column("since", Float, nullable=False),
        sqlite_with_rowid=False,
    )
