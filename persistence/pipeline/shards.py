"""Queues of work by shard, and the tasks that serve them.

A *shard* is what shares its transactions: a whole database, or the file of one
partition. ``Store.shard`` says which shard a partition belongs to. Work on one shard
waits for work on the same shard and for no other. So a slow disk or a lock delays the
shard that has it, and no other.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterator, Sized
from typing import Generic, TypeVar

import attrs

__all__ = ["Shard", "ShardWorkers"]

Q = TypeVar("Q", bound=Sized)


@attrs.define(eq=False)
class Shard(Generic[Q]):
    """The queue of one shard, and whether tasks serve it.

    ``ShardWorkers`` makes it and alone changes it; its users put items in ``queue``.

    Attributes:
        key: what ``Store.shard`` returned.
        queue: the work that waits; its length is how many items.
        serving: how many tasks serve it now.
        is_ready: whether it waits for a task.
    """

    key: Hashable
    queue: Q
    serving: int = 0
    is_ready: bool = False


@attrs.define(eq=False, repr=False)
class ShardWorkers(Generic[Q]):
    """A queue for each shard, and the tasks that serve them.

    Shards are served round robin: one that was served goes behind those that wait.
    Tasks are made when they are first needed; ``serve_all`` owns them. A shard without
    work is forgotten. The writer has one object of this class, the reader has two.

    Attributes:
        make: makes the queue of a shard.
        serve: does one step of work on a queue, which another task may have emptied; it
            raises nothing but a cancellation.
        tasks: most tasks, and so most shards that are served at the same time.
        width: most tasks that serve one shard at the same time.
    """

    _make: Callable[[], Q]
    _serve: Callable[[Q], Awaitable[None]]
    _max_tasks: int = attrs.field(kw_only=True, alias="tasks")
    _width: int = attrs.field(default=1, kw_only=True, alias="width")
    _shards: dict[Hashable, Shard[Q]] = attrs.field(
        factory=dict[Hashable, Shard[Q]], init=False
    )
    _ready: deque[Shard[Q]] = attrs.field(factory=deque[Shard[Q]], init=False)
    _idle: list[asyncio.Future[None]] = attrs.field(
        factory=list[asyncio.Future[None]], init=False
    )
    _tasks: int = attrs.field(default=0, init=False)
    _group: asyncio.TaskGroup | None = attrs.field(default=None, init=False)
    _closed: bool = attrs.field(default=False, init=False)

    def __len__(self) -> int:
        """Return how many items wait in all queues."""
        return sum(len(shard.queue) for shard in self._shards.values())

    def __iter__(self) -> Iterator[Q]:
        """Return the queues of the shards that are not forgotten."""
        return iter([shard.queue for shard in self._shards.values()])

    def __repr__(self) -> str:
        return f"<ShardWorkers shards={len(self._shards)} tasks={self._tasks}>"

    def shard_of(self, key: Hashable) -> Shard[Q]:
        """Return the shard with a key, to put work in its queue and ``schedule`` it."""
        shard = self._shards.get(key)
        if shard is None:
            shard = self._shards[key] = Shard(key, self._make())
        return shard

    def schedule(self, shard: Shard[Q]) -> None:
        """Get a shard served; to be called after an item was put in its queue."""
        if not shard.is_ready and shard.serving < self._width:
            shard.is_ready = True
            self._ready.append(shard)
            self._wake_or_start_task()

    def finish(self) -> None:
        """Make ``serve_all`` return as soon as every queue is empty."""
        self._closed = True
        for future in self._idle:
            if not future.done():
                future.set_result(None)
        self._idle.clear()

    async def serve_all(self) -> None:
        """Serve the shards until ``finish`` was called and every queue is empty."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._tasks = 1
                for _ in range(len(self._ready) - 1):
                    self._wake_or_start_task()
                await self._serve_ready_shards()
        finally:
            self._group = None

    def _wake_or_start_task(self) -> None:
        """Wake an idle task, or start one if none is idle and the bound allows it."""
        while self._idle:
            future = self._idle.pop()
            if not future.done():
                future.set_result(None)
                return
        if self._group is not None and self._tasks < self._max_tasks:
            self._tasks += 1
            # An empty context: the task would keep the caller's for its whole life.
            self._group.create_task(
                self._serve_ready_shards(),
                name="podvisor-stream",
                context=contextvars.Context(),
            )

    async def _serve_ready_shards(self) -> None:
        try:
            while True:
                if self._ready:
                    await self._serve_shard(self._ready.popleft())
                elif self._closed:
                    return
                else:
                    future = asyncio.get_running_loop().create_future()
                    self._idle.append(future)
                    await future
        except BaseException:
            self._group = None  # the group is about to end and takes no more tasks
            raise

    async def _serve_shard(self, shard: Shard[Q]) -> None:
        shard.is_ready = False
        shard.serving += 1
        if len(shard.queue) > 1:
            self.schedule(shard)  # a second task may serve it, if the width allows one
        await self._serve(shard.queue)
        shard.serving -= 1
        if len(shard.queue):
            if not shard.is_ready:
                shard.is_ready = True
                self._ready.append(shard)
        elif not shard.serving and not shard.is_ready and len(self._shards) > 1:
            del self._shards[shard.key]  # the last one stays: most hosts have one shard
