"""A bounded cache of open databases, which closes the least recently used one.

Opening a database takes milliseconds and a thread, so it stays open between calls. A
host may have many more partitions than threads, so their number is bounded. A database
in use is never closed to make room.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import OrderedDict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import attrs

from ..errors import StoreClosed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from ..clock import Clock, Handle
    from ..store import FilesPolicy, Store

__all__ = ["DatabaseCache", "DatabaseCacheStatistics"]


@attrs.frozen(kw_only=True)
class DatabaseCacheStatistics:
    """The databases that a cache holds, and counts since it was created.

    Attributes:
        open: databases that are open now.
        in_use: open databases that a call uses now.
        closing: databases that are being closed, or wait for it.
        opened: databases that were opened.
        retired: databases that were closed to make room, or after ``idle_timeout``.
        failed: databases whose closing raised an error; it may leave a thread running.
    """

    open: int
    in_use: int
    closing: int
    opened: int
    retired: int
    failed: int


@attrs.define(eq=False)
class _Entry:
    partition: str
    opening: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False)
    store: Store | None = attrs.field(default=None, init=False)
    users: int = attrs.field(default=0, init=False)
    idle_since: float = attrs.field(default=0.0, init=False)


@attrs.define(eq=False, repr=False)
class DatabaseCache:
    """The open databases of ``FilesStore``, at most ``max_open`` of them.

    A database is never open twice. It is closed after ``idle_timeout`` without a use. A
    task of its own closes databases, so that a slow one delays no caller.

    Args:
        open: opens the database of a partition; with ``False`` it creates no missing
            database and returns ``None`` instead.
        policy: the bounds.
        clock: the source of time.
    """

    _open: Callable[[str, bool], Awaitable[Store | None]]
    _policy: FilesPolicy
    _clock: Clock
    _busy: dict[str, _Entry] = attrs.field(factory=dict[str, _Entry], init=False)
    _idle: OrderedDict[str, _Entry] = attrs.field(
        factory=OrderedDict[str, _Entry], init=False
    )
    _free: anyio.Semaphore = attrs.field(init=False)
    _to_close: list[_Entry] = attrs.field(factory=list[_Entry], init=False)
    _closing: int = attrs.field(default=0, init=False)
    _opened: int = attrs.field(default=0, init=False)
    _retired: int = attrs.field(default=0, init=False)
    _failed: int = attrs.field(default=0, init=False)
    _timer: Handle | None = attrs.field(default=None, init=False)
    _wake: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    _closer: asyncio.Task[None] | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._free = anyio.Semaphore(self._policy.max_open, fast_acquire=True)

    def __repr__(self) -> str:
        return f"<DatabaseCache open={len(self._busy) + len(self._idle)}>"

    def statistics(self) -> DatabaseCacheStatistics:
        return DatabaseCacheStatistics(
            open=len(self._busy) + len(self._idle),
            in_use=len(self._busy),
            closing=len(self._to_close) + self._closing,
            opened=self._opened,
            retired=self._retired,
            failed=self._failed,
        )

    def start_lending(self) -> None:
        """Start the task that closes databases; a second call does nothing."""
        if self._closer is None:
            self._closer = asyncio.get_running_loop().create_task(
                self._close_retired(),
                name="podvisor-database-cache",
                context=contextvars.Context(),
            )

    def raise_if_closed(self) -> None:
        """Raise ``StoreClosed`` before ``start_lending`` and after ``close_all``."""
        if self._closer is None:
            raise StoreClosed

    async def close_all(self) -> None:
        """Close every database, without waiting for the calls that use one."""
        closer, self._closer = self._closer, None
        if closer is None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for entries in (self._busy, self._idle):
            self._to_close += entries.values()
            entries.clear()
        self._wake.set()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([closer])

    @asynccontextmanager
    async def lend_database(
        self, partition: str, *, make: bool = False
    ) -> AsyncGenerator[Store | None]:
        """Lend the database of a partition for the length of a block.

        The first caller opens the database, and concurrent callers wait for that. If
        ``max_open`` databases are in use, a caller waits until one is returned.

        Args:
            partition: the partition of the database.
            make: whether to create a missing database; otherwise ``None`` is lent.

        Raises:
            StoreClosed: before ``start_lending`` or after ``close_all``.
        """
        self.raise_if_closed()
        entry = await self._acquire(partition)
        try:
            if entry.store is None:
                await self._open_entry(entry, make=make)
            yield entry.store
        finally:
            self._release(entry)

    async def _open_entry(self, entry: _Entry, *, make: bool) -> None:
        async with entry.opening:
            if entry.store is not None:
                return
            store = await self._open(entry.partition, make)
            if store is not None and self._closer is None:
                await store.close()
                raise StoreClosed
            entry.store = store
            self._opened += store is not None

    async def _acquire(self, partition: str) -> _Entry:
        if partition not in self._busy:
            await self._free.acquire()
            if partition in self._busy:  # taken by another call during the wait
                self._free.release()
            else:
                entry = self._idle.pop(partition, None) or _Entry(partition)
                self._busy[partition] = entry
                self._make_room()
        entry = self._busy[partition]
        entry.users += 1
        return entry

    def _release(self, entry: _Entry) -> None:
        entry.users -= 1
        if entry.users:
            return
        self._free.release()
        if self._busy.get(entry.partition) is not entry:
            return  # the cache was closed during the use
        del self._busy[entry.partition]
        if entry.store is not None:
            entry.idle_since = self._clock.monotonic()
            self._idle[entry.partition] = entry
            if self._timer is None:
                self._retire_idle()

    def _make_room(self) -> None:
        while len(self._busy) + len(self._idle) > self._policy.max_open:
            self._retire(self._idle.popitem(last=False)[1])

    def _retire_idle(self) -> None:
        """Retire databases after ``idle_timeout``; set the timer for the next one."""
        self._timer = None
        now = self._clock.monotonic()
        while self._idle:
            entry = next(iter(self._idle.values()))
            rest = entry.idle_since + self._policy.idle_timeout - now
            if rest > 0:
                self._timer = self._clock.call_later(rest, self._retire_idle)
                break
            self._retire(self._idle.pop(entry.partition))

    def _retire(self, entry: _Entry) -> None:
        self._to_close.append(entry)
        self._retired += 1
        self._wake.set()

    async def _close_retired(self) -> None:
        """Close retired databases, each in a task, so that a slow one delays no other.

        The number of tasks needs no bound of its own. A database that closes slowly
        lies on a slow disk, where no other becomes idle, so at most ``max_open``
        databases are being closed.
        """
        async with asyncio.TaskGroup() as group:
            while self._closer is not None or self._to_close:
                while self._to_close:
                    self._closing += 1
                    group.create_task(self._close_entry(self._to_close.pop()))
                self._wake.clear()
                if self._closer is not None:
                    await self._wake.wait()

    async def _close_entry(self, entry: _Entry) -> None:
        try:
            if entry.store is not None:
                await entry.store.close()
        except Exception:  # noqa: BLE001  a failed closing harms no other database
            self._failed += 1
        finally:
            self._closing -= 1
