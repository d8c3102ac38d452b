"""A store in one PostgreSQL database, for hosts in production.

It keeps the same rows as the store in SQLite, and the database itself stands as a
second wall between the partitions: see ``postgres_wall``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import attrs

from ..errors import StoreClosed, StoreError
from ..identity import Address, Key, key_to_text
from ..sql import Suspects
from ..store import Loaded, PostgresPolicy, Store
from ..threads import own_thread
from . import letters, queries
from .apply import apply_units
from .server import Server
from .setup import alter, set_up
from .url import Target, check_target

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from ..store import (
        Claim,
        DeadLetter,
        Letter,
        Quarantine,
        Reply,
        SpoiledLetter,
        StoredBytes,
        Unit,
    )

__all__ = ["PostgresStore"]

T = TypeVar("T")


@attrs.define(eq=False, repr=False)
class PostgresStore(Store):
    """Keeps records in the database that ``postgresql+asyncpg://…`` names.

    An outage fails the calls that it meets; the next call connects anew.

    Attributes:
        target: the database, and how a connection to it is set up.
        server: the open database, for what is below this class; ``None`` outside
            ``open`` … ``close``.

    Raises:
        UnsupportedStore: the URL names no usable database; ``open`` raises it too, if
            the database or the role cannot keep what the store promises.
    """

    target: Target = attrs.field(converter=check_target, alias="url")
    _policy: PostgresPolicy = attrs.field(
        factory=PostgresPolicy, kw_only=True, alias="policy"
    )
    server: Server | None = attrs.field(default=None, init=False)
    _suspects: Suspects = attrs.field(factory=Suspects, init=False)

    def __repr__(self) -> str:
        state = "closed" if self.server is None else "open"
        return f"<PostgresStore {self.target.shown} {state}>"

    async def open(self) -> None:
        if self.server is not None:
            return
        # SQLAlchemy imports its dialect, which blocks.
        server = await own_thread(Server.of, self.target, self._policy)
        try:
            await set_up(server)
        except BaseException:
            await server.close()  # noqa: ASYNC102  it shields itself
            raise
        self.server = server

    async def alter(self, work: Callable[[Connection], T]) -> T:
        """Do work on the tables in one transaction, whether the store is open or not.

        Raises:
            UnsupportedStore: the database or the role cannot be used.
            StoreUnavailable: nothing of the work was kept.
        """
        server = await own_thread(Server.of, self.target, self._policy)
        try:
            return await alter(server, work)
        finally:
            await server.close()  # noqa: ASYNC102  it shields itself

    async def close(self) -> None:
        server, self.server = self.server, None
        if server is not None:
            await server.close()

    async def claim(self, partitions: Sequence[str]) -> list[Claim]:
        return await queries.claim(self._opened(), partitions)

    async def load(
        self, manager: str, keys: Sequence[Key], *, partition: str
    ) -> list[Loaded]:
        texts = [key_to_text(key) for key in keys]
        addresses = {
            text: Address(partition, manager, key)
            for text, key in zip(texts, keys, strict=True)
        }
        found = await queries.load(
            self._opened(), manager, addresses, partition=partition
        )
        return [found[text] for text in texts]

    async def apply(self, units: Sequence[Unit]) -> list[StoreError | None]:
        return await apply_units(self._opened(), units, self._suspects)

    async def keys(
        self, manager: str, *, partition: str, after: Key | None, limit: int
    ) -> list[Key]:
        return await queries.keys(
            self._opened(), manager, partition=partition, after=after, limit=limit
        )

    async def count(self, manager: str, *, partition: str) -> int:
        return await queries.count(self._opened(), manager, partition=partition)

    async def partitions(self, *, after: str | None, limit: int) -> list[str]:
        return await queries.partitions(self._opened(), after=after, limit=limit)

    async def children(self, parent: Address) -> list[Address]:
        return await queries.children(self._opened(), parent)

    async def quarantined(self, *, partition: str) -> list[Quarantine]:
        return await queries.quarantined(self._opened(), partition=partition)

    async def inspect(self, address: Address) -> list[StoredBytes]:
        return await letters.inspect(self._opened(), address)

    async def letters(
        self, *, partition: str, until: float, after: tuple[float, str], limit: int
    ) -> list[Letter | SpoiledLetter]:
        return await letters.letters(
            self._opened(), partition=partition, until=until, after=after, limit=limit
        )

    async def mail(self, target: Address, *, limit: int) -> list[Letter]:
        return await letters.mail(self._opened(), target, limit=limit)

    async def pending(
        self, *, after: str | None, limit: int
    ) -> list[tuple[str, float]]:
        return await letters.pending(self._opened(), after=after, limit=limit)

    async def dead(self, *, partition: str, after: str, limit: int) -> list[DeadLetter]:
        return await letters.dead(
            self._opened(), partition=partition, after=after, limit=limit
        )

    async def reply(self, target: Address, key: str) -> Reply | None:
        return await letters.reply(self._opened(), target, key)

    def _opened(self) -> Server:
        if self.server is None:
            raise StoreClosed
        return self.server
