"""Connections to SQLite: which URLs are accepted, how a connection is set up and used.

There are two engines. The one for writing has a single connection and takes the write
lock when a transaction begins: a transaction that begins by reading and asks for the
lock later is refused at once, whatever ``busy_timeout`` says. The other reads beside
it and never waits for a writer.

Work visits the driver's thread once per transaction and not once per statement: a visit
costs as much as twenty statements.
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
    "SQLITE_FULL": "the disk, or the room that the database may take, is full",
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
    """Read the URL of a database, or say what to write instead.

    Raises:
        UnsupportedStore: it is no URL, or it names a database that cannot hold what
            the store promises.
    """
    try:
        url = make_url(text)
    except ArgumentError as error:
        reason = "it is no URL; a file is written with a scheme before it"
        raise UnsupportedStore(text, reason) from error
    # An option without a value is dropped in silence, and with it half a file name.
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
    """Say in a few words why the database refused; parameters are never quoted."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    name = str(getattr(origin, "sqlite_errorname", type(origin).__name__))
    for prefix, reason in _REASONS.items():
        if name.startswith(prefix):
            return StoreUnavailable(operation, f"{reason} ({name})")
    return StoreUnavailable(operation, f"the database answered {name}")


def transaction(
    database: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]
) -> T:
    """Do work under the write lock and commit it, or leave nothing of it.

    A transaction that is still open is one whose rollback failed on a bad disk; without
    the first line it would keep the lock for ever.
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
class _Caller:
    """Whoever waits for work in the driver's thread; the thread looks whether it left.

    Attributes:
        left: nobody waits any more.
    """

    left: bool = False

    def wants(
        self, work: Callable[[sqlite3.Connection], T]
    ) -> Callable[[sqlite3.Connection], T]:
        """Make work that is not begun once its caller has left."""

        def wanted(database: sqlite3.Connection) -> T:
            if self.left:
                msg = "interrupted"
                raise sqlite3.OperationalError(msg)
            return work(database)

        return wanted


@attrs.frozen(eq=False)
class Engines:
    """An open database: one connection that writes, a few that read."""

    url: URL
    writing: Connections
    reading: Connections

    @classmethod
    def of(cls, url: URL, readers: int) -> Engines:
        """Make both engines; they are bound to a loop by what connects first."""
        return cls(url, _connections(url, size=1), _connections(url, size=readers))

    async def alter(self, work: Callable[[Connection], T]) -> T:
        """Run work with SQLAlchemy in one transaction under the write lock.

        Raises:
            UnsupportedStore: the file is no database, or its folder does not exist.
            StoreUnavailable: the medium refuses.
        """
        try:
            async with self.writing.lend() as driver:
                return await _in_thread(
                    driver,
                    lambda database: _with_sqlalchemy(database, work),
                    _Caller(),
                )
        except (DBAPIError, sqlite3.Error, UnicodeDecodeError) as error:
            raise await self._why_not_open(error) from error

    async def is_current(self) -> bool:
        """Tell whether the tables of this release are there, without taking a lock."""
        try:
            return await self.visit(self.writing, "opening", _has_our_tables)
        except (StoreUnavailable, UnicodeDecodeError):  # it quotes what is damaged
            return False  # who tries to make them learns why

    async def write(self, operation: str, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run work in a transaction, in one visit to the thread of the writer.

        A cancelled call has an unknown outcome: it is interrupted, unless the thread
        has come to the commit.
        """
        caller = _Caller()
        # Looked at once more behind the lock: its wait cannot be interrupted.
        inside = caller.wants(work)
        return await self._visit(
            self.writing,
            operation,
            lambda database: transaction(database, inside),
            caller,
        )

    async def read(self, operation: str, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run work in one visit to the thread of a reader, outside a transaction.

        Each statement sees one state of the database, and no lock outlives it.
        """
        return await self.visit(
            self.reading, operation, lambda database: work(_afresh(database))
        )

    async def close(self) -> None:
        """Let go of every connection.

        One that waits for another process's lock is left to its thread after a second;
        the thread then closes it, and does nothing else.
        """
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            await self.reading.close()
            await self.writing.close()

    async def visit(
        self,
        connections: Connections,
        operation: str,
        work: Callable[[sqlite3.Connection], T],
    ) -> T:
        """Run work in the thread of one of these connections."""
        return await self._visit(connections, operation, work, _Caller())

    async def _visit(
        self,
        connections: Connections,
        operation: str,
        work: Callable[[sqlite3.Connection], T],
        caller: _Caller,
    ) -> T:
        try:
            async with connections.lend() as driver:
                return await _in_thread(driver, caller.wants(work), caller)
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


def _afresh(database: sqlite3.Connection) -> sqlite3.Connection:
    """End a transaction whose rollback failed on a bad disk.

    Whoever read in it would see the database as it was then, for ever.
    """
    if database.in_transaction:
        database.rollback()
    return database


def _has_our_tables(database: sqlite3.Connection) -> bool:
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
    event.listen(engine.sync_engine, "connect", _set_up)
    return Connections(engine, size)


def _set_up(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    def configure(driver: Driver) -> Awaitable[None]:
        return _execute(driver, _configure)

    assert isinstance(connection, AdaptedConnection)  # noqa: S101  likewise
    connection.run_async(configure)


def _configure(database: sqlite3.Connection) -> None:
    for pragma in _PRAGMAS:
        database.execute(pragma)


def _with_sqlalchemy(
    database: sqlite3.Connection, work: Callable[[Connection], T]
) -> T:
    """Do work with SQLAlchemy under the write lock and commit it, or leave nothing."""
    engine = create_engine(
        "sqlite://",
        creator=lambda: database,
        poolclass=StaticPool,
        # Its rollback could fail after the commit, and SQLAlchemy then closes what is
        # not its own.
        pool_reset_on_return=None,
        hide_parameters=True,
    )
    event.listen(engine, "begin", _take_the_write_lock)
    with engine.begin() as connection:
        return work(connection)


def _take_the_write_lock(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


async def _in_thread(
    driver: Driver,
    work: Callable[[sqlite3.Connection], T],
    caller: _Caller,
) -> T:
    """Run work in the driver's own thread; interrupt it if the caller leaves.

    Without that, a cancelled statement would run on and keep its locks, and closing the
    connection would wait for it.
    """
    try:
        return await _execute(driver, work)
    except asyncio.CancelledError:
        caller.left = True
        with contextlib.suppress(ValueError):  # somebody has closed it meanwhile
            await driver.interrupt()  # noqa: ASYNC102  it does not wait
        raise


async def _execute(driver: Driver, work: Callable[[sqlite3.Connection], T]) -> T:
    """Run work in one visit to the thread of a connection.

    aiosqlite has no public call for more than one statement at a time. SQLAlchemy
    reaches into the driver in the same way to set the isolation level.
    """
    result: T = await driver._execute(work, driver._conn)  # type: ignore[no-untyped-call]  # noqa: SLF001  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType]
    return result
