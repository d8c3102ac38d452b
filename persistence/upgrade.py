"""Migration of the tables of an older release, or the SQL script that does it.

The whole migration of a database is one transaction: another process sees the old
tables or the new ones. It raises the owner epoch of every partition. So a host of the
older release that still runs is refused at its next write.
"""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

import anyio.to_thread
from sqlalchemy.engine import make_url

from .errors import UnsupportedStore
from .files.store import FilesStore
from .identity import PodsError
from .migration import Migration
from .migrations import REVISIONS, Revision
from .migrations.row_security import is_postgresql
from .migrations.schema import SCHEMA_VERSION
from .migrations.tables import stored_version

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy import Connection

    from .store import Store

__all__ = ["script_since", "upgrade"]

T = TypeVar("T")

_BEGIN = {
    "sqlite": "-- Run it with: sqlite3 -bail FILE\nBEGIN IMMEDIATE;",
    "postgresql": "-- Run it with: psql -v ON_ERROR_STOP=1\nBEGIN;",
}
"""First lines of a script. Without these options a client continues after an error."""
_OWNERS = "podvisor_owners"


@runtime_checkable
class _Tables(Protocol):
    """A store that keeps its tables in one database."""

    async def alter(self, work: Callable[[Connection], T]) -> T:
        """Call a function on the tables, of any version, in one transaction."""
        ...


async def upgrade(store: Store, *, dry_run: bool) -> AsyncGenerator[Migration]:
    """Bring the databases of a store up to date, or report on them only."""
    await anyio.to_thread.run_sync(_import_alembic, repr(store))  # its import blocks
    if isinstance(store, FilesStore):
        async for partition, one in store.databases():
            yield await _migrate(one, partition, dry_run=dry_run)
    elif isinstance(store, _Tables):
        yield await _migrate(store, "", dry_run=dry_run)
    else:
        raise UnsupportedStore(repr(store), "it has no tables that could be migrated")


async def _migrate(store: _Tables, partition: str, *, dry_run: bool) -> Migration:
    try:
        found = await store.alter(stored_version if dry_run else _upgrade)
    except PodsError as error:
        return Migration(partition=partition, problem=error)
    steps = tuple((one.version, one.title) for one in REVISIONS[found:])
    return Migration(
        partition=partition, found=found, steps=steps, done=bool(steps) and not dry_run
    )


def script_since(url: str, since: int) -> str:
    """Return the SQL of the steps from a version to that of this release."""
    context_of = _import_alembic(url)
    if not 0 <= since <= SCHEMA_VERSION:
        msg = f"there is no version {since}: versions are 0 to {SCHEMA_VERSION}"
        raise ValueError(msg)
    dialect = make_url(url).get_backend_name() if "://" in url else url
    if dialect not in _BEGIN:
        raise UnsupportedStore(url, "there are migrations for SQLite and PostgreSQL")
    output = StringIO()
    context = context_of.configure(
        dialect_name=dialect, opts={"as_sql": True, "output_buffer": output}
    )
    _run_steps(context, REVISIONS[since:], since)
    head = f"-- podvisor: tables of version {since} -> {SCHEMA_VERSION}, {dialect}\n"
    return f"{head}{_BEGIN[dialect]}\n\n{output.getvalue()}COMMIT;\n"


def _upgrade(connection: Connection) -> int:
    """Run the steps that a database lacks; return the version that it had."""
    found = stored_version(connection)
    context = _import_alembic("the database").configure(connection)
    _run_steps(context, REVISIONS[found:], found)
    return found


def _run_steps(
    context: MigrationContext, steps: Sequence[Revision], found: int
) -> None:
    """Run steps from a version that was found, and store the version they lead to."""
    from alembic.operations import Operations  # noqa: PLC0415  an optional dependency

    if not steps:
        return
    op = Operations(context)
    for step in steps:
        step.upgrade(op)
    reached = steps[-1].version
    if found:
        op.execute(
            f"UPDATE podvisor_schema SET version = {reached} "  # noqa: S608  both are ints
            f"WHERE partition = '' AND version = {found}"
        )
        _raise_epochs(op)
    else:
        op.execute(
            "INSERT INTO podvisor_schema (partition, version) "  # noqa: S608  it is an int
            f"VALUES ('', {reached})"
        )


def _raise_epochs(op: Operations) -> None:
    """Take every partition from its host: raise each owner epoch by one."""
    if is_postgresql(op):  # with forced row security the table's owner sees no rows
        op.execute(f"ALTER TABLE {_OWNERS} NO FORCE ROW LEVEL SECURITY")
    op.execute(f"UPDATE {_OWNERS} SET epoch = epoch + 1")  # noqa: S608  a constant name
    if is_postgresql(op):
        op.execute(f"ALTER TABLE {_OWNERS} FORCE ROW LEVEL SECURITY")


def _import_alembic(url: str) -> type[MigrationContext]:
    """Import alembic, which only migrations need, and return its context class."""
    try:
        from alembic.runtime.migration import MigrationContext  # noqa: PLC0415
    except ImportError as error:
        reason = "migrations need alembic: pip install 'podvisor[migrate]'"
        raise UnsupportedStore(url, reason) from error
    return MigrationContext
