"""The reader: loads in batches, and other reads in tasks of their own.

A thousand instances that thaw at the same time take a few statements instead of a
thousand. A batch holds keys of one manager in one partition. Different shards of the
store are read at the same time.

A *load* reads the records of one instance. A *question* is any other read, such as a
page of a listing. Each has its own tasks, so a slow listing delays no thaw.
"""

from __future__ import annotations

import asyncio
import contextvars
from itertools import islice
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import attrs

from ..errors import RecordError, StoreClosed
from ..identity import Address, Key, PodsError
from ..store import Record
from .fair_queue import RoundRobinQueue
from .outcomes import (
    Waiter,
    fail,
    guarded,
    own_copy,
    queue_full,
    report_all,
    resolver_of,
    succeed,
)
from .shards import ShardWorkers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ..store import Loaded, Store

__all__ = ["HOST", "ReadPolicy", "ReadStatistics", "Reader"]

T = TypeVar("T")

_AT_LEAST_ONE = attrs.validators.and_(
    attrs.validators.instance_of(int), attrs.validators.ge(1)
)
HOST = ""
"""Name of the queue for questions about no partition; no partition has this name."""


@attrs.frozen(kw_only=True)
class ReadPolicy:
    """Bounds of the reader, each from 1 up.

    Attributes:
        max_keys: most keys in one statement.
        max_queued: most loads, and most questions, that wait in one partition.
        listings: most questions that one shard answers at the same time.
        max_shards: most shards of the store that are read from at the same time.
    """

    max_keys: int = attrs.field(default=500, validator=_AT_LEAST_ONE)
    max_queued: int = attrs.field(default=10_000, validator=_AT_LEAST_ONE)
    listings: int = attrs.field(default=2, validator=_AT_LEAST_ONE)
    max_shards: int = attrs.field(default=16, validator=_AT_LEAST_ONE)


@attrs.frozen(kw_only=True)
class ReadStatistics:
    """The reads that wait in the reader, and counts since it was made.

    Attributes:
        loading: loads that wait for a statement now.
        asking: questions that wait now.
        batches: statements that loaded something.
        loaded: loads that were answered, with records or with none.
        unusable: loads whose record is unusable.
        failed: loads and questions that the store did not answer.
        largest: most keys that shared one statement.
    """

    loading: int
    asking: int
    batches: int
    loaded: int
    unusable: int
    failed: int
    largest: int


Records = tuple[Record, ...]
Waiters = dict[Key, list[Waiter[Records]]]
"""The callbacks of loads, by key."""


@attrs.define(eq=False)
class _QueuedLoads:
    """Loads of one manager in one partition that wait for a statement."""

    partition: str
    manager: str
    waiters: Waiters = attrs.field(factory=Waiters, init=False)


class _QueuedQuestion(Protocol):
    """A question that waits, without the type of its answer."""

    def is_cancelled(self) -> bool:
        """Return whether the answer is not wanted any more."""
        ...

    async def read(self, store: Store) -> bool:
        """Read the answer from the store; return whether the store answered."""
        ...

    def abandon(self) -> None:
        """Fail the future with ``StoreClosed``."""
        ...


@attrs.define(eq=False)
class _Question(Generic[T]):
    call: Callable[[Store], Awaitable[T]]
    future: asyncio.Future[T]

    def is_cancelled(self) -> bool:
        return self.future.done()

    def abandon(self) -> None:
        fail(self.future, StoreClosed())

    async def read(self, store: Store) -> bool:
        try:
            answer = await guarded(self.call(store))
        except Exception as error:  # noqa: BLE001  the future carries it to the caller
            fail(self.future, error)
            return False
        except BaseException:
            self.abandon()
            raise
        succeed(self.future, answer)
        return True


@attrs.define(eq=False, repr=False)
class Reader:
    """Accepts reads from anywhere in the loop and does them in tasks of its own.

    The host runs ``run`` in a task, which owns the others, and ends it with ``close``.
    Loads have tasks of their own, so that a slow listing does not delay a thaw.
    """

    _store: Store
    _policy: ReadPolicy = attrs.field(factory=ReadPolicy, kw_only=True, alias="policy")
    _queued_loads: dict[tuple[str, str], _QueuedLoads] = attrs.field(
        factory=dict[tuple[str, str], _QueuedLoads], init=False
    )
    _loads: ShardWorkers[RoundRobinQueue[_QueuedLoads]] = attrs.field(init=False)
    _depths: dict[str, int] = attrs.field(factory=dict[str, int], init=False)
    _loading: int = attrs.field(default=0, init=False)
    _questions: ShardWorkers[RoundRobinQueue[_QueuedQuestion]] = attrs.field(init=False)
    _closed: bool = attrs.field(default=False, init=False)
    _batches: int = attrs.field(default=0, init=False)
    _loaded: int = attrs.field(default=0, init=False)
    _unusable: int = attrs.field(default=0, init=False)
    _failed: int = attrs.field(default=0, init=False)
    _largest: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        shards = self._policy.max_shards
        width = self._policy.listings
        self._loads = ShardWorkers(
            RoundRobinQueue[_QueuedLoads], self._serve_loads, tasks=shards
        )
        self._questions = ShardWorkers(
            RoundRobinQueue[_QueuedQuestion],
            self._serve_question,
            tasks=shards * width,
            width=width,
        )

    def __repr__(self) -> str:
        return f"<Reader loading={self._loading} asking={len(self._questions)}>"

    def load(self, address: Address) -> asyncio.Future[Records]:
        """Queue a load; the future resolves to the records, empty if there are none.

        The load sees every commit that ended before this call. The future fails with a
        ``RecordError`` (this record is unusable), ``StoreUnavailable`` or
        ``StoreClosed``.
        """
        future: asyncio.Future[Records] = asyncio.get_running_loop().create_future()
        waiter: Waiter[Records]
        waiter = Waiter(resolver_of(future), contextvars.Context(), future.done)
        if (error := self._enqueue(address, waiter)) is not None:
            fail(future, error)
        return future

    def fetch(
        self,
        address: Address,
        found: Callable[[Records | PodsError], None],
        context: contextvars.Context,
    ) -> None:
        """Queue a load as ``load`` does, but call a function with the outcome.

        Args:
            address: address of the instance.
            found: gets the records, or the error that ``load`` reports; it is never
                called before this method returns.
            context: the context in which ``found`` runs; nothing else may run in it at
                the same time.
        """
        waiter: Waiter[Records] = Waiter(found, context)
        if (error := self._enqueue(address, waiter)) is not None:
            waiter.report_later(error)

    def _enqueue(self, address: Address, waiter: Waiter[Records]) -> PodsError | None:
        """Queue a load, or return why it is refused."""
        partition = address.partition
        depth = self._depths.get(partition, 0)
        if self._closed:
            return StoreClosed()
        if depth >= self._policy.max_queued:
            return queue_full("load", partition)
        self._depths[partition] = depth + 1
        self._loading += 1
        loads = self._loads_of(partition, address.manager)
        loads.waiters.setdefault(address.key, []).append(waiter)
        return None

    def ask(
        self, call: Callable[[Store], Awaitable[T]], *, partition: str
    ) -> asyncio.Future[T]:
        """Queue a question: any read but a load, such as a page of a listing.

        Args:
            call: gets the store, and is awaited in a task of the reader; the future
                gets what it returns or raises.
            partition: the partition in whose queue it waits; ``HOST``: a queue for
                questions about no partition.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._closed:
            fail(future, StoreClosed())
            return future
        key = None if partition == HOST else self._store.shard(partition)
        shard = self._questions.shard_of(key)
        if shard.queue.depth(partition) >= self._policy.max_queued:
            fail(future, queue_full("listing", partition or "the host"))
        else:
            shard.queue.put(partition, _Question(call, future))
            self._questions.schedule(shard)
        return future

    def close(self) -> None:
        """Refuse new reads; ``run`` returns when all that wait are answered."""
        self._closed = True
        self._loads.finish()
        self._questions.finish()

    def statistics(self) -> ReadStatistics:
        return ReadStatistics(
            loading=self._loading,
            asking=len(self._questions),
            batches=self._batches,
            loaded=self._loaded,
            unusable=self._unusable,
            failed=self._failed,
            largest=self._largest,
        )

    async def run(self) -> None:
        """Answer reads until ``close``, and until none waits."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._loads.serve_all())
                group.create_task(self._questions.serve_all())
        finally:
            self.abandon()

    def _loads_of(self, partition: str, manager: str) -> _QueuedLoads:
        loads = self._queued_loads.get((partition, manager))
        if loads is None:
            loads = _QueuedLoads(partition, manager)
            self._queued_loads[partition, manager] = loads
            self._schedule(loads)
        return loads

    def _schedule(self, loads: _QueuedLoads) -> None:
        shard = self._loads.shard_of(self._store.shard(loads.partition))
        shard.queue.put(loads.partition, loads)
        self._loads.schedule(shard)

    async def _serve_loads(self, queue: RoundRobinQueue[_QueuedLoads]) -> None:
        loads = queue.take_next()
        if loads is not None and (batch := self._take_batch(loads)):
            await self._load_batch(loads, batch)

    def _take_batch(self, loads: _QueuedLoads) -> Waiters:
        """Remove and return a batch; if loads are left, schedule them again."""
        batch = Waiters()
        taken = 0
        for key in list(islice(loads.waiters, self._policy.max_keys)):
            waiters = loads.waiters.pop(key)
            taken += len(waiters)
            if _is_wanted(waiters):
                batch[key] = waiters
        self._loading -= taken
        self._depths[loads.partition] -= taken
        if not self._depths[loads.partition]:
            del self._depths[loads.partition]
        if loads.waiters:
            self._schedule(loads)
        else:
            del self._queued_loads[loads.partition, loads.manager]
        return batch

    async def _load_batch(self, loads: _QueuedLoads, batch: Waiters) -> None:
        keys = list(batch)
        try:
            call = self._store.load(loads.manager, keys, partition=loads.partition)
            found = await guarded(call)
        except PodsError as error:
            self._fail_batch(batch, error)
        except Exception as error:  # noqa: BLE001  the reader outlives every failure
            await self._load_one_by_one(loads, batch, error)
        except BaseException:
            self._fail_batch(batch, StoreClosed())
            raise
        else:
            self._report_loaded(batch, found)

    async def _load_one_by_one(
        self, loads: _QueuedLoads, batch: Waiters, error: Exception
    ) -> None:
        """Load each key alone, so that a row that makes the store fail fails alone."""
        if len(batch) == 1:
            self._fail_batch(batch, error)
            return
        try:
            while batch:
                key, waiters = batch.popitem()
                await self._load_batch(loads, Waiters({key: waiters}))
        except BaseException:
            self._fail_batch(batch, StoreClosed())
            raise

    def _report_loaded(self, batch: Waiters, found: list[Loaded]) -> None:
        self._batches += 1
        self._largest = max(self._largest, len(batch))
        outcomes: list[tuple[Waiter[Records], Records | PodsError]] = []
        for waiters, records in zip(batch.values(), found, strict=True):
            if isinstance(records, RecordError):
                self._unusable += len(waiters)
                outcomes += [(waiter, own_copy("load", records)) for waiter in waiters]
            else:
                self._loaded += len(waiters)
                for waiter in waiters:  # mostly one; a list comprehension takes longer
                    outcomes.append((waiter, records))
        report_all(outcomes)

    def _fail_batch(self, batch: Waiters, error: Exception) -> None:
        self._failed += sum(map(len, batch.values()))
        report_all(
            (waiter, own_copy("load", error))
            for waiters in batch.values()
            for waiter in waiters
        )

    async def _serve_question(self, queue: RoundRobinQueue[_QueuedQuestion]) -> None:
        question = queue.take_next()
        if question is not None and not question.is_cancelled():
            self._failed += not await question.read(self._store)

    def abandon(self) -> None:
        """Refuse new reads, and fail those that wait with ``StoreClosed``.

        ``run`` calls it when it ends. The host calls it too: a task that is cancelled
        before its first step never enters ``run``.
        """
        self._closed = True
        for loads in self._queued_loads.values():
            self._fail_batch(loads.waiters, StoreClosed())
        self._queued_loads.clear()
        for queue in self._questions:
            while (question := queue.take_next()) is not None:
                question.abandon()


def _is_wanted(waiters: list[Waiter[Records]]) -> bool:
    """Return whether the outcome is still wanted by at least one waiter."""
    for waiter in waiters:  # noqa: SIM110  a generator takes as long as all the rest
        if not waiter.is_cancelled():
            return True
    return False
