"""Row-level security of PostgreSQL, which hides the rows of other partitions.

Every statement names its partition. If one ever did not, the policies would still hide
the rows of all others: each transaction sets ``podvisor.partition``, and a policy on
each table compares it with the row. Without the setting no row is visible or writable.

``FORCE`` applies the policies to the owner of the tables as well. Superusers and roles
with ``BYPASSRLS`` are exempt; ``docs/postgres.md`` names the role to use.

This module imports nothing of SQLAlchemy, so that a migration can use it.
"""

from __future__ import annotations

__all__ = ["ALL_OWNERS", "SETTING", "row_security_of"]

SETTING = "podvisor.partition"
"""Setting of a transaction: the one partition that it may read and write."""

ALL_OWNERS = "*"
"""Value of the setting that makes every row of ``podvisor_owners`` readable.

It shows nothing else. No partition can have this name. The listing of partitions uses
it.
"""

_CURRENT = f"current_setting('{SETTING}', true)"


def row_security_of(table: str) -> tuple[str, ...]:
    """Return the statements that enable row security on a table, in order."""
    own = f"partition = {_CURRENT}"
    statements = (
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY podvisor_partition ON {table} USING ({own}) WITH CHECK ({own})",
    )
    if table != "podvisor_owners":
        return statements
    listing = (
        f"CREATE POLICY podvisor_listing ON {table}"
        f" FOR SELECT USING ({_CURRENT} = '{ALL_OWNERS}')"
    )
    return (*statements, listing)
