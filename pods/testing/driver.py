"""SQLite without threads: real databases whose operations take virtual time.

aiosqlite gives each connection a thread that does what a queue holds. Here the queue
does it itself, in order, on the simulated loop: each visit begins a little later than
it was asked for, and now and then much later. Every statement may fail before or after
it took effect, and the process that owns a database can be killed between two of them.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import weakref
from collections import deque
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import aiosqlite
import attrs

from .faults import Faults, Trouble, When

if TYPE_CHECKING:
    from random import Random

    from .loop import SimulatedLoop

__all__ = ["SimulatedDriver"]

T = TypeVar("T")


class _Refused(sqlite3.OperationalError):
    """An injected refusal of the medium."""


class _Damaged(sqlite3.DatabaseError):
    """An injected find of damage."""


_ERRORS: dict[Trouble, tuple[type[sqlite3.Error], str, int, str]] = {
    Trouble.BUSY: (_Refused, "database is locked", 5, "SQLITE_BUSY"),
    Trouble.IOERR: (_Refused, "disk I/O error", 10, "SQLITE_IOERR"),
    Trouble.FULL: (_Refused, "database or disk is full", 13, "SQLITE_FULL"),
    Trouble.CORRUPT: (_Damaged, "the disk image is malformed", 11, "SQLITE_CORRUPT"),
}
_BUSY_SECONDS = 5.0
"""How long a visit tries again that finds the lock of another host taken."""
_BUSY_PAUSE = 0.05
_SLOWEST = 8.0
_CHUNK = 64
"""Rows that aiosqlite fetches at a time; its cursors are not iterated over here."""
_Item: TypeAlias = tuple[asyncio.Future[object] | None, Callable[[], object]]
_SUFFIXES = ("", "-wal")
"""Files that outlive a process; SQLite makes the shared memory anew."""


@attrs.define(eq=False)
class SimulatedDriver:
    """The databases of one simulation.

    Attributes:
        loop: whose time the operations take.
        random: decides how long they take.
        faults: decides which of them fail.
        slow: share of the visits that take seconds.
        delayed: visits that have taken seconds.
    """

    loop: SimulatedLoop
    random: Random
    faults: Faults = attrs.field(factory=Faults)
    slow: float = 0.0
    delayed: int = 0
    _open: dict[_Connection, str] = attrs.field(
        factory=dict["_Connection", str], init=False
    )
    _dead: set[str] = attrs.field(factory=set[str], init=False)
    _databases: weakref.WeakSet[sqlite3.Connection] = attrs.field(
        factory=weakref.WeakSet[sqlite3.Connection], init=False
    )

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._open)

    @contextmanager
    def installed(self) -> Generator[None]:
        """Serve what connects through aiosqlite inside this block, on this loop."""
        original = aiosqlite.connect

        def connect(database: str | Path, **settings: object) -> aiosqlite.Connection:
            if asyncio.get_running_loop() is not self.loop:
                return original(database, **settings)  # type: ignore[arg-type]  # as they came
            return self._connect(str(database), settings)

        aiosqlite.connect = connect
        try:
            yield
        finally:
            aiosqlite.connect = original

    def kill(self, file: Path, image: Path) -> None:
        """End the process that has a database open, and keep what is on the disk.

        Args:
            file: the database; nothing reaches it any more.
            image: where its files are copied to, as a new process would find them.
        """
        self.loop.note(f"kill {image.name}")
        for suffix in _SUFFIXES:
            source = Path(f"{file}{suffix}")
            if source.exists():
                shutil.copyfile(source, f"{image}{suffix}")
        self._dead.add(str(file))
        for connection, name in list(self._open.items()):
            if name == str(file):
                connection.drop()

    def close(self) -> None:
        """Close what is still open, and report nothing."""
        for connection in list(self._open):
            connection.drop()
        for database in list(self._databases):  # one that was to close after the end
            database.close()

    def statement(self, sql: str, work: Callable[[], T], *, ends: bool = True) -> T:
        """Carry out one operation, or make it fail.

        Args:
            sql: what it is called in the trace.
            work: does it.
            ends: it ends a transaction, or is one. SQLite undoes any other statement
                that fails, so that it cannot fail after it took effect.
        """
        fault = self.faults.next()
        self.loop.note(f"{sql[:60]!r}{'' if fault is None else f' fails: {fault}'}")
        if fault is None:
            return work()
        if fault.when is When.AFTER and ends:
            work()
        raise _error_of(fault.trouble)

    def visit_seconds(self) -> float:
        """Draw how long a visit takes."""
        if self.slow and self.random.random() < self.slow:
            self.delayed += 1
            return self.random.uniform(0.1, _SLOWEST)
        return self.loop.moment()

    def _connect(self, name: str, settings: Mapping[str, object]) -> _Connection:
        def connector() -> sqlite3.Connection:
            if name in self._dead:
                raise _gone()
            self.statement("connect", lambda: None)
            found = _Database(name, **settings)  # type: ignore[arg-type]  # as they came
            found.driver = self
            self._databases.add(found)
            return found

        made = _Connection(connector, self, lambda: self._open.pop(made, None))
        self._open[made] = name
        return made


class _Connection(aiosqlite.Connection):
    """What SQLAlchemy holds; a queue of the simulation stands where its thread was."""

    def __init__(
        self,
        connector: Callable[[], sqlite3.Connection],
        driver: SimulatedDriver,
        ended: Callable[[], object],
    ) -> None:
        super().__init__(connector, _CHUNK)
        self._ended = ended
        self._dropped = False
        vars(self).update(_tx=_Queue(driver), _thread=_NoThread())

    def stop(self) -> asyncio.Future[object] | None:
        self._ended()
        return super().stop()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  aiosqlite's own

    @property
    def _conn(self) -> sqlite3.Connection:
        if self._dropped:  # aiosqlite would speak of a mistake of its caller
            raise _gone()
        return super()._conn

    async def interrupt(self) -> None:
        if not self._dropped:
            await super().interrupt()

    def drop(self) -> None:
        """Close the database as the end of a process does."""
        self._ended()
        self._running = False
        self._dropped = True
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _NoThread:
    """Stands where aiosqlite has its thread."""

    daemon = True

    def start(self) -> None:
        """Do nothing: the queue works by itself."""


class _Queue:
    """Stands where aiosqlite has the queue of its thread, and does what is in it."""

    def __init__(self, driver: SimulatedDriver) -> None:
        self._driver = driver
        self._items: deque[_Item] = deque()
        self._working = False

    def put_nowait(self, item: _Item) -> None:
        """Take what is to be done after everything that waits already."""
        self._items.append(item)
        self._go_on()

    def _go_on(self) -> None:
        if self._items and not self._working:
            self._working = True
            seconds = self._driver.visit_seconds()
            self._driver.loop.call_later(seconds, self._visit, 0.0)

    def _visit(self, waited: float) -> None:
        """Do the oldest item; wait and try again if another host holds the lock."""
        future, work = self._items[0]
        try:
            result = work()
        except BaseException as error:  # noqa: ASYNC103, BLE001  it belongs to the caller
            if _is_locked(error) and waited < _BUSY_SECONDS:
                again = waited + _BUSY_PAUSE
                self._driver.loop.call_later(_BUSY_PAUSE, self._visit, again)
                return  # noqa: ASYNC104  no coroutine: a callback
            if future is not None and not future.done():
                future.set_exception(error)
        else:
            if future is not None and not future.done():
                future.set_result(result)
        self._items.popleft()
        self._working = False
        self._go_on()


class _Database(sqlite3.Connection):
    """A real connection; each of its statements is an operation of the driver."""

    driver: SimulatedDriver

    def cursor(self, factory: object = None) -> _Cursor:  # type: ignore[override]  # always its own kind
        return super().cursor(_Cursor)

    def execute(self, sql: str, parameters: object = ()) -> _Cursor:
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, parameters: object) -> _Cursor:
        return self.cursor().executemany(sql, parameters)

    def commit(self) -> None:
        self.driver.statement("commit", super().commit)

    def rollback(self) -> None:
        self.driver.statement("rollback", super().rollback)


class _Cursor(sqlite3.Cursor):
    def execute(self, sql: str, parameters: object = ()) -> _Cursor:
        if sql.startswith("PRAGMA busy_timeout"):
            sql = "PRAGMA busy_timeout=0"  # the queue waits instead, in virtual time
        run = super().execute
        self._do(sql, lambda: run(sql, parameters))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  as it came
        return self

    def executemany(self, sql: str, parameters: object) -> _Cursor:
        run = super().executemany
        self._do(sql, lambda: run(sql, parameters))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  as it came
        return self

    def _do(self, sql: str, work: Callable[[], object]) -> None:
        database = self.connection
        assert isinstance(database, _Database)
        try:
            ends = sql == "COMMIT" or not (
                database.in_transaction or sql.startswith("BEGIN")
            )
            database.driver.statement(sql, work, ends=ends)
        except (_Refused, _Damaged):
            super().fetchall()  # as SQLite resets a statement that fails
            raise


def _error_of(trouble: Trouble) -> sqlite3.Error:
    kind, text, code, name = _ERRORS[trouble]
    error = kind(text)
    error.sqlite_errorcode, error.sqlite_errorname = code, name
    return error


def _gone() -> sqlite3.Error:
    error = sqlite3.OperationalError("the process was killed")
    error.sqlite_errorcode, error.sqlite_errorname = 14, "SQLITE_CANTOPEN"
    return error


def _is_locked(error: BaseException) -> bool:
    """Return whether another connection really holds the lock; it is not injected."""
    return (
        isinstance(error, sqlite3.OperationalError)
        and getattr(error, "sqlite_errorname", "") == "SQLITE_BUSY"
        and not isinstance(error, _Refused)
    )
