"""The tasks that read: thaws in batches, and listings beside them.

A thousand instances that thaw at once cost a few statements instead of a thousand. A
batch holds keys of one manager in one partition and never of two partitions. What is
kept in different shards of the store is read side by side.
"""

from __future__ import annotations

import asyncio
import contextvars
from itertools import islice
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import attrs

from ..errors import RecordError, StoreClosed, StoreUnavailable
from ..identity import Address, Key, PodsError
from ..store import Record
from .fair_queue import RoundRobinQueue
from .outcomes import Waiter, attempt, fail, own_copy, settling, succeed, tell_all
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
"""Lane of questions that belong to no partition; no partition has this name."""


@attrs.frozen(kw_only=True)
class ReadPolicy:
    """Bounds of the reader.

    Attributes:
        max_keys: keys in one statement.
        max_queued: loads that may wait in one partition, and questions likewise.
        listings: questions that are worked on at the same time in one shard.
        max_shards: shards of the store that are read from at the same time.
    """

    max_keys: int = attrs.field(default=500, validator=_AT_LEAST_ONE)
    max_queued: int = attrs.field(default=10_000, validator=_AT_LEAST_ONE)
    listings: int = attrs.field(default=2, validator=_AT_LEAST_ONE)
    max_shards: int = attrs.field(default=16, validator=_AT_LEAST_ONE)


@attrs.frozen(kw_only=True)
class ReadStatistics:
    """What the reader holds and has done since it was made.

    Attributes:
        loading: loads that wait for a statement now.
        asking: questions that wait now.
        batches: statements that loaded something.
        loaded: loads that were answered, with records or with none.
        unusable: loads whose record cannot be used.
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
Waiting = dict[Key, list[Waiter[Records]]]


@attrs.define(eq=False)
class _Group:
    """Loads of one manager in one partition that wait for a statement."""

    partition: str
    manager: str
    waiting: Waiting = attrs.field(factory=Waiting, init=False)


class _Pending(Protocol):
    """A question, whatever the type of its answer."""

    def left(self) -> bool:
        """Tell whether the one who asked has gone."""
        ...

    async def put_to(self, store: Store) -> bool:
        """Ask the store; tell whether it answered."""
        ...

    def abandon(self) -> None:
        """Tell the one who asked that there will be no answer."""
        ...


@attrs.define(eq=False)
class _Question(Generic[T]):
    call: Callable[[Store], Awaitable[T]]
    future: asyncio.Future[T]

    def left(self) -> bool:
        return self.future.done()

    def abandon(self) -> None:
        fail(self.future, StoreClosed())

    async def put_to(self, store: Store) -> bool:
        try:
            answer = await attempt(self.call(store))
        except Exception as error:  # noqa: BLE001  it belongs to the one who asked
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
    Thaws have tasks to themselves, so that a slow listing does not hold one up.
    """

    _store: Store
    _policy: ReadPolicy = attrs.field(factory=ReadPolicy, kw_only=True, alias="policy")
    _groups: dict[tuple[str, str], _Group] = attrs.field(
        factory=dict[tuple[str, str], _Group], init=False
    )
    _turns: ShardWorkers[RoundRobinQueue[_Group]] = attrs.field(init=False)
    _depths: dict[str, int] = attrs.field(factory=dict[str, int], init=False)
    _loading: int = attrs.field(default=0, init=False)
    _questions: ShardWorkers[RoundRobinQueue[_Pending]] = attrs.field(init=False)
    _closed: bool = attrs.field(default=False, init=False)
    _batches: int = attrs.field(default=0, init=False)
    _loaded: int = attrs.field(default=0, init=False)
    _unusable: int = attrs.field(default=0, init=False)
    _failed: int = attrs.field(default=0, init=False)
    _largest: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        shards = self._policy.max_shards
        width = self._policy.listings
        self._turns = ShardWorkers(
            RoundRobinQueue[_Group], self._serve_load, tasks=shards
        )
        self._questions = ShardWorkers(
            RoundRobinQueue[_Pending],
            self._serve_question,
            tasks=shards * width,
            width=width,
        )

    def __repr__(self) -> str:
        return f"<Reader loading={self._loading} asking={len(self._questions)}>"

    def load(self, address: Address) -> asyncio.Future[Records]:
        """Queue a load; the future resolves to the records, none if it is absent.

        The load sees every commit that ended before this call. The future fails with a
        ``RecordError`` (this record is unusable), ``StoreUnavailable`` or
        ``StoreClosed``.
        """
        future: asyncio.Future[Records] = asyncio.get_running_loop().create_future()
        waiter: Waiter[Records]
        waiter = Waiter(settling(future), contextvars.Context(), future.done)
        if (error := self._enter(address, waiter)) is not None:
            fail(future, error)
        return future

    def fetch(
        self,
        address: Address,
        found: Callable[[Records | PodsError], None],
        context: contextvars.Context,
    ) -> None:
        """Queue a load likewise, and have a function called with what was found.

        It is not called before this returns.

        Args:
            address: whose records.
            found: gets the records, or the error that the future would have failed
                with.
            context: what it is called in; nothing else may run there meanwhile.
        """
        waiter: Waiter[Records] = Waiter(found, context)
        if (error := self._enter(address, waiter)) is not None:
            waiter.tell_later(error)

    def _enter(self, address: Address, waiter: Waiter[Records]) -> PodsError | None:
        """Queue a load, or say why it is refused."""
        partition = address.partition
        depth = self._depths.get(partition, 0)
        if self._closed:
            return StoreClosed()
        if depth >= self._policy.max_queued:
            return _full("load", partition)
        self._depths[partition] = depth + 1
        self._loading += 1
        group = self._group(partition, address.manager)
        group.waiting.setdefault(address.key, []).append(waiter)
        return None

    def ask(
        self, call: Callable[[Store], Awaitable[T]], *, partition: str
    ) -> asyncio.Future[T]:
        """Queue any other read, such as a page of a listing.

        Args:
            call: gets the store, and is awaited in a task of the reader; what it
                raises reaches the future.
            partition: whose turn it takes; ``HOST``: the host's own.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._closed:
            fail(future, StoreClosed())
            return future
        shard = None if partition == HOST else self._store.shard(partition)
        stream = self._questions.of(shard)
        if stream.queue.depth(partition) >= self._policy.max_queued:
            fail(future, _full("listing", partition or "the host"))
        else:
            stream.queue.put(partition, _Question(call, future))
            self._questions.wake(stream)
        return future

    def close(self) -> None:
        """Accept nothing more; ``run`` returns when everything is answered."""
        self._closed = True
        self._turns.close()
        self._questions.close()

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
        """Answer until ``close`` was called and nothing waits any more."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._turns.run())
                group.create_task(self._questions.run())
        finally:
            self.abandon()

    def _group(self, partition: str, manager: str) -> _Group:
        group = self._groups.get((partition, manager))
        if group is None:
            group = self._groups[partition, manager] = _Group(partition, manager)
            self._stand(group)
        return group

    def _stand(self, group: _Group) -> None:
        stream = self._turns.of(self._store.shard(group.partition))
        stream.queue.put(group.partition, group)
        self._turns.wake(stream)

    async def _serve_load(self, turns: RoundRobinQueue[_Group]) -> None:
        group = turns.take()
        if group is not None and (batch := self._take(group)):
            await self._load(group, batch)

    def _take(self, group: _Group) -> Waiting:
        """Take a batch out of a group; what is left waits for another turn."""
        batch = Waiting()
        taken = 0
        for key in list(islice(group.waiting, self._policy.max_keys)):
            waiters = group.waiting.pop(key)
            taken += len(waiters)
            if _are_there(waiters):
                batch[key] = waiters
        self._loading -= taken
        self._depths[group.partition] -= taken
        if not self._depths[group.partition]:
            del self._depths[group.partition]
        if group.waiting:
            self._stand(group)
        else:
            del self._groups[group.partition, group.manager]
        return batch

    async def _load(self, group: _Group, batch: Waiting) -> None:
        keys = list(batch)
        try:
            call = self._store.load(group.manager, keys, partition=group.partition)
            found = await attempt(call)
        except PodsError as error:
            self._fail(batch, error)
        except Exception as error:  # noqa: BLE001  the reader outlives every failure
            await self._load_apart(group, batch, error)
        except BaseException:
            self._fail(batch, StoreClosed())
            raise
        else:
            self._settle(batch, found)

    async def _load_apart(
        self, group: _Group, batch: Waiting, error: Exception
    ) -> None:
        """Load one by one, as one row of the batch has tickled a fault in the store."""
        if len(batch) == 1:
            self._fail(batch, error)
            return
        try:
            while batch:
                key, waiters = batch.popitem()
                await self._load(group, Waiting({key: waiters}))
        except BaseException:
            self._fail(batch, StoreClosed())
            raise

    def _settle(self, batch: Waiting, found: list[Loaded]) -> None:
        self._batches += 1
        self._largest = max(self._largest, len(batch))
        outcomes: list[tuple[Waiter[Records], Records | PodsError]] = []
        for waiters, records in zip(batch.values(), found, strict=True):
            if isinstance(records, RecordError):
                self._unusable += len(waiters)
                outcomes += [(waiter, own_copy("load", records)) for waiter in waiters]
            else:
                self._loaded += len(waiters)
                for waiter in waiters:  # there is one, and a list takes longer to make
                    outcomes.append((waiter, records))
        tell_all(outcomes)

    def _fail(self, batch: Waiting, error: Exception) -> None:
        self._failed += sum(map(len, batch.values()))
        tell_all(
            (waiter, own_copy("load", error))
            for waiters in batch.values()
            for waiter in waiters
        )

    async def _serve_question(self, questions: RoundRobinQueue[_Pending]) -> None:
        question = questions.take()
        if question is not None and not question.left():
            self._failed += not await question.put_to(self._store)

    def abandon(self) -> None:
        """Accept nothing more, and fail what waits with ``StoreClosed``.

        ``run`` does it when it ends; whoever owns its task does it for one that was
        cancelled before it began.
        """
        self._closed = True
        for group in self._groups.values():
            self._fail(group.waiting, StoreClosed())
        self._groups.clear()
        for questions in self._questions:
            while (question := questions.take()) is not None:
                question.abandon()


def _are_there(waiters: list[Waiter[Records]]) -> bool:
    """Say whether anybody still wants to know."""
    for waiter in waiters:  # noqa: SIM110  a generator takes as long as all the rest
        if not waiter.left():
            return True
    return False


def _full(operation: str, where: str) -> StoreUnavailable:
    return StoreUnavailable(operation, f"too many of them wait in {where} already")
