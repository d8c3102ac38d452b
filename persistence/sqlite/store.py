"""A store in one SQLite database, shared by every partition of a host.

The partition is the first column of every key, and every statement names it. A record
is used only if its checksum, which covers the identity of the row, is right.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

import anyio
import attrs

from ..errors import StoreClosed, StoreError, UnsupportedStore
from ..identity import Address, Key, key_to_text
from ..migrations.tables import prepare
from ..sql import Suspects
from ..store import Loaded, Store
from ..threads import own_thread
from . import letter_queries, queries
from .engine import Engines, check_url
from .transactions import apply_units

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection
    from sqlalchemy.engine import URL

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

__all__ = ["SqlStore"]

T = TypeVar("T")


@attrs.define(eq=False, repr=False)
class SqlStore(Store):
    """The rows of all partitions in one database, such as ``…:///podvisor.db``.

    It owns the connections and the suspects. ``open_store`` returns one for a URL with
    the scheme ``sqlite+aiosqlite``, and ``FilesStore`` opens one for each partition.

    Attributes:
        readers: connections for reading, in addition to the one that writes; at least
            1.
        engines: the open database, for the code below this class; ``None`` outside
            ``open`` … ``close``.

    Raises:
        UnsupportedStore: the URL names no usable database; ``open`` raises it too, if
            the folder of the file does not exist.
    """

    _url: URL = attrs.field(converter=check_url)
    _readers: int = attrs.field(default=3, kw_only=True, alias="readers")
    engines: Engines | None = attrs.field(default=None, init=False)
    _suspects: Suspects = attrs.field(factory=Suspects, init=False)

    def __repr__(self) -> str:
        state = "closed" if self.engines is None else "open"
        return f"<SqlStore {self._url} {state}>"

    async def open(self) -> None:
        if self.engines is not None:
            return
        # SQLAlchemy reads the working directory and imports its dialect; both block.
        engines = await own_thread(Engines.of, self._url, self._readers)
        try:
            if not await engines.is_current():
                await engines.alter(partial(prepare, url=str(self._url)))
        except BaseException:
            await engines.close()  # noqa: ASYNC102  it shields itself
            raise
        self.engines = engines

    async def alter(self, work: Callable[[Connection], T]) -> T:
        """Run work on the tables, of any version, in one transaction.

        The store need not be open.

        Raises:
            UnsupportedStore: the database does not exist.
            StoreUnavailable: the database refused, and nothing of the work was kept.
        """
        file = anyio.Path(self._url.database or "")
        if not self._url.query and not await file.exists():
            raise UnsupportedStore(str(self._url), "there is no such file")
        engines = await own_thread(Engines.of, self._url, 1)
        try:
            return await engines.alter(work)
        finally:
            await engines.close()  # noqa: ASYNC102  it shields itself

    async def close(self) -> None:
        engines, self.engines = self.engines, None
        if engines is not None:
            await engines.close()

    async def claim(self, partitions: Sequence[str]) -> list[Claim]:
        engines = self._opened()
        claims = await engines.write(
            "claim", lambda database: [queries.claim(database, p) for p in partitions]
        )
        return await engines.read(
            "claim",
            lambda database: [queries.with_letters(database, one) for one in claims],
        )

    async def load(
        self, manager: str, keys: Sequence[Key], *, partition: str
    ) -> list[Loaded]:
        texts = [key_to_text(key) for key in keys]
        addresses = {
            text: Address(partition, manager, key)
            for text, key in zip(texts, keys, strict=True)
        }
        found = await self._opened().read(
            "load",
            lambda database: queries.load(database, partition, manager, addresses),
        )
        return [found[text] for text in texts]

    async def apply(self, units: Sequence[Unit]) -> list[StoreError | None]:
        return await self._opened().write(
            "save", lambda database: apply_units(database, units, self._suspects)
        )

    async def keys(
        self, manager: str, *, partition: str, after: Key | None, limit: int
    ) -> list[Key]:
        start = "" if after is None else key_to_text(after)
        return await self._opened().read(
            "listing of keys",
            lambda database: queries.keys(
                database, (partition, manager), after=start, limit=limit
            ),
        )

    async def count(self, manager: str, *, partition: str) -> int:
        return await self._opened().read(
            "count", lambda database: queries.count(database, partition, manager)
        )

    async def partitions(self, *, after: str | None, limit: int) -> list[str]:
        return await self._opened().read(
            "listing of partitions",
            lambda database: queries.partitions(
                database, after=after or "", limit=limit
            ),
        )

    async def children(self, parent: Address) -> list[Address]:
        partition, manager, key = parent.partition, parent.manager, parent.key
        text = key_to_text(key)
        return await self._opened().read(
            "listing of children",
            lambda database: queries.children(database, partition, manager, text),
        )

    async def quarantined(self, *, partition: str) -> list[Quarantine]:
        return await self._opened().read(
            "listing of quarantine",
            lambda database: queries.quarantined(database, partition),
        )

    async def inspect(self, address: Address) -> list[StoredBytes]:
        return await self._opened().read(
            "inspection",
            lambda database: letter_queries.inspect(
                database, address.partition, address
            ),
        )

    async def letters(
        self, *, partition: str, until: float, after: tuple[float, str], limit: int
    ) -> list[Letter | SpoiledLetter]:
        return await self._opened().read(
            "reading of letters",
            lambda database: letter_queries.letters(
                database, partition, until, after, limit
            ),
        )

    async def mail(self, target: Address, *, limit: int) -> list[Letter]:
        return await self._opened().read(
            "listing of mail",
            lambda database: letter_queries.mail(
                database, target.partition, target, limit
            ),
        )

    async def pending(
        self, *, after: str | None, limit: int
    ) -> list[tuple[str, float]]:
        return await self._opened().read(
            "look for letters",
            lambda database: letter_queries.pending(database, after or "", limit),
        )

    async def dead(self, *, partition: str, after: str, limit: int) -> list[DeadLetter]:
        return await self._opened().read(
            "listing of dead letters",
            lambda database: letter_queries.dead(database, partition, after, limit),
        )

    async def reply(self, target: Address, key: str) -> Reply | None:
        return await self._opened().read(
            "look for a reply",
            lambda database: letter_queries.reply(
                database, target.partition, target, key
            ),
        )

    def _opened(self) -> Engines:
        if self.engines is None:
            raise StoreClosed
        return self.engines
