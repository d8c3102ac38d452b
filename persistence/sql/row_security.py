"""The second wall around a partition: row-level security of PostgreSQL.

Every statement names its partition. If one ever did not, the database itself would
hide the rows of the others: each transaction says with ``podvisor.partition`` which
partition it may touch, and a policy on every table compares. Without that setting no
row is visible, and none can be written.

``FORCE`` puts the owner of the tables under the policy as well. Superusers and roles
with ``BYPASSRLS`` walk through it; ``docs/postgres.md`` says which role to use.

This module imports nothing of SQLAlchemy, so that a migration can use it.
"""

from __future__ import annotations

__all__ = ["EVERY_NAME", "SETTING", "wall_of"]

SETTING = "podvisor.partition"
"""Setting of a transaction that names the one partition it may touch."""

EVERY_NAME = "*"
"""Value of the setting that shows who owns which partition, and nothing else.

No partition can have this name. Listing the partitions of a host needs it.
"""

_CURRENT = f"current_setting('{SETTING}', true)"


def wall_of(table: str) -> tuple[str, ...]:
    """Return the statements that put a table of tenants behind the wall, in order."""
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
        f" FOR SELECT USING ({_CURRENT} = '{EVERY_NAME}')"
    )
    return (*statements, listing)
