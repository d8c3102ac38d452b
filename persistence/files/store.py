"""A store with a database file per partition.

Each file holds the rows of one partition and has its own writer, so a long transaction,
a lock or a damaged file affects that partition alone. While its host is stopped, a
partition can be copied, moved or removed with its folder.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import anyio.to_thread
import attrs

from ..clock import Clock, SystemClock
from ..errors import SchemaMismatch, StoreError, StoreUnavailable, UnsupportedStore
from ..memory import MemoryStore
from ..sqlite.store import SqlStore
from ..store import FilesPolicy, Loaded, Store
from .cache import DatabaseCache, DatabaseCacheStatistics
from .layout import FileLayout, url_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Hashable, Sequence
    from pathlib import Path

    from ..identity import Address, Key
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

__all__ = ["FilesStore"]

T = TypeVar("T")

_PAGE = 1_000
_READERS = 2
"""Connections that read one file: one for thaws, one for listings."""


@attrs.define(eq=False, repr=False)
class FilesStore(Store):
    """The rows of each partition in a database of its own, some of which are open.

    A partition gets its folder and its file with its first claim. Each partition is a
    shard. The cost of two calls grows with the number of partitions: ``partitions``
    reads the whole folder, and ``pending`` opens every file. ``open_store`` returns one
    for a URL with ``{partition}``.

    Args:
        url: names the files, such as ``sqlite+aiosqlite:///data/{partition}/pods.db``.
        policy: the bounds.
        clock: the source of time.

    Raises:
        UnsupportedStore: the URL has another form; ``open`` raises it too, if the
            folder of all partitions does not exist.
    """

    _url: str
    _policy: FilesPolicy = attrs.field(
        factory=FilesPolicy, kw_only=True, alias="policy"
    )
    _clock: Clock = attrs.field(factory=SystemClock, kw_only=True, alias="clock")
    _layout: FileLayout = attrs.field(init=False)
    _cache: DatabaseCache = attrs.field(init=False)
    _threads: anyio.CapacityLimiter | None = attrs.field(default=None, init=False)
    # Answers for a partition without a file, as for one without rows.
    _empty: MemoryStore = attrs.field(factory=MemoryStore, init=False)

    def __attrs_post_init__(self) -> None:
        self._layout = FileLayout.of(self._url)
        self._cache = DatabaseCache(self._open_database, self._policy, self._clock)

    def __repr__(self) -> str:
        return f"<FilesStore {self._url} {self._cache!r}>"

    def statistics(self) -> DatabaseCacheStatistics:
        """Return counts of the databases that are open, in use and closed."""
        return self._cache.statistics()

    def shard(self, partition: str) -> Hashable:
        return partition

    async def open(self) -> None:
        # Threads of its own: a disk that hangs must not use up the threads of others.
        self._threads = anyio.CapacityLimiter(self._policy.max_open)
        base = await self._in_thread("opening the store", self._layout.base.resolve)
        if not await self._in_thread("opening the store", base.is_dir):
            reason = f"there is no folder {str(self._layout.base)!r}"
            raise UnsupportedStore(self._url, reason)
        self._layout = attrs.evolve(self._layout, base=base)
        await self._empty.open()
        self._cache.start_lending()

    async def close(self) -> None:
        await self._cache.close_all()

    async def databases(self) -> AsyncGenerator[tuple[str, SqlStore]]:
        """Yield the partition and the unopened store of each database file.

        The store need not be open.
        """
        after = ""
        while page := await self._in_thread(
            "listing of partitions", partial(_list, self._layout, after, _PAGE)
        ):
            for partition in page:
                path = self._layout.path_of(partition)
                yield partition, SqlStore(url_of(path), readers=_READERS)
            after = page[-1]

    async def claim(self, partitions: Sequence[str]) -> list[Claim]:
        claims: list[Claim] = []
        for partition in partitions:
            async with self._store_of(partition, make=True) as store:
                claims += await store.claim([partition])
        return claims

    async def load(
        self, manager: str, keys: Sequence[Key], *, partition: str
    ) -> list[Loaded]:
        async with self._store_of(partition) as store:
            return await store.load(manager, keys, partition=partition)

    async def apply(self, units: Sequence[Unit]) -> list[StoreError | None]:
        by_partition: dict[str, list[int]] = {}
        for index, unit in enumerate(units):
            by_partition.setdefault(unit.partition, []).append(index)
        answers: list[StoreError | None] = [None] * len(units)
        for partition, indexes in by_partition.items():
            mine = [units[index] for index in indexes]
            try:
                async with self._store_of(partition) as store:
                    found = await store.apply(mine)
            except StoreUnavailable as error:
                if len(by_partition) == 1:
                    raise
                found = [error] * len(mine)  # the other files are not affected
            for index, answer in zip(indexes, found, strict=True):
                answers[index] = answer
        return answers

    async def keys(
        self, manager: str, *, partition: str, after: Key | None, limit: int
    ) -> list[Key]:
        async with self._store_of(partition) as store:
            return await store.keys(
                manager, partition=partition, after=after, limit=limit
            )

    async def count(self, manager: str, *, partition: str) -> int:
        async with self._store_of(partition) as store:
            return await store.count(manager, partition=partition)

    async def partitions(self, *, after: str | None, limit: int) -> list[str]:
        self._cache.raise_if_closed()
        return await self._in_thread(
            "listing of partitions", lambda: _list(self._layout, after or "", limit)
        )

    async def children(self, parent: Address) -> list[Address]:
        async with self._store_of(parent.partition) as store:
            return await store.children(parent)

    async def quarantined(self, *, partition: str) -> list[Quarantine]:
        async with self._store_of(partition) as store:
            return await store.quarantined(partition=partition)

    async def inspect(self, address: Address) -> list[StoredBytes]:
        async with self._store_of(address.partition) as store:
            return await store.inspect(address)

    async def letters(
        self, *, partition: str, until: float, after: tuple[float, str], limit: int
    ) -> list[Letter | SpoiledLetter]:
        async with self._store_of(partition) as store:
            return await store.letters(
                partition=partition, until=until, after=after, limit=limit
            )

    async def mail(self, target: Address, *, limit: int) -> list[Letter]:
        async with self._store_of(target.partition) as store:
            return await store.mail(target, limit=limit)

    async def pending(
        self, *, after: str | None, limit: int
    ) -> list[tuple[str, float]]:
        found: list[tuple[str, float]] = []
        while names := await self.partitions(after=after, limit=limit):
            for partition in names:
                found += await self._pending_in(partition)
                if len(found) == limit:
                    return found
            after = names[-1]
        return found

    async def dead(self, *, partition: str, after: str, limit: int) -> list[DeadLetter]:
        async with self._store_of(partition) as store:
            return await store.dead(partition=partition, after=after, limit=limit)

    async def reply(self, target: Address, key: str) -> Reply | None:
        async with self._store_of(target.partition) as store:
            return await store.reply(target, key)

    async def _pending_in(self, partition: str) -> list[tuple[str, float]]:
        """Return the partition if it has letters; a file that fails counts as empty."""
        try:
            async with self._store_of(partition) as store:
                return await store.pending(after=None, limit=1)
        except StoreError:
            self._cache.raise_if_closed()
            return []

    @asynccontextmanager
    async def _store_of(
        self, partition: str, *, make: bool = False
    ) -> AsyncGenerator[Store]:
        """Lend the store of one partition; name the partition in errors."""
        try:
            async with self._cache.lend_database(partition, make=make) as store:
                yield store or self._empty
        except StoreUnavailable as error:
            operation = f"{error.operation} in partition {partition!r}"
            raise StoreUnavailable(operation, error.reason) from error

    async def _open_database(self, partition: str, make: bool) -> Store | None:
        path = await self._in_thread(
            "opening the database",
            lambda: _prepare_path(self._layout, partition, make=make),
        )
        if path is None:
            return None
        store = SqlStore(url_of(path), readers=_READERS)
        try:
            await store.open()
        except UnsupportedStore as error:
            raise StoreUnavailable("opening the database", error.reason) from error
        except SchemaMismatch as error:
            advice = error.advice.replace(url_of(path), self._url)
            raise SchemaMismatch(error.found, error.wanted, advice) from error
        try:
            await _check_owner(store, partition)
        except BaseException:
            await store.close()  # noqa: ASYNC102  it shields itself
            raise
        return store

    async def _in_thread(self, operation: str, work: Callable[[], T]) -> T:
        try:
            return await anyio.to_thread.run_sync(work, limiter=self._threads)
        except OSError as error:
            reason = f"the file system answered {error.strerror or 'an error'}"
            raise StoreUnavailable(operation, reason) from error


async def _check_owner(store: SqlStore, partition: str) -> None:
    """Refuse a file that holds the rows of another partition."""
    owners = await store.partitions(after=None, limit=2)
    if any(owner != partition for owner in owners):
        reason = "its file has the rows of another partition"
        raise StoreUnavailable("opening the database", reason)


def _prepare_path(layout: FileLayout, partition: str, *, make: bool) -> Path | None:
    """Return the file of a partition; ``None`` if it does not exist.

    Args:
        layout: the paths of the files; its base has no symbolic links.
        partition: the partition of the file.
        make: whether to create the folders of a missing file; SQLite creates the file.

    Raises:
        OSError: a link leads elsewhere, or the file system refuses.
    """
    path = layout.path_of(partition)
    if path.resolve() != path:
        raise OSError(None, "a link in the place of the partition's own folder or file")
    if make:
        _make_folders(path.parent, layout.base)
    elif not path.exists():
        return None
    return path


def _make_folders(folder: Path, base: Path) -> None:
    """Create a folder below ``base`` that survives a loss of power."""
    if folder == base or folder.is_dir():
        return
    _make_folders(folder.parent, base)
    folder.mkdir(exist_ok=True)
    if os.name != "nt":  # Windows can neither open a folder nor needs it
        handle = os.open(folder.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _list(layout: FileLayout, after: str, limit: int) -> list[str]:
    """Return a page of the partitions that have a file."""
    with os.scandir(layout.base) as entries:
        names = [layout.partition_in(entry.name) for entry in entries]
    page: list[str] = []
    for name in sorted(name for name in names if name is not None and name > after):
        if layout.path_of(name).is_file():
            page.append(name)
            if len(page) == limit:
                break
    return page
