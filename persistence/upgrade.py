"""Bringing the tables of an older release up to date, or writing down how.

The whole upgrade is one transaction: another process sees the old tables or the new
ones. It raises the epoch of every owner, so that a host of the older release, should
one still run, is refused at its next write.
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

__all__ = ["script", "upgrade"]

T = TypeVar("T")

_BEGIN = {
    "sqlite": "-- Run it with: sqlite3 -bail FILE\nBEGIN IMMEDIATE;",
    "postgresql": "-- Run it with: psql -v ON_ERROR_STOP=1\nBEGIN;",
}
"""How a script begins. Without what it says, a client goes on behind an error."""
_OWNERS = "podvisor_owners"


@runtime_checkable
class _Tables(Protocol):
    """A store that keeps tables in one database."""

    async def alter(self, work: Callable[[Connection], T]) -> T:
        """Do work on the tables, of any version, in one transaction."""
        ...


async def upgrade(store: Store, *, dry_run: bool) -> AsyncGenerator[Migration]:
    """Bring the databases of a store up to date, or look at them only."""
    await anyio.to_thread.run_sync(_alembic, repr(store))  # its import blocks
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


def script(url: str, since: int) -> str:
    """Write down, as SQL, the steps from a version to that of this release."""
    context_of = _alembic(url)
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
    _take(context, REVISIONS[since:], since)
    head = f"-- podvisor: tables of version {since} -> {SCHEMA_VERSION}, {dialect}\n"
    return f"{head}{_BEGIN[dialect]}\n\n{output.getvalue()}COMMIT;\n"


def _upgrade(connection: Connection) -> int:
    """Take the steps that a database lacks; return the version that it had."""
    found = stored_version(connection)
    context = _alembic("the database").configure(connection)
    _take(context, REVISIONS[found:], found)
    return found


def _take(context: MigrationContext, steps: Sequence[Revision], found: int) -> None:
    """Take steps from a version that was found, and stamp what they lead to."""
    from alembic.operations import Operations  # noqa: PLC0415  it is an extra

    if not steps:
        return
    op = Operations(context)
    for step in steps:
        step.upgrade(op)
    reached = steps[-1].version
    if found:
        op.execute(
            f"UPDATE podvisor_schema SET version = {reached} "  # noqa: S608  numbers of ours
            f"WHERE partition = '' AND version = {found}"
        )
        _fence(op)
    else:
        op.execute(
            "INSERT INTO podvisor_schema (partition, version) "  # noqa: S608  likewise
            f"VALUES ('', {reached})"
        )


def _fence(op: Operations) -> None:
    """Take every partition away from whoever holds it."""
    if is_postgresql(op):  # its owner would see no rows there
        op.execute(f"ALTER TABLE {_OWNERS} NO FORCE ROW LEVEL SECURITY")
    op.execute(f"UPDATE {_OWNERS} SET epoch = epoch + 1")  # noqa: S608  a name of ours
    if is_postgresql(op):
        op.execute(f"ALTER TABLE {_OWNERS} FORCE ROW LEVEL SECURITY")


def _alembic(url: str) -> type[MigrationContext]:
    """Import alembic, which only migrations need."""
    try:
        from alembic.runtime.migration import MigrationContext  # noqa: PLC0415
    except ImportError as error:
        reason = "migrations need alembic: pip install 'podvisor[migrate]'"
        raise UnsupportedStore(url, reason) from error
    return MigrationContext
