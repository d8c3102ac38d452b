"""Queues that are served side by side, each by as many tasks as it can stand.

A *shard* is what shares its transactions: a whole database, or the file of one
partition. Work on one shard waits for work on the same shard; work on two shards does
not, so that a disk or a lock that holds one up is felt there and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterator, Sized
from typing import Generic, TypeVar

import attrs

__all__ = ["ShardWorkers", "Stream"]

Q = TypeVar("Q", bound=Sized)


@attrs.define(eq=False)
class Stream(Generic[Q]):
    """What waits for one shard.

    Attributes:
        key: names the shard.
        queue: what waits; its length says how much.
        serving: tasks that work on it now.
        standing: whether it waits for a task.
    """

    key: Hashable
    queue: Q
    serving: int = 0
    standing: bool = False


@attrs.define(eq=False, repr=False)
class ShardWorkers(Generic[Q]):
    """A queue for each shard, and the tasks that serve them.

    Shards take turns: one that was served goes behind those that wait. Tasks are made
    when they are first needed and belong to ``run``. Shards without work are forgotten.

    Attributes:
        make: makes the queue of a shard.
        serve: does one step of work on a queue, which another task may have emptied; it
            raises nothing but a cancellation.
        tasks: most tasks, and so most shards that are served at the same time.
        width: most tasks that serve one shard at the same time.
    """

    _make: Callable[[], Q]
    _serve: Callable[[Q], Awaitable[None]]
    _tasks: int = attrs.field(kw_only=True, alias="tasks")
    _width: int = attrs.field(default=1, kw_only=True, alias="width")
    _streams: dict[Hashable, Stream[Q]] = attrs.field(
        factory=dict[Hashable, Stream[Q]], init=False
    )
    _ready: deque[Stream[Q]] = attrs.field(factory=deque[Stream[Q]], init=False)
    _idle: list[asyncio.Future[None]] = attrs.field(
        factory=list[asyncio.Future[None]], init=False
    )
    _hired: int = attrs.field(default=0, init=False)
    _group: asyncio.TaskGroup | None = attrs.field(default=None, init=False)
    _closed: bool = attrs.field(default=False, init=False)

    def __len__(self) -> int:
        """Count what waits in all queues."""
        return sum(len(stream.queue) for stream in self._streams.values())

    def __iter__(self) -> Iterator[Q]:
        """Go through the queues that hold something, or are being served."""
        return iter([stream.queue for stream in self._streams.values()])

    def __repr__(self) -> str:
        return f"<Streams shards={len(self._streams)} tasks={self._hired}>"

    def of(self, key: Hashable) -> Stream[Q]:
        """Return the stream of a shard, for its queue and for ``wake``."""
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = Stream(key, self._make())
        return stream

    def wake(self, stream: Stream[Q]) -> None:
        """Have a stream served whose queue was given something."""
        if not stream.standing and stream.serving < self._width:
            stream.standing = True
            self._ready.append(stream)
            self._rouse()

    def close(self) -> None:
        """Let ``run`` return when every queue is empty."""
        self._closed = True
        for waiter in self._idle:
            if not waiter.done():
                waiter.set_result(None)
        self._idle.clear()

    async def run(self) -> None:
        """Serve until ``close`` was called and nothing waits any more."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._hired = 1
                for _ in range(len(self._ready) - 1):
                    self._rouse()
                await self._work()
        finally:
            self._group = None

    def _rouse(self) -> None:
        """Get one more task to look for work: an idle one, or else a new one."""
        while self._idle:
            waiter = self._idle.pop()
            if not waiter.done():
                waiter.set_result(None)
                return
        if self._group is not None and self._hired < self._tasks:
            self._hired += 1
            # A context of its own: the caller's would be kept for as long as we run.
            self._group.create_task(
                self._work(), name="podvisor-stream", context=contextvars.Context()
            )

    async def _work(self) -> None:
        try:
            while True:
                if self._ready:
                    await self._attend(self._ready.popleft())
                elif self._closed:
                    return
                else:
                    waiter = asyncio.get_running_loop().create_future()
                    self._idle.append(waiter)
                    await waiter
        except BaseException:
            self._group = None  # it is about to end, and takes no more tasks
            raise

    async def _attend(self, stream: Stream[Q]) -> None:
        stream.standing = False
        stream.serving += 1
        if len(stream.queue) > 1:
            self.wake(stream)  # there is work for another task, if it takes one
        await self._serve(stream.queue)
        stream.serving -= 1
        if len(stream.queue):
            if not stream.standing:
                stream.standing = True
                self._ready.append(stream)
        elif not stream.serving and not stream.standing and len(self._streams) > 1:
            del self._streams[stream.key]  # the last stays: most hosts have one
