"""A wire between a store and its server that a test can cut, silence, and listen to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import attrs
from sqlalchemy.engine import URL, make_url

__all__ = ["MessageCodec", "wired"]

_COMMIT = b"COMMIT\0"


@attrs.define(eq=False)
class MessageCodec:
    """What lies between; every connection of the store goes through it.

    Attributes:
        url: of the database, through the wire.
        open: whether new connections get through.
        silent: what the server says is kept back.
        cut_at_commit: ``before``: a commit does not reach the server and the connection
            is cut; ``after``: it does, and the answer does not come back.
        commits_left: commits that are let through before that.
    """

    url: str = ""
    open: bool = True
    silent: bool = False
    cut_at_commit: str = ""
    commits_left: int = 0
    _ends: set[asyncio.StreamWriter] = attrs.field(
        factory=set[asyncio.StreamWriter], init=False
    )

    def cut(self) -> None:
        """End every connection at once."""
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()

    async def carry(
        self, upstream: URL, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Carry one connection until either side leaves."""
        if not self.open:
            writer.transport.abort()
            return
        to_read, to_write = await _connect(upstream)
        self._ends |= {writer, to_write}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._ask(reader, to_write))
                group.create_task(self._answer(to_read, writer))
        finally:
            for end in (writer, to_write):
                self._ends.discard(end)
                end.transport.abort()

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await _read(reader):
            if self._is_to_be_cut(data):
                if self.cut_at_commit == "before":
                    self.cut()
                    return
                self.silent = True
            writer.write(data)

    def _is_to_be_cut(self, data: bytes) -> bool:
        if not self.cut_at_commit or not data.endswith(_COMMIT):
            return False
        self.commits_left -= 1
        return self.commits_left < 0

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await _read(reader):
            if self.cut_at_commit and self.silent:  # the server has committed
                self.silent = False
                self.cut_at_commit = ""
                self.cut()
                return
            if not self.silent:
                writer.write(data)
        writer.transport.abort()


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(65536)
    except ConnectionError:
        return b""


async def _connect(
    url: URL,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    folder, port = url.query.get("host"), url.port or 5432
    if folder is not None:
        return await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.{port}")
    return await asyncio.open_connection(url.host, port)


@asynccontextmanager
async def wired(url: str) -> AsyncGenerator[MessageCodec]:
    """Lay a wire to the server of a URL, for as long as the block lasts."""
    upstream = make_url(url)
    wire = MessageCodec()

    async def carry(r: asyncio.StreamReader, w: asyncio.StreamWriter) -> None:
        await wire.carry(upstream, r, w)

    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    wire.url = (
        upstream.difference_update_query(["host"])
        .set(host=host, port=port)
        .render_as_string(hide_password=False)
    )
    try:
        yield wire
    finally:
        wire.cut()
        server.close()
