"""Opening a PostgreSQL database: is it fit, and are its tables there and walled in?"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from sqlalchemy import Connection, inspect, text

from ..errors import SchemaMismatch, UnsupportedStore
from ..migrations.schema import SCHEMA_VERSION, metadata, stamps
from ..migrations.tables import prepare
from ..sql import row_security_of
from .server import FAILURES, Server, sqlstate, unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["Facts", "alter", "set_up", "why_unfit"]

T = TypeVar("T")

_PARTITION = "podvisor.partition.id"
"""What every log record carries; ``-`` stands for no partition."""

log = logging.getLogger("podvisor.store")

_OLDEST = 130_000
"""Version 13, the first that tells what became of a transaction of 64 bits."""

_FACTS = text(
    r"""
    SELECT current_setting('server_version_num')\:\:int AS version,
        current_setting('server_encoding') AS encoding,
        current_setting('synchronous_commit') AS syncing,
        current_schema() AS schema,
        (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user)
            AS unwalled
    """
)
_WALLED = text(
    r"""
    SELECT relname FROM pg_class
    WHERE relnamespace = current_schema()\:\:regnamespace
        AND relrowsecurity AND relforcerowsecurity
    """
)
_ALONE = text("SELECT pg_advisory_xact_lock(hashtext('podvisor ' || current_schema()))")
_NOT_ALLOWED = ("28", "3D000", "3F000", "42501")
"""Codes of a refusal that lasts until a setting is changed."""


class Facts(NamedTuple):
    """What is asked of a database before anything is put into it.

    Attributes:
        version: of the server, such as 150018.
        encoding: of the database.
        syncing: its ``synchronous_commit``.
        schema: where the tables are; ``None``: it does not exist.
        unwalled: the role walks through row-level security.
    """

    version: int
    encoding: str
    syncing: str
    schema: str | None
    unwalled: bool


async def set_up(server: Server) -> None:
    """Check the database, and make or check the tables.

    Of two hosts that open a new database together one makes the tables, in one
    transaction, and the other finds them.

    Raises:
        UnsupportedStore: the database or the role cannot keep what the store promises.
        SchemaMismatch: the tables were made by another release, or lack the wall.
        StoreUnavailable: the server does not answer.
    """
    await alter(server, partial(_prepare, url=server.target.shown))


async def alter(server: Server, work: Callable[[Connection], T]) -> T:
    """Do work on the tables, in one transaction that keeps other hosts from theirs.

    Raises:
        UnsupportedStore: as ``set_up``.
        StoreUnavailable: nothing of the work was kept.
    """
    engine = server.writing.execution_options(isolation_level="READ COMMITTED")
    try:
        async with engine.begin() as connection:
            await _check(connection, server.target.shown)
            await connection.execute(_ALONE)
            return await connection.run_sync(work)
    except FAILURES as error:
        problem = unavailable("opening the database", error)
        if sqlstate(error).startswith(_NOT_ALLOWED):
            raise UnsupportedStore(server.target.shown, problem.reason) from error
        raise problem from error


def why_unfit(facts: Facts) -> str | None:
    """Return why a database cannot keep the store's promises; ``None``: it can."""
    if facts.version < _OLDEST:
        return "the server is older than PostgreSQL 13"
    if facts.encoding != "UTF8":
        return "the encoding of the database is not UTF8"
    if facts.syncing == "off":
        return "synchronous_commit is off, so what it acknowledges can be lost"
    if facts.schema is None:
        return "the schema that it names does not exist"
    return None


async def _check(connection: AsyncConnection, shown: str) -> None:
    """Refuse a database that is unfit; warn of a role that no wall stops."""
    row = (await connection.execute(_FACTS)).one()
    facts = Facts._make(row)
    if reason := why_unfit(facts):
        raise UnsupportedStore(shown, reason)
    if facts.unwalled:
        log.warning("store.unwalled", extra={_PARTITION: "-", "store": shown})


def _prepare(connection: Connection, url: str) -> None:
    """Make the tables and their wall, or check both."""
    before = set(inspect(connection).get_table_names())
    prepare(connection, url)
    walled = set(connection.execute(_WALLED).scalars())
    open_ones = [
        name for name in metadata.tables if name != stamps.name and name not in walled
    ]
    if found := sorted(before.intersection(open_ones)):
        raise SchemaMismatch(
            f"version {SCHEMA_VERSION} without row-level security on {found[0]}",
            "it on every table of tenants",
            "Restore the database from a backup; nothing was changed.",
        )
    for name in open_ones:
        for statement in row_security_of(name):
            connection.execute(text(statement))
