"""Making the tables, and telling which version of them a database has."""

from __future__ import annotations

from sqlalchemy import Connection, inspect, select

from ..errors import SchemaMismatch
from . import REVISIONS
from .schema import EVERYONE, SCHEMA_VERSION, metadata, stamps

__all__ = ["prepare", "stored_version"]


def prepare(connection: Connection, url: str = "URL") -> None:
    """Make the tables in an empty database, or check those that are there.

    Runs in a transaction that holds the write lock, so that of two hosts which open a
    new file together one makes the tables and the other finds them. Tables of other
    programs are left alone.

    Args:
        connection: to the database.
        url: names the store in what an error says.

    Raises:
        SchemaMismatch: the tables carry another version, or are not those of theirs.
    """
    version = stored_version(connection)
    if version == 0:
        metadata.create_all(connection, checkfirst=False)
        connection.execute(
            stamps.insert().values(partition=EVERYONE, version=SCHEMA_VERSION)
        )
    elif version != SCHEMA_VERSION:
        raise SchemaMismatch(
            f"version {version}",
            f"version {SCHEMA_VERSION}",
            f"Run: podvisor migrate {url!r}",
        )


def stored_version(connection: Connection) -> int:
    """Return the version of the tables in a database; 0 if it has none.

    Raises:
        SchemaMismatch: they are newer than this release, or not those of a version.
    """
    found = set(inspect(connection).get_table_names()) & set(metadata.tables)
    if not found:
        return 0
    version = None
    if stamps.name in found:
        version = connection.execute(
            select(stamps.c.version).where(stamps.c.partition == EVERYONE)
        ).scalar()
    wanted = f"version {SCHEMA_VERSION}"
    if not isinstance(version, int) or version < 1:
        shown = "no version" if version is None else f"version {version}"
        raise SchemaMismatch(shown, wanted, _RESTORE)
    if version > SCHEMA_VERSION:
        advice = "Use the release that made them; nothing was changed."
        raise SchemaMismatch(f"version {version}", wanted, advice)
    tables = {t for one in REVISIONS[:version] for t in one.tables}
    for word, wrong in (("without", tables - found), ("with", found - tables)):
        if wrong:
            shown = f"version {version} {word} {', '.join(sorted(wrong))}"
            raise SchemaMismatch(shown, wanted, _RESTORE)
    return int(version)


_RESTORE = "Restore the database from a backup; nothing was changed."
