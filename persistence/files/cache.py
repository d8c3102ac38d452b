"""Open databases, at most so many: the one that was used longest ago makes room.

Opening takes milliseconds and a thread, so a database stays open between calls; but a
host may have many more partitions than threads. A database in use is never closed.
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
    """What the shelf holds and has done since it was made.

    Attributes:
        open: databases that are open now.
        in_use: those of them that somebody works with.
        closing: databases that are on their way out.
        opened: databases that were opened.
        retired: databases that had to make room, or that nobody used for too long.
        failed: databases whose closing raised an error; a thread of theirs may be left.
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
    left: float = attrs.field(default=0.0, init=False)


@attrs.define(eq=False, repr=False)
class DatabaseCache:
    """Lends open databases out, and closes those that nobody wants any more.

    Args:
        open: opens the database of a partition; given ``False``, it does not make one
            that is not there, and returns ``None``.
        policy: bounds.
        clock: where time comes from.
    """

    _open: Callable[[str, bool], Awaitable[Store | None]]
    _policy: FilesPolicy
    _clock: Clock
    _busy: dict[str, _Entry] = attrs.field(factory=dict[str, _Entry], init=False)
    _idle: OrderedDict[str, _Entry] = attrs.field(
        factory=OrderedDict[str, _Entry], init=False
    )
    _seats: anyio.Semaphore = attrs.field(init=False)
    _leaving: list[_Entry] = attrs.field(factory=list[_Entry], init=False)
    _closing: int = attrs.field(default=0, init=False)
    _opened: int = attrs.field(default=0, init=False)
    _retired: int = attrs.field(default=0, init=False)
    _failed: int = attrs.field(default=0, init=False)
    _timer: Handle | None = attrs.field(default=None, init=False)
    _wake: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    _keeper: asyncio.Task[None] | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._seats = anyio.Semaphore(self._policy.max_open, fast_acquire=True)

    def __repr__(self) -> str:
        return f"<Shelf open={len(self._busy) + len(self._idle)}>"

    def statistics(self) -> DatabaseCacheStatistics:
        return DatabaseCacheStatistics(
            open=len(self._busy) + len(self._idle),
            in_use=len(self._busy),
            closing=len(self._leaving) + self._closing,
            opened=self._opened,
            retired=self._retired,
            failed=self._failed,
        )

    def start(self) -> None:
        """Begin to lend; a second call does nothing."""
        if self._keeper is None:
            self._keeper = asyncio.get_running_loop().create_task(
                self._keep(), name="podvisor-shelf", context=contextvars.Context()
            )

    def check(self) -> None:
        """Refuse with ``StoreClosed`` before ``start`` and after ``close``."""
        if self._keeper is None:
            raise StoreClosed

    async def close(self) -> None:
        """Close every database; whoever still works with one is not waited for."""
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for entries in (self._busy, self._idle):
            self._leaving += entries.values()
            entries.clear()
        self._wake.set()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([keeper])

    @asynccontextmanager
    async def lend(
        self, partition: str, *, make: bool = False
    ) -> AsyncGenerator[Store | None]:
        """Lend the database of a partition for the length of a block.

        Those who want a database that is not open yet wait for the one who opens it.
        If ``max_open`` of them are in use, a caller waits until one is given back.

        Args:
            partition: whose.
            make: whether to make one that is not there; if not, ``None`` is lent.

        Raises:
            StoreClosed: before ``start`` or after ``close``.
        """
        self.check()
        entry = await self._take(partition)
        try:
            if entry.store is None:
                await self._fill(entry, make=make)
            yield entry.store
        finally:
            self._give_back(entry)

    async def _fill(self, entry: _Entry, *, make: bool) -> None:
        async with entry.opening:
            if entry.store is not None:
                return
            store = await self._open(entry.partition, make)
            if store is not None and self._keeper is None:
                await store.close()
                raise StoreClosed
            entry.store = store
            self._opened += store is not None

    async def _take(self, partition: str) -> _Entry:
        if partition not in self._busy:
            await self._seats.acquire()
            if partition in self._busy:  # somebody took it meanwhile
                self._seats.release()
            else:
                entry = self._idle.pop(partition, None) or _Entry(partition)
                self._busy[partition] = entry
                self._make_room()
        entry = self._busy[partition]
        entry.users += 1
        return entry

    def _give_back(self, entry: _Entry) -> None:
        entry.users -= 1
        if entry.users:
            return
        self._seats.release()
        if self._busy.get(entry.partition) is not entry:
            return  # the shelf was closed meanwhile
        del self._busy[entry.partition]
        if entry.store is not None:
            entry.left = self._clock.monotonic()
            self._idle[entry.partition] = entry
            if self._timer is None:
                self._watch()

    def _make_room(self) -> None:
        while len(self._busy) + len(self._idle) > self._policy.max_open:
            self._retire(self._idle.popitem(last=False)[1])

    def _watch(self) -> None:
        """Come back when the next database has been idle for too long."""
        self._timer = None
        now = self._clock.monotonic()
        while self._idle:
            entry = next(iter(self._idle.values()))
            rest = entry.left + self._policy.idle_timeout - now
            if rest > 0:
                self._timer = self._clock.call_later(rest, self._watch)
                break
            self._retire(self._idle.pop(entry.partition))

    def _retire(self, entry: _Entry) -> None:
        self._leaving.append(entry)
        self._retired += 1
        self._wake.set()

    async def _keep(self) -> None:
        """Close what was retired; one that is slow to close holds nobody up.

        What closes slowly lies on a slow disk, where nothing new can become idle: there
        are never more on their way out than could be open.
        """
        async with asyncio.TaskGroup() as group:
            while self._keeper is not None or self._leaving:
                while self._leaving:
                    self._closing += 1
                    group.create_task(self._dismiss(self._leaving.pop()))
                self._wake.clear()
                if self._keeper is not None:
                    await self._wake.wait()

    async def _dismiss(self, entry: _Entry) -> None:
        try:
            if entry.store is not None:
                await entry.store.close()
        except Exception:  # noqa: BLE001  one that fails to close harms no other
            self._failed += 1
        finally:
            self._closing -= 1
