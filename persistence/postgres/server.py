"""Connections to PostgreSQL: how they are used, given up, and what their errors mean.

SQLAlchemy's pools keep the connections and make new ones after an outage. What runs on
them is put to the driver itself: it sends many executions of a statement in one round
trip, which costs a fiftieth of as many round trips.

One connection writes and a few read, so that no listing keeps a save waiting.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias, TypeGuard

import anyio
import attrs
from asyncpg import Connection as Driver
from asyncpg import InterfaceError, InternalClientError, PostgresError, Record
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from ..errors import StoreUnavailable

if TYPE_CHECKING:
    from ..store import PostgresPolicy
    from .statements import Statement
    from .url import Target

__all__ = [
    "FAILURES",
    "Call",
    "Server",
    "Session",
    "Undo",
    "Unsettled",
    "sqlstate",
    "unavailable",
]

Call: TypeAlias = tuple[str, Mapping[str, object]]
"""One execution: the partition that it may touch, and its parameters."""

FAILURES = (
    PostgresError,
    InterfaceError,
    InternalClientError,
    SQLAlchemyError,
    OSError,
)
"""What the driver, the pool and the network raise; a timeout is an ``OSError``.

The driver's internal error is among them: a statement that is sent just when the server
ends the session finds the driver in a state that it does not expect.
"""

_REASONS = {
    "08": "the connection broke",
    "22": "a value cannot be stored",
    "25006": "the database is read-only",
    "28": "the server does not let this role in",
    "3D000": "there is no such database",
    "3F000": "there is no such schema",
    "42501": "the role may not do this, or row-level security refused it",
    "53100": "the disk of the server is full",
    "53": "the server has no room or no connection left",
    "54": "a key or value is larger than PostgreSQL takes",
    "55P03": "another connection holds the lock",
    "57014": "the server ended the statement, as it took too long",
    "57P": "the server is shutting down or starting up",
    "25P03": "the server ended the transaction, as nothing happened in it",
    "XX001": "a page of the database is damaged",
    "XX002": "an index of the database is damaged",
}
_LONGEST = 5


_PAUSES = (0.0, 0.05, 0.2, 1.0)
"""Seconds between the questions what became of a transaction."""


class Undo(Exception):
    """Raised in a transaction to leave nothing of it; the connection is good."""


class Unsettled(Exception):
    """The connection broke during a commit: it was carried out, or it was not."""


def sqlstate(error: BaseException) -> str:
    """Return PostgreSQL's code of an error, five characters; empty without one."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    return str(getattr(origin, "sqlstate", None) or "")


def unavailable(operation: str, error: Exception) -> StoreUnavailable:
    """Return in a few words why the server refused; parameters are never quoted."""
    code = sqlstate(error)
    for length in range(_LONGEST, 1, -1):
        if reason := _REASONS.get(code[:length]):
            return StoreUnavailable(operation, f"{reason} ({code})")
    if code:
        return StoreUnavailable(operation, f"the server answered {code}")
    name = type(error).__name__
    if isinstance(error, TimeoutError):
        return StoreUnavailable(operation, f"the server did not answer ({name})")
    if isinstance(error, OSError):
        return StoreUnavailable(operation, f"the server cannot be reached ({name})")
    return StoreUnavailable(operation, f"the driver answered {name}")


@attrs.frozen(eq=False)
class Session:
    """A connection, as the work on it sees it."""

    driver: Driver[Record]

    async def run(self, statement: Statement, calls: Sequence[Call]) -> list[object]:
        """Execute a statement for every call, each behind its own partition's wall.

        Everything travels in one round trip. Outside of a transaction, all of it is
        one, so that the setting ends with it.

        Returns:
            The result of each call, in order.
        """
        executions: list[tuple[object, ...]] = []
        wanted: list[int] = []
        inside: str | None = None
        for partition, parameters in calls:
            if partition != inside:
                executions.append(statement.entrance(partition))
                inside = partition
            wanted.append(len(executions))
            executions.append(statement.arguments(partition, parameters))
        rows = await self.driver.fetchmany(statement.text, executions)
        return [rows[index][1] for index in wanted]


@attrs.frozen(eq=False)
class Server:
    """An open database: one connection that writes, a few that read."""

    target: Target
    writing: AsyncEngine
    reading: AsyncEngine

    @classmethod
    def of(cls, target: Target, policy: PostgresPolicy) -> Server:
        """Make both pools; they are bound to a loop by what connects first."""
        return cls(
            target,
            _engine(target, policy, size=1),
            _engine(target, policy, size=policy.readers),
        )

    async def read(
        self, operation: str, statement: Statement, partition: str, **values: object
    ) -> object:
        """Ask one thing behind the wall of one partition, in one round trip."""
        call = (partition, {"partition": partition, **values})
        (found,) = await self.read_many(operation, statement, [call])
        return found

    async def read_many(
        self, operation: str, statement: Statement, calls: Sequence[Call]
    ) -> list[object]:
        """Ask the same of many partitions, each behind its wall, in one round trip."""
        try:
            async with self.session(self.reading) as session:
                return await session.run(statement, calls)
        except FAILURES as error:
            raise unavailable(operation, error) from error

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Session]:
        """Commit what the block does, or leave nothing of it if it raises.

        Raises:
            Unsettled: the commit may or may not have been carried out.
        """
        async with self.session(self.writing) as session:
            await session.driver.execute("BEGIN")
            try:
                yield session
            except Undo:
                await session.driver.execute("ROLLBACK")  # noqa: ASYNC120  a cancellation wins here
                raise
            try:
                await session.driver.execute("COMMIT")
            except FAILURES as error:
                raise Unsettled from error

    async def was_committed(self, transaction: str) -> bool | None:
        """Return whether a transaction was committed; ``None``: it is unknown.

        Args:
            transaction: its name, as ``LOCK`` gives it.
        """
        question = "SELECT pg_xact_status($1::text::xid8)"
        for pause in _PAUSES:
            await anyio.sleep(pause)
            try:
                async with self.session(self.reading) as session:
                    status = await session.driver.fetchval(question, transaction)
            except FAILURES:
                continue
            if status != "in progress":
                return None if status is None else bool(status == "committed")
        return None

    async def close(self) -> None:
        """Close every connection."""
        with anyio.CancelScope(shield=True):
            await self.reading.dispose()
            await self.writing.dispose()

    @asynccontextmanager
    async def session(self, engine: AsyncEngine) -> AsyncGenerator[Session]:
        """Hold a connection; one on which anything went wrong is never used again.

        Closing it makes the server undo what was not committed. A server that does not
        answer is waited for two seconds, and then left.
        """
        connection = await engine.connect()
        try:
            raw = await connection.get_raw_connection()
            driver = raw.driver_connection
            assert _is_driver(driver)  # noqa: S101  tells the type checkers what was opened
            try:
                yield Session(driver)
            except Undo:
                raise
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await connection.invalidate()
                raise
        finally:
            with anyio.CancelScope(shield=True):
                await connection.close()


def _is_driver(connection: object) -> TypeGuard[Driver[Record]]:
    return isinstance(connection, Driver)


def _engine(target: Target, policy: PostgresPolicy, *, size: int) -> AsyncEngine:
    return create_async_engine(
        target.url,
        pool_size=size,
        max_overflow=0,
        # A connection that died while it was not in use is replaced and not reported.
        pool_pre_ping=True,
        # Every use ends its own transaction, or the connection.
        pool_reset_on_return=None,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        connect_args=target.connect_args(policy),
    )
