"""Making the tables, and refusing those of another release."""

from __future__ import annotations

from sqlalchemy import Connection, inspect, select

from .errors import SchemaMismatch
from .schema import EVERYONE, SCHEMA_VERSION, metadata, stamps

__all__ = ["prepare"]


def prepare(connection: Connection) -> None:
    """Make the tables in an empty database, or check those that are there.

    Runs in a transaction that holds the write lock, so that of two hosts which open a
    new file together one makes the tables and the other finds them. Tables of other
    programs are left alone.

    Raises:
        SchemaMismatch: the tables carry another version, or some but no version.
    """
    found = set(inspect(connection).get_table_names()) & set(metadata.tables)
    if not found:
        metadata.create_all(connection, checkfirst=False)
        connection.execute(
            stamps.insert().values(partition=EVERYONE, version=SCHEMA_VERSION)
        )
        return
    version = None
    if stamps.name in found:
        version = connection.execute(
            select(stamps.c.version).where(stamps.c.partition == EVERYONE)
        ).scalar()
    if version != SCHEMA_VERSION:
        shown = "no version" if version is None else f"version {version}"
        raise SchemaMismatch(shown, f"version {SCHEMA_VERSION}")
    if missing := set(metadata.tables) - found:
        raise SchemaMismatch(
            f"version {version} without {', '.join(sorted(missing))}", "all of them"
        )
