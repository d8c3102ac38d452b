"""The tasks that write: group commit, fair between partitions, one per shard at a time.

While a transaction is on its way, what arrives waits in a lane per partition. The next
transaction takes one unit of each partition in turn, so that a hundred savers share one
sync of the disk and a flood of one partition delays another by one unit. Partitions
that the store keeps in different shards share no transaction and wait for none.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING

import attrs

from ..errors import StateTooLarge, StoreClosed, StoreError, StoreUnavailable
from ..store import Claim, Save, Unit
from .fair_queue import RoundRobinQueue
from .outcomes import Waiter, attempt, fail, own_copy, settling, succeed, tell_all
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
    """Bounds of the writer.

    Attributes:
        max_units: units in one transaction; claims of partitions likewise.
        max_batch_bytes: bytes of state after which a transaction takes no more units;
            the last unit may exceed it.
        max_queued: units that may wait in one partition; claims that may wait in all.
        max_body_bytes: bytes of one record.
        max_shards: shards of the store that are written to at the same time.
    """

    max_units: int = attrs.field(default=512, validator=_AT_LEAST_ONE)
    max_batch_bytes: int = attrs.field(default=16 * 1024**2, validator=_AT_LEAST_ONE)
    max_queued: int = attrs.field(default=10_000, validator=_AT_LEAST_ONE)
    max_body_bytes: int = attrs.field(default=8 * 1024**2, validator=_AT_LEAST_ONE)
    max_shards: int = attrs.field(default=16, validator=_AT_LEAST_ONE)


@attrs.frozen(kw_only=True)
class CommitStatistics:
    """What the writer holds and has done since it was made.

    Attributes:
        queued: units that wait for a transaction now.
        transactions: transactions that were committed.
        committed: units that are durable.
        refused: units that were turned away alone (stale, too large, queue full).
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
    """A unit, and who is told what became of it."""

    unit: Unit = attrs.field(kw_only=True)
    size: int = 0


_Waiting = dict[str, list[asyncio.Future[Claim]]]
"""Claims that wait, by partition."""


@attrs.define(eq=False)
class _Shard:
    """What waits for one shard of the store."""

    units: RoundRobinQueue[_QueuedUnit] = attrs.field(
        factory=RoundRobinQueue[_QueuedUnit], init=False
    )
    claims: _Waiting = attrs.field(factory=_Waiting, init=False)

    def __len__(self) -> int:
        return len(self.units) + len(self.claims)


@attrs.define(eq=False, repr=False)
class Writer:
    """Accepts units from anywhere in the loop and saves them from tasks of its own.

    The host runs ``run`` in a task, which owns the others, and ends it with ``close``.
    If that task is cancelled instead, whatever was on its way fails with
    ``StoreClosed`` and its outcome is unknown; the revision of the row tells it.
    """

    _store: Store
    _policy: CommitPolicy = attrs.field(
        factory=CommitPolicy, kw_only=True, alias="policy"
    )
    _streams: ShardWorkers[_Shard] = attrs.field(init=False)
    _claiming: int = attrs.field(default=0, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    _transactions: int = attrs.field(default=0, init=False)
    _committed: int = attrs.field(default=0, init=False)
    _refused: int = attrs.field(default=0, init=False)
    _failed: int = attrs.field(default=0, init=False)
    _largest: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._streams = ShardWorkers(_Shard, self._serve, tasks=self._policy.max_shards)

    def __repr__(self) -> str:
        return f"<Writer queued={self._queued()} committed={self._committed}>"

    def submit(self, unit: Unit) -> asyncio.Future[None]:
        """Queue a unit; the future resolves when it is durable.

        Units of one partition are saved in the order of their submission. Cancelling
        the future takes the unit back if its transaction has not begun. The future
        fails with ``StaleRevision``, ``StaleOwner``, ``StateTooLarge`` (this unit was
        refused), ``StoreUnavailable`` (nothing of it was saved) or ``StoreClosed``.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        context = contextvars.Context()
        job = _QueuedUnit(settling(future), context, future.done, unit=unit)
        if (error := self._enter(job)) is not None:
            fail(future, error)
        return future

    def commit(
        self,
        unit: Unit,
        ended: Callable[[PodsError | None], None],
        context: contextvars.Context,
    ) -> None:
        """Queue a unit likewise, and have a function called with what became of it.

        It is not called before this returns.

        Args:
            unit: what is to be saved.
            ended: gets ``None``, or the error that the future would have failed with.
            context: what it is called in; nothing else may run there meanwhile.
        """
        job = _QueuedUnit(ended, context, unit=unit)
        if (error := self._enter(job)) is not None:
            job.tell_later(error)

    def _enter(self, job: _QueuedUnit) -> StoreError | None:
        """Queue a unit, or say why it is refused."""
        unit = job.unit
        partition = unit.partition
        limit = self._policy.max_body_bytes
        for operation in unit.operations:
            if type(operation) is Save:
                length = len(operation.record.body)
                if length > limit:
                    address = operation.record.address
                    return self._refusal(StateTooLarge(address, length, limit))
                job.size += length
        if self._closed:
            return self._refusal(StoreClosed())
        stream = self._streams.of(self._store.shard(partition))
        units = stream.queue.units
        if units.depth(partition) >= self._policy.max_queued:
            return self._refusal(_full("save", f"partition {partition!r}"))
        units.put(partition, job)
        self._streams.wake(stream)
        return None

    def _refusal(self, error: StoreError) -> StoreError:
        self._refused += 1
        return error

    def claim(self, partition: str) -> asyncio.Future[Claim]:
        """Queue a claim; the future resolves when the host owns the partition.

        Claims of one partition that wait at the same time share one answer.
        """
        future: asyncio.Future[Claim] = asyncio.get_running_loop().create_future()
        if self._closed:
            fail(future, StoreClosed())
        elif self._claiming >= self._policy.max_queued:
            fail(future, _full("claim", "the host"))
        else:
            stream = self._streams.of(self._store.shard(partition))
            stream.queue.claims.setdefault(partition, []).append(future)
            self._claiming += 1
            self._streams.wake(stream)
        return future

    def close(self) -> None:
        """Accept nothing more; ``run`` returns when the queue is empty."""
        self._closed = True
        self._streams.close()

    def statistics(self) -> CommitStatistics:
        return CommitStatistics(
            queued=self._queued(),
            transactions=self._transactions,
            committed=self._committed,
            refused=self._refused,
            failed=self._failed,
            largest=self._largest,
        )

    async def run(self) -> None:
        """Save what is submitted until ``close`` was called and the queue is empty."""
        try:
            await self._streams.run()
        finally:
            self.abandon()

    async def _serve(self, shard: _Shard) -> None:
        if shard.claims:
            await self._claim(self._take_claims(shard))
        if batch := self._take(shard):
            await self._commit(batch)

    def _queued(self) -> int:
        return sum(len(shard.units) for shard in self._streams)

    def _take(self, shard: _Shard) -> list[_QueuedUnit]:
        batch: list[_QueuedUnit] = []
        room = self._policy.max_batch_bytes
        while len(batch) < self._policy.max_units and room > 0:
            job = shard.units.take()
            if job is None:
                break
            if not job.left():
                batch.append(job)
                room -= job.size
        return batch

    async def _commit(self, batch: list[_QueuedUnit]) -> None:
        try:
            answers = await attempt(self._store.apply([job.unit for job in batch]))
        except StoreError as error:
            self._fail(batch, error)
        except Exception as error:  # noqa: BLE001  the writer outlives every failure
            await self._commit_apart(batch, error)
        except BaseException:
            self._fail(batch, StoreClosed())
            raise
        else:
            self._settle(batch, answers)

    async def _commit_apart(self, batch: list[_QueuedUnit], error: Exception) -> None:
        """Save one by one, as one unit of the batch has tickled a fault in the store.

        Without this, a unit that the driver cannot digest would fail the units of
        other partitions that happen to share its transaction.
        """
        if len(batch) == 1:
            self._fail(batch, error)
            return
        try:
            while batch:
                await self._commit([batch[0]])
                batch = batch[1:]
        except BaseException:
            self._fail(batch, StoreClosed())
            raise

    def _settle(
        self, batch: list[_QueuedUnit], answers: list[StoreError | None]
    ) -> None:
        refused = len(answers) - answers.count(None)
        self._transactions += 1
        self._refused += refused
        self._committed += len(batch) - refused
        self._largest = max(self._largest, len(batch))
        tell_all(zip(batch, answers, strict=True))

    def _fail(self, batch: list[_QueuedUnit], error: Exception) -> None:
        self._failed += len(batch)
        tell_all((job, own_copy("save", error)) for job in batch if not job.left())

    def _take_claims(self, shard: _Shard) -> _Waiting:
        batch = _Waiting()
        for partition in list(shard.claims)[: self._policy.max_units]:
            waiting = shard.claims.pop(partition)
            self._claiming -= len(waiting)
            if not all(future.done() for future in waiting):
                batch[partition] = waiting
        return batch

    async def _claim(self, batch: _Waiting) -> None:
        error: Exception = StoreClosed()
        try:
            if batch:
                for claim in await attempt(self._store.claim(list(batch))):
                    for future in batch[claim.partition]:
                        succeed(future, claim)
        except Exception as failure:  # noqa: BLE001  the writer outlives every failure
            error = failure
            await self._claim_apart(batch)
        finally:
            for future in (future for waiting in batch.values() for future in waiting):
                if not future.done():
                    fail(future, own_copy("claim", error))

    async def _claim_apart(self, batch: _Waiting) -> None:
        """Claim one by one; what a damaged page keeps from that costs itself only."""
        for partition in list(batch) if len(batch) > 1 else ():
            waiting = batch.pop(partition)
            await self._claim(_Waiting({partition: waiting}))

    def abandon(self) -> None:
        """Accept nothing more, and fail what waits with ``StoreClosed``.

        ``run`` does it when it ends; whoever owns its task does it for one that was
        cancelled before it began.
        """
        self._closed = True
        for shard in self._streams:
            while (job := shard.units.take()) is not None:
                self._fail([job], StoreClosed())
            for waiting in shard.claims.values():
                for future in waiting:
                    fail(future, StoreClosed())
            shard.claims.clear()


def _full(operation: str, where: str) -> StoreUnavailable:
    return StoreUnavailable(operation, f"too many of them wait in {where} already")
