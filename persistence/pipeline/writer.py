"""The writer: group commit, fair between partitions, one transaction a shard.

Why it exists. Each turn that changed something wants its unit stored before its reply
is sent. A commit waits for the disk. On the machine of ``docs/benchmarks.md``, one raw
commit of one row takes 641 µs. A hundred callers, each of which waits for its commit,
get 14,364 rows stored in a second.

1. One writer. Every unit of a host passes through one ``Writer``, in one event loop. A
   caller waits for a future or a callback and never for a connection, so its
   cancellation cannot break a transaction that holds units of other callers.
2. Group commit. While a transaction runs, new units wait. The next transaction takes
   all of them, up to ``max_units`` and ``max_batch_bytes``. There is no timer: a unit
   that comes to an idle shard is saved at once, and batches grow with the load.
3. A queue for each partition. A batch takes one unit of each partition in turn, so a
   flood of one partition delays another by one unit. Each queue has its own bound, so
   a partition that fills its queue takes no place from others.
4. One transaction a shard at a time. Partitions that the store keeps in different
   shards share no transaction and wait for none: a slow file delays its partition only.
   ``max_shards`` of them are written to at the same time. Inside a partition, units are
   saved in the order of their submission, as a unit may expect the revision that the
   one before it made.
5. Claims of partitions are batched too. They go before units, and do not share a
   transaction with them.

What a store does with a batch. A unit that the store refuses (a stale revision, a stale
owner) is an answer and no failure: the store undoes that unit and commits the others.
SQLite tries a batch as a whole under a savepoint, then each partition of it, then each
unit. PostgreSQL makes the transaction again without the refused unit, as that is rare
enough to take less time than a savepoint around each unit. Partitions whose units made
a batch fail are saved apart for a while (``persistence.sql.suspects``).

What happens on a failure.

- A ``StoreError`` from the store: the medium failed. Every unit of the batch fails with
  a copy of it, and the next batch is tried as usual.
- Any other exception: one unit may have met a fault of the store or of the driver. The
  units are saved again one by one, so that it fails alone. The claims of a batch are
  tried one by one after either kind of error: a damaged page may belong to one of them.
- A cancellation of the writer's tasks: all that waits or is under way fails with
  ``StoreClosed``. A unit under way may be stored or not. The revision of its row shows
  which, since only the owner of a partition writes there.

Rejected:

- A future for each unit of a turn. A hundred futures that a hundred tasks wait for take
  as long as SQLite needs for their rows, and one more pass of the loop. ``commit``
  calls a function instead; ``submit`` stays for callers that want to await.
- More overlap of the loop and the thread of SQLite, which take turns, as a batch holds
  what came during the one before it. Where they overlap, both wait for the
  interpreter's lock, which the driver releases once for every row, and the whole is
  slower.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING

import attrs

from ..errors import StateTooLarge, StoreClosed, StoreError
from ..store import Claim, Save, Unit
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
    from collections.abc import Callable

    from ..identity import PodsError
    from ..store import Store

__all__ = ["CommitPolicy", "CommitStatistics", "Writer"]

_AT_LEAST_ONE = attrs.validators.and_(
    attrs.validators.instance_of(int), attrs.validators.ge(1)
)


@attrs.frozen(kw_only=True)
class CommitPolicy:
    """Bounds of the writer, each from 1 up.

    Attributes:
        max_units: most units, or most claims of partitions, in one transaction.
        max_batch_bytes: bytes of state after which a transaction takes no more units;
            the last unit may exceed it.
        max_queued: most units that wait in one partition, and most claims that wait in
            all.
        max_body_bytes: most bytes of one record.
        max_shards: most shards of the store that are written to at the same time.
    """

    max_units: int = attrs.field(default=512, validator=_AT_LEAST_ONE)
    max_batch_bytes: int = attrs.field(default=16 * 1024**2, validator=_AT_LEAST_ONE)
    max_queued: int = attrs.field(default=10_000, validator=_AT_LEAST_ONE)
    max_body_bytes: int = attrs.field(default=8 * 1024**2, validator=_AT_LEAST_ONE)
    max_shards: int = attrs.field(default=16, validator=_AT_LEAST_ONE)


@attrs.frozen(kw_only=True)
class CommitStatistics:
    """The units that wait in the writer, and counts since it was made.

    Attributes:
        queued: units that wait for a transaction now.
        transactions: transactions that were committed.
        committed: units that are durable.
        refused: units that were refused alone (stale, too large, queue full).
        failed: units whose whole transaction failed.
        largest: most units that shared one transaction.
    """

    queued: int
    transactions: int
    committed: int
    refused: int
    failed: int
    largest: int


@attrs.define(eq=False)
class _QueuedUnit(Waiter[None]):
    """A unit that waits, its bytes of state, and the callback that gets its outcome."""

    unit: Unit = attrs.field(kw_only=True)
    size: int = 0


_QueuedClaims = dict[str, list[asyncio.Future[Claim]]]
"""Futures of claims, by partition."""


@attrs.define(eq=False)
class _ShardQueue:
    """The units and claims that wait for one shard of the store."""

    units: RoundRobinQueue[_QueuedUnit] = attrs.field(
        factory=RoundRobinQueue[_QueuedUnit], init=False
    )
    claims: _QueuedClaims = attrs.field(factory=_QueuedClaims, init=False)

    def __len__(self) -> int:
        return len(self.units) + len(self.claims)


@attrs.define(eq=False, repr=False)
class Writer:
    """Accepts units from anywhere in the loop and saves them from tasks of its own.

    The host runs ``run`` in a task, which owns the others, and ends it with ``close``.
    If that task is cancelled instead, units that are under way fail with
    ``StoreClosed`` and may be stored or not; the revision of the row shows which.
    """

    _store: Store
    _policy: CommitPolicy = attrs.field(
        factory=CommitPolicy, kw_only=True, alias="policy"
    )
    _workers: ShardWorkers[_ShardQueue] = attrs.field(init=False)
    _queued_claims: int = attrs.field(default=0, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    _transactions: int = attrs.field(default=0, init=False)
    _committed: int = attrs.field(default=0, init=False)
    _refused: int = attrs.field(default=0, init=False)
    _failed: int = attrs.field(default=0, init=False)
    _largest: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._workers = ShardWorkers(
            _ShardQueue, self._serve_shard, tasks=self._policy.max_shards
        )

    def __repr__(self) -> str:
        return f"<Writer queued={self._count_queued()} committed={self._committed}>"

    def submit(self, unit: Unit) -> asyncio.Future[None]:
        """Queue a unit; the future resolves when it is durable.

        Units of one partition are saved in the order of their submission. If the future
        is cancelled before the transaction begins, the unit is not saved. The future
        fails with ``StaleRevision``, ``StaleOwner``, ``AlreadyAnswered``,
        ``LetterGone``, ``StateTooLarge`` (this unit was refused), ``StoreUnavailable``
        (the store failed, or the queue is full) or ``StoreClosed``.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        context = contextvars.Context()
        queued = _QueuedUnit(resolver_of(future), context, future.done, unit=unit)
        if (error := self._enqueue(queued)) is not None:
            fail(future, error)
        return future

    def commit(
        self,
        unit: Unit,
        ended: Callable[[PodsError | None], None],
        context: contextvars.Context,
    ) -> None:
        """Queue a unit as ``submit`` does, but call a function with the outcome.

        Args:
            unit: the unit to save.
            ended: gets ``None``, or the error that ``submit`` reports; it is never
                called before this method returns.
            context: the context in which ``ended`` runs; nothing else may run in it at
                the same time.
        """
        queued = _QueuedUnit(ended, context, unit=unit)
        if (error := self._enqueue(queued)) is not None:
            queued.report_later(error)

    def _enqueue(self, queued: _QueuedUnit) -> StoreError | None:
        """Queue a unit, or return why it is refused."""
        unit = queued.unit
        partition = unit.partition
        limit = self._policy.max_body_bytes
        for operation in unit.operations:
            if type(operation) is Save:
                length = len(operation.record.body)
                if length > limit:
                    address = operation.record.address
                    return self._count_refusal(StateTooLarge(address, length, limit))
                queued.size += length
        if self._closed:
            return self._count_refusal(StoreClosed())
        shard = self._workers.shard_of(self._store.shard(partition))
        units = shard.queue.units
        if units.depth(partition) >= self._policy.max_queued:
            return self._count_refusal(queue_full("save", f"partition {partition!r}"))
        units.put(partition, queued)
        self._workers.schedule(shard)
        return None

    def _count_refusal(self, error: StoreError) -> StoreError:
        self._refused += 1
        return error

    def claim(self, partition: str) -> asyncio.Future[Claim]:
        """Queue a claim; the future resolves when the host owns the partition.

        Claims of one partition that wait at the same time share one result.
        """
        future: asyncio.Future[Claim] = asyncio.get_running_loop().create_future()
        if self._closed:
            fail(future, StoreClosed())
        elif self._queued_claims >= self._policy.max_queued:
            fail(future, queue_full("claim", "the host"))
        else:
            shard = self._workers.shard_of(self._store.shard(partition))
            shard.queue.claims.setdefault(partition, []).append(future)
            self._queued_claims += 1
            self._workers.schedule(shard)
        return future

    def close(self) -> None:
        """Refuse new units and claims; ``run`` returns when every queue is empty."""
        self._closed = True
        self._workers.finish()

    def statistics(self) -> CommitStatistics:
        return CommitStatistics(
            queued=self._count_queued(),
            transactions=self._transactions,
            committed=self._committed,
            refused=self._refused,
            failed=self._failed,
            largest=self._largest,
        )

    async def run(self) -> None:
        """Save units and claim partitions until ``close``, and until none waits."""
        try:
            await self._workers.serve_all()
        finally:
            self.abandon()

    async def _serve_shard(self, queue: _ShardQueue) -> None:
        if queue.claims:
            await self._claim_batch(self._take_claims(queue))
        if batch := self._take_units(queue):
            await self._save_batch(batch)

    def _count_queued(self) -> int:
        return sum(len(queue.units) for queue in self._workers)

    def _take_units(self, queue: _ShardQueue) -> list[_QueuedUnit]:
        batch: list[_QueuedUnit] = []
        room = self._policy.max_batch_bytes
        while len(batch) < self._policy.max_units and room > 0:
            queued = queue.units.take_next()
            if queued is None:
                break
            if not queued.is_cancelled():
                batch.append(queued)
                room -= queued.size
        return batch

    async def _save_batch(self, batch: list[_QueuedUnit]) -> None:
        try:
            units = [queued.unit for queued in batch]
            refusals = await guarded(self._store.apply(units))
        except StoreError as error:
            self._fail_batch(batch, error)
        except Exception as error:  # noqa: BLE001  the writer outlives every failure
            await self._save_one_by_one(batch, error)
        except BaseException:
            self._fail_batch(batch, StoreClosed())
            raise
        else:
            self._report_saved(batch, refusals)

    async def _save_one_by_one(
        self, batch: list[_QueuedUnit], error: Exception
    ) -> None:
        """Save each unit of a batch in a transaction of its own, after an exception.

        Without this, a unit that the driver cannot store would fail the units of other
        partitions that share its transaction.
        """
        if len(batch) == 1:
            self._fail_batch(batch, error)
            return
        try:
            while batch:
                await self._save_batch([batch[0]])
                batch = batch[1:]
        except BaseException:
            self._fail_batch(batch, StoreClosed())
            raise

    def _report_saved(
        self, batch: list[_QueuedUnit], refusals: list[StoreError | None]
    ) -> None:
        refused = len(refusals) - refusals.count(None)
        self._transactions += 1
        self._refused += refused
        self._committed += len(batch) - refused
        self._largest = max(self._largest, len(batch))
        report_all(zip(batch, refusals, strict=True))

    def _fail_batch(self, batch: list[_QueuedUnit], error: Exception) -> None:
        self._failed += len(batch)
        report_all(
            (one, own_copy("save", error)) for one in batch if not one.is_cancelled()
        )

    def _take_claims(self, queue: _ShardQueue) -> _QueuedClaims:
        batch = _QueuedClaims()
        for partition in list(queue.claims)[: self._policy.max_units]:
            futures = queue.claims.pop(partition)
            self._queued_claims -= len(futures)
            if not all(future.done() for future in futures):
                batch[partition] = futures
        return batch

    async def _claim_batch(self, batch: _QueuedClaims) -> None:
        error: Exception = StoreClosed()
        try:
            if batch:
                for claim in await guarded(self._store.claim(list(batch))):
                    for future in batch[claim.partition]:
                        succeed(future, claim)
        except Exception as failure:  # noqa: BLE001  the writer outlives every failure
            error = failure
            await self._claim_one_by_one(batch)
        finally:
            for future in (future for futures in batch.values() for future in futures):
                if not future.done():
                    fail(future, own_copy("claim", error))

    async def _claim_one_by_one(self, batch: _QueuedClaims) -> None:
        """Claim each partition alone, so that a damaged page fails only its own."""
        for partition in list(batch) if len(batch) > 1 else ():
            futures = batch.pop(partition)
            await self._claim_batch(_QueuedClaims({partition: futures}))

    def abandon(self) -> None:
        """Refuse new units and claims, and fail those that wait with ``StoreClosed``.

        ``run`` calls it when it ends. The host calls it too: a task that is cancelled
        before its first step never enters ``run``.
        """
        self._closed = True
        for queue in self._workers:
            while (queued := queue.units.take_next()) is not None:
                self._fail_batch([queued], StoreClosed())
            for futures in queue.claims.values():
                for future in futures:
                    fail(future, StoreClosed())
            queue.claims.clear()
