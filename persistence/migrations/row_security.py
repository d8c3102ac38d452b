"""What revisions do on PostgreSQL alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alembic.operations import Operations

__all__ = ["enable_row_security", "is_postgresql"]


def is_postgresql(op: Operations) -> bool:
    """Return whether the tables are in PostgreSQL, or the script is for it."""
    return op.get_context().dialect.name == "postgresql"


def enable_row_security(op: Operations, *tables: str) -> None:
    """Put tables of tenants behind row-level security, where there is such a thing."""
    if is_postgresql(op):
        from persistence.sql import row_security_of  # noqa: PLC0415  only there

        for table in tables:
            for statement in row_security_of(table):
                op.execute(statement)
