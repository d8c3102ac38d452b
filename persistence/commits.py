"""The one task that writes: group commit, fair between partitions.

While a transaction is on its way, what arrives waits in a lane per partition. The next
transaction takes one unit of each partition in turn, so that a hundred savers share one
sync of the disk and a flood of one partition delays another by one unit.
"""

from __future__ import annotations

import asyncio

import attrs

from .errors import StateTooLarge, StoreClosed, StoreError, StoreUnavailable
from .lanes import Lanes
from .outcomes import attempt, fail, succeed, twin
from .records import Claim, Save, Unit
from .store import Store

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
    """

    max_units: int = attrs.field(default=512, validator=_AT_LEAST_ONE)
    max_batch_bytes: int = attrs.field(default=16 * 1024**2, validator=_AT_LEAST_ONE)
    max_queued: int = attrs.field(default=10_000, validator=_AT_LEAST_ONE)
    max_body_bytes: int = attrs.field(default=8 * 1024**2, validator=_AT_LEAST_ONE)


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
class _Job:
    unit: Unit
    size: int
    future: asyncio.Future[None]


@attrs.define(eq=False, repr=False)
class Writer:
    """Accepts units from anywhere in the loop and saves them from one task.

    The host runs ``run`` in a task of its own and ends it with ``close``. If that task
    is cancelled instead, whatever was on its way fails with ``StoreClosed`` and its
    outcome is unknown; the revision of the row tells it.
    """

    _store: Store
    _policy: CommitPolicy = attrs.field(
        factory=CommitPolicy, kw_only=True, alias="policy"
    )
    _queue: Lanes[_Job] = attrs.field(factory=Lanes[_Job], init=False)
    _claims: dict[str, list[asyncio.Future[Claim]]] = attrs.field(
        factory=dict[str, list[asyncio.Future[Claim]]], init=False
    )
    _claiming: int = attrs.field(default=0, init=False)
    _wake: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    _transactions: int = attrs.field(default=0, init=False)
    _committed: int = attrs.field(default=0, init=False)
    _refused: int = attrs.field(default=0, init=False)
    _failed: int = attrs.field(default=0, init=False)
    _largest: int = attrs.field(default=0, init=False)

    def __repr__(self) -> str:
        return f"<Writer queued={len(self._queue)} committed={self._committed}>"

    def submit(self, unit: Unit) -> asyncio.Future[None]:
        """Queue a unit; the future resolves when it is durable.

        Units of one partition are saved in the order of their submission. Cancelling
        the future takes the unit back if its transaction has not begun. The future
        fails with ``StaleRevision``, ``StaleOwner``, ``StateTooLarge`` (this unit was
        refused), ``StoreUnavailable`` (nothing of it was saved) or ``StoreClosed``.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        partition = unit.partition
        size = 0
        limit = self._policy.max_body_bytes
        for operation in unit.operations:
            if type(operation) is Save:
                length = len(operation.record.body)
                if length > limit:
                    address = operation.record.address
                    return self._refuse(future, StateTooLarge(address, length, limit))
                size += length
        if self._closed:
            return self._refuse(future, StoreClosed())
        if self._queue.depth(partition) >= self._policy.max_queued:
            return self._refuse(future, _full("save", f"partition {partition!r}"))
        self._queue.put(partition, _Job(unit, size, future))
        self._wake.set()
        return future

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
            self._claims.setdefault(partition, []).append(future)
            self._claiming += 1
            self._wake.set()
        return future

    def close(self) -> None:
        """Accept nothing more; ``run`` returns when the queue is empty."""
        self._closed = True
        self._wake.set()

    def statistics(self) -> CommitStatistics:
        return CommitStatistics(
            queued=len(self._queue),
            transactions=self._transactions,
            committed=self._committed,
            refused=self._refused,
            failed=self._failed,
            largest=self._largest,
        )

    async def run(self) -> None:
        """Save what is submitted until ``close`` was called and the queue is empty."""
        try:
            while True:
                if self._claims:
                    await self._claim(self._take_claims())
                if batch := self._take():
                    await self._commit(batch)
                elif self._claims:
                    continue
                elif self._closed:
                    return
                else:
                    self._wake.clear()
                    await self._wake.wait()
        finally:
            self._abandon()

    def _refuse(
        self, future: asyncio.Future[None], error: StoreError
    ) -> asyncio.Future[None]:
        self._refused += 1
        fail(future, error)
        return future

    def _take(self) -> list[_Job]:
        batch: list[_Job] = []
        room = self._policy.max_batch_bytes
        while len(batch) < self._policy.max_units and room > 0:
            job = self._queue.take()
            if job is None:
                break
            if not job.future.done():
                batch.append(job)
                room -= job.size
        return batch

    async def _commit(self, batch: list[_Job]) -> None:
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

    async def _commit_apart(self, batch: list[_Job], error: Exception) -> None:
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

    def _settle(self, batch: list[_Job], answers: list[StoreError | None]) -> None:
        refused = 0
        for job, answer in zip(batch, answers, strict=True):
            if answer is None:
                succeed(job.future, None)
            else:
                refused += 1
                fail(job.future, answer)
        self._transactions += 1
        self._refused += refused
        self._committed += len(batch) - refused
        self._largest = max(self._largest, len(batch))

    def _fail(self, batch: list[_Job], error: Exception) -> None:
        for job in batch:
            if not job.future.done():
                fail(job.future, twin("save", error))
        self._failed += len(batch)

    def _take_claims(self) -> dict[str, list[asyncio.Future[Claim]]]:
        batch: dict[str, list[asyncio.Future[Claim]]] = {}
        for partition in list(self._claims)[: self._policy.max_units]:
            waiting = self._claims.pop(partition)
            self._claiming -= len(waiting)
            if not all(future.done() for future in waiting):
                batch[partition] = waiting
        return batch

    async def _claim(self, batch: dict[str, list[asyncio.Future[Claim]]]) -> None:
        error: Exception = StoreClosed()
        try:
            if batch:
                for claim in await attempt(self._store.claim(list(batch))):
                    for future in batch[claim.partition]:
                        succeed(future, claim)
        except Exception as failure:  # noqa: BLE001  the writer outlives every failure
            error = failure
        finally:
            for future in (future for waiting in batch.values() for future in waiting):
                if not future.done():
                    fail(future, twin("claim", error))

    def _abandon(self) -> None:
        self._closed = True
        while (job := self._queue.take()) is not None:
            self._fail([job], StoreClosed())
        for waiting in self._claims.values():
            for future in waiting:
                fail(future, StoreClosed())
        self._claims.clear()


def _full(operation: str, where: str) -> StoreUnavailable:
    return StoreUnavailable(operation, f"too many of them wait in {where} already")
