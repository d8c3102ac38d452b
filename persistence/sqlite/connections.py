"""The connections to one database, each lent for a visit at a time.

SQLAlchemy opens them. They do not go through its pool: to borrow one there and to give
it back takes several times as long as a visit does.
"""

from __future__ import annotations

import contextlib
import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import attrs
from aiosqlite import Connection as Driver

from ..errors import StoreClosed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["Connections"]


@attrs.define(eq=False, repr=False)
class Connections:
    """At most so many connections; they are opened when they are first needed.

    Attributes:
        engine: opens them.
        size: how many there may be.
    """

    engine: AsyncEngine
    size: int
    _seats: anyio.Semaphore = attrs.field(init=False)
    _open: list[Driver] = attrs.field(factory=list[Driver], init=False)
    _idle: list[Driver] = attrs.field(factory=list[Driver], init=False)
    _closed: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._seats = anyio.Semaphore(self.size, fast_acquire=True)

    def __repr__(self) -> str:
        return f"<Connections open={len(self._open)} lent={self.lent}>"

    @property
    def lent(self) -> int:
        """How many are in use."""
        return self.size - self._seats.value

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[Driver]:
        """Lend a connection for the length of a block; whoever comes later waits.

        Raises:
            StoreClosed: after ``close``.
            DBAPIError: the database cannot be opened.
        """
        async with self._seats:
            if self._closed:
                raise StoreClosed
            driver = self._idle.pop() if self._idle else await self._connect()
            try:
                yield driver
            finally:
                self._idle.append(driver)

    async def close(self) -> None:
        """Close every connection, one that is lent when its work is done.

        If this is cancelled, their threads close them, and are not waited for.
        """
        self._closed = True
        drivers, self._open = self._open, []
        try:
            while drivers:
                with contextlib.suppress(sqlite3.Error):
                    await drivers[-1].close()
                del drivers[-1]
        finally:
            for driver in drivers:
                driver.stop()  # pyright: ignore[reportUnknownMemberType]  it is not waited for

    async def _connect(self) -> Driver:
        raw = await self.engine.raw_connection()
        driver = raw.driver_connection
        raw.detach()
        assert isinstance(driver, Driver)  # noqa: S101  tells the type checkers what was opened
        self._open.append(driver)
        return driver
