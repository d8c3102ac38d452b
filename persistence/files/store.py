"""A store with a database file per partition.

Nothing of one partition lies in another's file, and each has its own writer: a long
transaction, a lock or a damaged file of one is felt by that one alone. A partition can
be copied, moved or removed with its folder, while its host is stopped.
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
"""Connections that read one file beside its writer: one to thaw, one to list."""


@attrs.define(eq=False, repr=False)
class FilesStore(Store):
    """Keeps each partition in a database of its own, of which some are open.

    A partition gets its folder and its file when it is claimed for the first time. Each
    is a shard. A listing of partitions looks through the folder, and ``pending`` opens
    every file: they cost what the store holds.

    Args:
        url: names the files, such as ``sqlite+aiosqlite:///data/{partition}/pods.db``.
        policy: bounds.
        clock: where time comes from.

    Raises:
        UnsupportedStore: the URL is not of that form; ``open`` raises it too, if the
            folder of all partitions does not exist.
    """

    _url: str
    _policy: FilesPolicy = attrs.field(
        factory=FilesPolicy, kw_only=True, alias="policy"
    )
    _clock: Clock = attrs.field(factory=SystemClock, kw_only=True, alias="clock")
    _layout: FileLayout = attrs.field(init=False)
    _shelf: DatabaseCache = attrs.field(init=False)
    _threads: anyio.CapacityLimiter | None = attrs.field(default=None, init=False)
    # What a partition without a file answers: what one without rows answers.
    _nothing: MemoryStore = attrs.field(factory=MemoryStore, init=False)

    def __attrs_post_init__(self) -> None:
        self._layout = FileLayout.of(self._url)
        self._shelf = DatabaseCache(self._open_one, self._policy, self._clock)

    def __repr__(self) -> str:
        return f"<FilesStore {self._url} {self._shelf!r}>"

    def statistics(self) -> DatabaseCacheStatistics:
        """Count the databases that are open."""
        return self._shelf.statistics()

    def shard(self, partition: str) -> Hashable:
        return partition

    async def open(self) -> None:
        # Threads of its own: a disk that hangs must not use up everybody's.
        self._threads = anyio.CapacityLimiter(self._policy.max_open)
        base = await self._in_thread("opening the store", self._layout.base.resolve)
        if not await self._in_thread("opening the store", base.is_dir):
            reason = f"there is no folder {str(self._layout.base)!r}"
            raise UnsupportedStore(self._url, reason)
        self._layout = attrs.evolve(self._layout, base=base)
        await self._nothing.open()
        self._shelf.start()

    async def close(self) -> None:
        await self._shelf.close()

    async def databases(self) -> AsyncGenerator[tuple[str, SqlStore]]:
        """Go through the databases, with the partition of each; none is opened.

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
            async with self._at(partition, make=True) as store:
                claims += await store.claim([partition])
        return claims

    async def load(
        self, manager: str, keys: Sequence[Key], *, partition: str
    ) -> list[Loaded]:
        async with self._at(partition) as store:
            return await store.load(manager, keys, partition=partition)

    async def apply(self, units: Sequence[Unit]) -> list[StoreError | None]:
        lanes: dict[str, list[int]] = {}
        for index, unit in enumerate(units):
            lanes.setdefault(unit.partition, []).append(index)
        answers: list[StoreError | None] = [None] * len(units)
        for partition, indexes in lanes.items():
            mine = [units[index] for index in indexes]
            try:
                async with self._at(partition) as store:
                    found = await store.apply(mine)
            except StoreUnavailable as error:
                if len(lanes) == 1:
                    raise
                found = [error] * len(mine)  # the other files are not concerned
            for index, answer in zip(indexes, found, strict=True):
                answers[index] = answer
        return answers

    async def keys(
        self, manager: str, *, partition: str, after: Key | None, limit: int
    ) -> list[Key]:
        async with self._at(partition) as store:
            return await store.keys(
                manager, partition=partition, after=after, limit=limit
            )

    async def count(self, manager: str, *, partition: str) -> int:
        async with self._at(partition) as store:
            return await store.count(manager, partition=partition)

    async def partitions(self, *, after: str | None, limit: int) -> list[str]:
        self._shelf.check()
        return await self._in_thread(
            "listing of partitions", lambda: _list(self._layout, after or "", limit)
        )

    async def children(self, parent: Address) -> list[Address]:
        async with self._at(parent.partition) as store:
            return await store.children(parent)

    async def quarantined(self, *, partition: str) -> list[Quarantine]:
        async with self._at(partition) as store:
            return await store.quarantined(partition=partition)

    async def inspect(self, address: Address) -> list[StoredBytes]:
        async with self._at(address.partition) as store:
            return await store.inspect(address)

    async def letters(
        self, *, partition: str, until: float, after: tuple[float, str], limit: int
    ) -> list[Letter | SpoiledLetter]:
        async with self._at(partition) as store:
            return await store.letters(
                partition=partition, until=until, after=after, limit=limit
            )

    async def mail(self, target: Address, *, limit: int) -> list[Letter]:
        async with self._at(target.partition) as store:
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
        async with self._at(partition) as store:
            return await store.dead(partition=partition, after=after, limit=limit)

    async def reply(self, target: Address, key: str) -> Reply | None:
        async with self._at(target.partition) as store:
            return await store.reply(target, key)

    async def _pending_in(self, partition: str) -> list[tuple[str, float]]:
        """Look for letters in one file; one that cannot be read has none to deliver."""
        try:
            async with self._at(partition) as store:
                return await store.pending(after=None, limit=1)
        except StoreError:
            self._shelf.check()
            return []

    @asynccontextmanager
    async def _at(self, partition: str, *, make: bool = False) -> AsyncGenerator[Store]:
        """Lend the store of one partition; say in errors which it was."""
        try:
            async with self._shelf.lend(partition, make=make) as store:
                yield store or self._nothing
        except StoreUnavailable as error:
            operation = f"{error.operation} in partition {partition!r}"
            raise StoreUnavailable(operation, error.reason) from error

    async def _open_one(self, partition: str, make: bool) -> Store | None:
        path = await self._in_thread(
            "opening the database", lambda: _find(self._layout, partition, make=make)
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
    """Refuse a file that was put in the place of another partition's."""
    owners = await store.partitions(after=None, limit=2)
    if any(owner != partition for owner in owners):
        reason = "its file has the rows of another partition"
        raise StoreUnavailable("opening the database", reason)


def _find(layout: FileLayout, partition: str, *, make: bool) -> Path | None:
    """Return the file of a partition, ``None`` if there is none.

    Args:
        layout: where the files are; its base is a real path without links.
        partition: whose.
        make: make the folders of a file that is not there; SQLite makes the file.

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
    """Make a folder below ``base``, so that it is there after a loss of power too."""
    if folder == base or folder.is_dir():
        return
    _make_folders(folder.parent, base)
    folder.mkdir(exist_ok=True)
    if os.name != "nt":  # where a folder cannot be opened, nor need it be
        handle = os.open(folder.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _list(layout: FileLayout, after: str, limit: int) -> list[str]:
    """List the partitions that have a file, a page of them."""
    with os.scandir(layout.base) as entries:
        names = [layout.partition_in(entry.name) for entry in entries]
    page: list[str] = []
    for name in sorted(name for name in names if name is not None and name > after):
        if layout.path_of(name).is_file():
            page.append(name)
            if len(page) == limit:
                break
    return page
