"""Connections to SQLite: which URLs are accepted, how a connection is set up and used.

There are two engines. The engine for writing has a single connection. It takes the
write lock when a transaction begins: a transaction that begins by reading and asks for
the lock later is refused at once, whatever ``busy_timeout`` is. The engine for reading
has connections of its own and never waits for a writer.

A transaction runs in one call to the driver's thread, not in one call per statement: a
call takes as long as twenty statements.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import anyio
import attrs
from sqlalchemy import AdaptedConnection, Connection, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, StaticPool

from ..errors import StoreUnavailable, UnsupportedStore
from ..migrations.schema import SCHEMA_VERSION, metadata
from ..sql import TABLES, VERSION
from .connections import Connections

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiosqlite import Connection as Driver
    from sqlalchemy.engine.interfaces import DBAPIConnection

__all__ = ["Engines", "check_url", "transaction", "unavailable"]

T = TypeVar("T")

_BUSY_SECONDS = 5
_CLOSE_SECONDS = 1
_PRAGMAS = (
    f"PRAGMA busy_timeout={_BUSY_SECONDS * 1000}",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
)
_REASONS = {
    "SQLITE_BUSY": f"another process held the lock for {_BUSY_SECONDS} s",
    "SQLITE_LOCKED": "another connection holds the lock",
    "SQLITE_FULL": "the disk, or the database up to its page limit, is full",
    "SQLITE_IOERR": "the disk reported an I/O error",
    "SQLITE_READONLY": "the database is read-only",
    "SQLITE_CANTOPEN": "the database file cannot be opened",
    "SQLITE_CORRUPT": "a page of the database is damaged",
    "SQLITE_NOTADB": "the file is not an SQLite database",
    "SQLITE_TOOBIG": "a value is larger than SQLite takes",
    "SQLITE_INTERRUPT": "the statement was interrupted",
    "UnicodeDecodeError": "a page of the database is damaged",
}


def check_url(text: str) -> URL:
    """Check the URL of a database and parse it.

    Raises:
        UnsupportedStore: it is no URL, or it names a database that cannot keep the
            contract of a store. The error tells what to write instead.
    """
    try:
        url = make_url(text)
    except ArgumentError as error:
        reason = "it is no URL; a file is written with a scheme before it"
        raise UnsupportedStore(text, reason) from error
    # SQLAlchemy drops an option without a value silently, and half a file name with it.
    dropped = "?" in text and not url.query
    why = "it has a '?'; give a pathlib.Path" if dropped else _why_not_usable(url)
    if why is not None:
        raise UnsupportedStore(url.render_as_string(hide_password=True), why)
    return url


def _why_not_usable(url: URL) -> str | None:
    if url.get_backend_name() != "sqlite":
        return "its scheme is not one of a supported store"
    if url.drivername != "sqlite+aiosqlite":
        return (
            f"{url.drivername!r} would block the event loop; "
            "write 'sqlite+aiosqlite' for it"
        )
    return _why_not_a_database(url.database or "", {**url.query})


def _why_not_a_database(name: str, query: dict[str, object]) -> str | None:
    if query == {"vfs": "memdb", "uri": "true"}:
        if name.startswith("file:/") and len(name) > len("file:/"):
            return None
        return "a memdb name begins with 'file:/', or each connection has its own"
    if not name or ":memory:" in name or query.get("mode") == "memory":
        return (
            "connections to such a memory database share one transaction, so a "
            "rollback of one partition undoes the commit of another; a test can use "
            "'sqlite+aiosqlite:///file:/name?vfs=memdb&uri=true'"
        )
    if name.startswith("file:") or query:
        return "it has options, of which only those of a memdb are known"
    return None


def unavailable(operation: str, error: Exception) -> StoreUnavailable:
    """Return a refusal of the database as an error that quotes no parameter."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    name = str(getattr(origin, "sqlite_errorname", type(origin).__name__))
    for prefix, reason in _REASONS.items():
        if name.startswith(prefix):
            return StoreUnavailable(operation, f"{reason} ({name})")
    return StoreUnavailable(operation, f"the database answered {name}")


def transaction(
    database: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]
) -> T:
    """Run work under the write lock and commit it; undo all of it if it raises.

    If a transaction is still open, its rollback failed on a bad disk. Unless it is
    rolled back first, it keeps the lock without end.
    """
    if database.in_transaction:
        database.rollback()
    database.execute("BEGIN IMMEDIATE")
    try:
        result = work(database)
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.rollback()
        raise
    return result


@attrs.define(eq=False)
class _Cancellation:
    """Tells the driver's thread that the caller was cancelled.

    Attributes:
        requested: the caller no longer waits for the work.
    """

    requested: bool = False

    def guard(
        self, work: Callable[[sqlite3.Connection], T]
    ) -> Callable[[sqlite3.Connection], T]:
        """Wrap work so that it does not start after a cancellation."""

        def guarded(database: sqlite3.Connection) -> T:
            if self.requested:
                msg = "interrupted"
                raise sqlite3.OperationalError(msg)
            return work(database)

        return guarded


@attrs.frozen(eq=False)
class Engines:
    """An open database: one connection that writes, a few that read.

    A transaction begins and ends within one call to the thread of its connection.
    ``SqlStore`` holds one of these while it is open.
    """

    url: URL
    writing: Connections
    reading: Connections

    @classmethod
    def of(cls, url: URL, readers: int) -> Engines:
        """Create both engines; the first connection binds each to its event loop."""
        return cls(url, _connections(url, size=1), _connections(url, size=readers))

    async def alter(self, work: Callable[[Connection], T]) -> T:
        """Run work on a SQLAlchemy connection, in one transaction with the write lock.

        Raises:
            UnsupportedStore: the file is no database, or its folder does not exist.
            StoreUnavailable: the medium refuses.
        """
        try:
            async with self.writing.lend_connection() as driver:
                return await _run_interruptibly(
                    driver,
                    lambda database: _with_sqlalchemy(database, work),
                    _Cancellation(),
                )
        except (DBAPIError, sqlite3.Error, UnicodeDecodeError) as error:
            raise await self._why_not_open(error) from error

    async def is_current(self) -> bool:
        """Return whether the tables are those of this release; take no lock."""
        try:
            return await self.run_in_thread(
                self.writing, "opening", _has_current_tables
            )
        except (StoreUnavailable, UnicodeDecodeError):
            # ``alter`` fails with the reason. A UnicodeDecodeError is not passed on, as
            # its text quotes the damaged data.
            return False

    async def write(self, operation: str, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run work in a transaction, in one call to the thread that writes.

        A cancelled call has an unknown outcome: it is interrupted, unless the thread
        has reached the commit.
        """
        cancellation = _Cancellation()
        # Checked again under the lock, as the wait for the lock cannot be interrupted.
        inside = cancellation.guard(work)
        return await self._run_in_thread(
            self.writing,
            operation,
            lambda database: transaction(database, inside),
            cancellation,
        )

    async def read(self, operation: str, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run work in one call to a thread that reads, outside a transaction.

        Each statement sees one state of the database. A lock ends with its statement.
        """
        return await self.run_in_thread(
            self.reading,
            operation,
            lambda database: work(_without_transaction(database)),
        )

    async def close(self) -> None:
        """Close every connection.

        After one second, a connection that waits for the lock of another process is
        left to its thread. The thread then closes it and does nothing else.
        """
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            await self.reading.close()
            await self.writing.close()

    async def run_in_thread(
        self,
        connections: Connections,
        operation: str,
        work: Callable[[sqlite3.Connection], T],
    ) -> T:
        """Run work in the thread of one of these connections.

        Raises:
            StoreUnavailable: the database refuses.
        """
        return await self._run_in_thread(connections, operation, work, _Cancellation())

    async def _run_in_thread(
        self,
        connections: Connections,
        operation: str,
        work: Callable[[sqlite3.Connection], T],
        cancellation: _Cancellation,
    ) -> T:
        try:
            async with connections.lend_connection() as driver:
                return await _run_interruptibly(
                    driver, cancellation.guard(work), cancellation
                )
        except (DBAPIError, sqlite3.Error) as error:
            raise unavailable(operation, error) from error

    async def _why_not_open(self, error: Exception) -> Exception:
        folder = Path(self.url.database or "").parent
        origin = error.orig if isinstance(error, DBAPIError) else error
        name = getattr(origin, "sqlite_errorname", "")
        if name == "SQLITE_CANTOPEN" and not await anyio.Path(folder).is_dir():
            return UnsupportedStore(
                str(self.url), f"there is no folder {str(folder)!r}"
            )
        if name == "SQLITE_NOTADB":
            return UnsupportedStore(str(self.url), "the file is no SQLite database")
        return unavailable("opening the database", error)


def _without_transaction(database: sqlite3.Connection) -> sqlite3.Connection:
    """End a transaction whose rollback failed on a bad disk.

    All later reads in it would see the database as it was at that time.
    """
    if database.in_transaction:
        database.rollback()
    return database


def _has_current_tables(database: sqlite3.Connection) -> bool:
    rows = database.execute(TABLES).fetchall()
    if {name for (name,) in rows} != metadata.tables.keys():
        return False
    return database.execute(VERSION).fetchall() == [(SCHEMA_VERSION,)]


def _connections(url: URL, *, size: int) -> Connections:
    engine = create_async_engine(
        url,
        poolclass=NullPool,
        hide_parameters=True,
        connect_args={"isolation_level": None},
    )
    event.listen(engine.sync_engine, "connect", _configure_connection)
    return Connections(engine, size)


def _configure_connection(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    def configure(driver: Driver) -> Awaitable[None]:
        return _execute(driver, _run_pragmas)

    assert isinstance(connection, AdaptedConnection)  # noqa: S101  tells the type checkers what was opened
    connection.run_async(configure)


def _run_pragmas(database: sqlite3.Connection) -> None:
    for pragma in _PRAGMAS:
        database.execute(pragma)


def _with_sqlalchemy(
    database: sqlite3.Connection, work: Callable[[Connection], T]
) -> T:
    """Run work under the write lock and commit it; undo all of it if it raises."""
    engine = create_engine(
        "sqlite://",
        creator=lambda: database,
        poolclass=StaticPool,
        # A rollback on return could fail after the commit. SQLAlchemy would then close
        # the connection, which belongs to ``Connections``.
        pool_reset_on_return=None,
        hide_parameters=True,
    )
    event.listen(engine, "begin", _take_write_lock)
    with engine.begin() as connection:
        return work(connection)


def _take_write_lock(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


async def _run_interruptibly(
    driver: Driver,
    work: Callable[[sqlite3.Connection], T],
    cancellation: _Cancellation,
) -> T:
    """Run work in the driver's thread; interrupt it if the caller is cancelled.

    Without the interruption a cancelled statement would continue and keep its locks,
    and closing the connection would wait for it.
    """
    try:
        return await _execute(driver, work)
    except asyncio.CancelledError:
        cancellation.requested = True
        with contextlib.suppress(ValueError):  # the connection is closed by now
            await driver.interrupt()  # noqa: ASYNC102  it does not wait
        raise


async def _execute(driver: Driver, work: Callable[[sqlite3.Connection], T]) -> T:
    """Run work in one call to the thread of a connection.

    aiosqlite has no public call for more than one statement at a time. SQLAlchemy uses
    the same private method to set the isolation level.
    """
    result: T = await driver._execute(work, driver._conn)  # type: ignore[no-untyped-call]  # noqa: SLF001  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType]
    return result
