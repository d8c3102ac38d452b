"""The connections to one database, each lent for one piece of work at a time.

SQLAlchemy opens them. They do not use its pool: getting a connection from it and giving
it back takes several times as long as the work itself.
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
    """A bounded number of connections, each opened when it is first needed.

    A connection has one user at a time. ``Engines`` has one of these for writing and
    one for reading.

    Attributes:
        engine: opens the connections.
        size: the most connections; at least 1.
    """

    engine: AsyncEngine
    size: int
    _free: anyio.Semaphore = attrs.field(init=False)
    _open: list[Driver] = attrs.field(factory=list[Driver], init=False)
    _idle: list[Driver] = attrs.field(factory=list[Driver], init=False)
    _closed: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._free = anyio.Semaphore(self.size, fast_acquire=True)

    def __repr__(self) -> str:
        return f"<Connections open={len(self._open)} lent={self.lent}>"

    @property
    def lent(self) -> int:
        """The number of connections in use."""
        return self.size - self._free.value

    @asynccontextmanager
    async def lend_connection(self) -> AsyncGenerator[Driver]:
        """Lend a connection for the length of a block; wait if all are in use.

        Raises:
            StoreClosed: after ``close``.
            DBAPIError: the database cannot be opened.
        """
        async with self._free:
            if self._closed:
                raise StoreClosed
            driver = self._idle.pop() if self._idle else await self._connect()
            try:
                yield driver
            finally:
                self._idle.append(driver)

    async def close(self) -> None:
        """Close every connection; one that is lent is closed after its work.

        If the call is cancelled, the threads of the connections close them. The call
        does not wait for that.
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
                driver.stop()  # pyright: ignore[reportUnknownMemberType]  ends without a wait

    async def _connect(self) -> Driver:
        raw = await self.engine.raw_connection()
        driver = raw.driver_connection
        raw.detach()
        assert isinstance(driver, Driver)  # noqa: S101  tells the type checkers what was opened
        self._open.append(driver)
        return driver
