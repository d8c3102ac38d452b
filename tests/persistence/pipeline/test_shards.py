"""Work on two shards goes on side by side; work on one shard in its order."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Hashable, Sequence

import anyio
import attrs

from persistence import (
    HOST,
    Address,
    Claim,
    CommitPolicy,
    Key,
    Loaded,
    MemoryStore,
    ReadPolicy,
    Store,
    StoreClosed,
    StoreError,
    Unit,
    Writer,
)
from persistence.pipeline.shards import ShardWorkers
from persistence.testing import save
from tests.persistence.doubles import reading, writing

__all__: list[str] = []

WHO = contextvars.ContextVar("WHO", default="nobody")


@attrs.define(eq=False, repr=False)
class ShardedStore(MemoryStore):
    """Has a shard per partition, and holds up calls to some of them.

    Attributes:
        held: partitions whose calls wait until they are taken out, and ``moved`` is
            called.
        under_way: partitions of the calls that were begun and have not ended.
        seen: likewise of those that ever were begun, in their order.
        whose: what stood in the caller's context variable, call by call.
    """

    held: set[str] = attrs.field(factory=set[str])
    under_way: list[str] = attrs.field(factory=list[str])
    seen: list[str] = attrs.field(factory=list[str])
    whose: list[str] = attrs.field(factory=list[str])
    _moved: asyncio.Condition = attrs.field(factory=asyncio.Condition)

    def shard(self, partition: str) -> Hashable:
        return partition

    async def release(self, partition: str) -> None:
        self.held.discard(partition)
        async with self._moved:
            self._moved.notify_all()

    async def claim(self, partitions: Sequence[str]) -> list[Claim]:
        await self._pass(set(partitions))
        return await super().claim(partitions)

    async def apply(self, units: Sequence[Unit]) -> list[StoreError | None]:
        await self._pass({unit.partition for unit in units})
        return await super().apply(units)

    async def load(
        self, manager: str, keys: Sequence[Key], *, partition: str
    ) -> list[Loaded]:
        await self._pass({partition})
        return await super().load(manager, keys, partition=partition)

    async def count(self, manager: str, *, partition: str) -> int:
        await self._pass({partition})
        return await super().count(manager, partition=partition)

    async def _pass(self, partitions: set[str]) -> None:
        (partition,) = partitions  # no call spans two shards
        self.seen.append(partition)
        self.whose.append(WHO.get())
        self.under_way.append(partition)
        try:
            async with self._moved:
                await self._moved.wait_for(lambda: partition not in self.held)
        finally:
            self.under_way.remove(partition)


async def test_a_held_transaction_of_one_shard_does_not_delay_another() -> None:
    """A3: a hundred commits of B go through while A's is stuck, and so do claims."""
    store = ShardedStore(held={"acme"})
    async with writing(store, "acme", "globex") as writer:
        stuck = writer.submit(save("k"))
        for n in range(100):
            await writer.submit(save(f"k{n}", partition="globex"))
        claim = await writer.claim("initech")
        waits = not stuck.done()
        await store.release("acme")
        await stuck

    assert waits
    assert claim.epoch == 1


async def test_a_held_claim_of_one_shard_does_not_delay_another() -> None:
    """A3: a partition that cannot be opened keeps no other from being claimed."""
    store = ShardedStore(held={"acme"})
    async with writing(store) as writer:
        stuck = writer.claim("acme")
        await writer.claim("globex")
        waits = not stuck.done()
        await store.release("acme")
        await stuck

    assert waits


async def test_held_thaws_of_one_shard_do_not_delay_another() -> None:
    """A3: thaws of B are answered while many of A's are stuck."""
    store = ShardedStore(held={"acme"})
    async with reading(store, "acme", "globex") as reader:
        stuck = [reader.load(Address("acme", f"m{n}", "k")) for n in range(9)]
        await reader.load(Address("globex", "workers", "k"))
        waiting = sum(not future.done() for future in stuck)
        await store.release("acme")
        for future in stuck:
            await future

    assert waiting == 9


async def test_held_listings_of_one_shard_do_not_delay_another() -> None:
    """A3: and neither are the questions of the host itself."""
    store = ShardedStore(held={"acme"})
    async with reading(store, "acme", "globex") as reader:
        stuck = [reader.ask(_count("acme"), partition="acme") for _ in range(9)]
        await reader.ask(_count("globex"), partition="globex")
        await reader.ask(
            lambda one: one.partitions(after=None, limit=1), partition=HOST
        )
        waiting = sum(not future.done() for future in stuck)
        await store.release("acme")
        for future in stuck:
            await future

    assert waiting == 9


def _count(partition: str) -> Callable[[Store], Awaitable[int]]:
    return lambda store: store.count("workers", partition=partition)


async def test_a_shard_has_one_transaction_at_a_time() -> None:
    """A9: units of a partition are saved in the order of their submission."""
    store = ShardedStore(held={"acme"})
    async with writing(store, "acme") as writer:
        futures = [writer.submit(save("k"))]
        await anyio.wait_all_tasks_blocked()
        futures += [writer.submit(save("k", rev)) for rev in range(2, 9)]
        await anyio.wait_all_tasks_blocked()
        under_way = list(store.under_way)
        await store.release("acme")
        for future in futures:
            await future

    assert under_way == ["acme"]


async def test_a_shard_has_so_many_listings_at_a_time() -> None:
    """P1: the bound of the policy holds for each shard."""
    store = ShardedStore(held={"acme", "globex"})
    async with reading(store, "acme", "globex", policy=ReadPolicy(listings=2)) as one:
        futures = [
            one.ask(_count(name), partition=name)
            for name in ("acme", "globex")
            for _ in range(5)
        ]
        await anyio.wait_all_tasks_blocked()
        under_way = sorted(store.under_way)
        for name in ("acme", "globex"):
            await store.release(name)
        for future in futures:
            await future

    assert under_way == ["acme", "acme", "globex", "globex"]


async def test_transactions_that_run_at_once_are_bounded() -> None:
    """P1: no more shards are written to than the policy says; the rest wait."""
    names = ["a", "b", "c", "d"]
    store = ShardedStore(held={*names})
    async with writing(store, *names, policy=CommitPolicy(max_shards=2)) as writer:
        futures = [writer.submit(save("k", partition=name)) for name in names]
        await anyio.wait_all_tasks_blocked()
        at_first = list(store.under_way)
        await store.release("a")
        await anyio.wait_all_tasks_blocked()
        then = list(store.under_way)
        for name in names:
            await store.release(name)
        for future in futures:
            await future

    assert at_first == ["a", "b"]
    assert then == ["b", "c"]


async def test_shards_take_turns() -> None:
    """A6: a flood in one shard delays another by one transaction."""
    store = ShardedStore()
    policy = CommitPolicy(max_shards=1, max_units=1)
    async with writing(store, "hog", "light", policy=policy) as writer:
        flood = [writer.submit(save(f"k{n}", partition="hog")) for n in range(5)]
        await writer.submit(save("k", partition="light"))
        waiting = sum(not future.done() for future in flood)

    assert store.seen[:3] == ["hog", "light", "hog"]
    assert waiting == 4


async def test_a_shard_without_work_is_forgotten() -> None:
    """P6: what a thousand partitions leave behind in memory is bounded."""

    async def serve(queue: list[asyncio.Event]) -> None:
        queue.pop().set()

    workers: ShardWorkers[list[asyncio.Event]] = ShardWorkers(list, serve, tasks=3)
    async with asyncio.TaskGroup() as group:
        group.create_task(workers.serve_all())
        for n in range(1_000):
            done = asyncio.Event()
            shard = workers.shard_of(f"p{n}")
            shard.queue.append(done)
            workers.schedule(shard)
            await done.wait()
        workers.finish()

    assert (len(workers), len(list(workers))) == (0, 1)
    assert repr(workers) == "<ShardWorkers shards=1 tasks=1>"


async def test_tasks_do_not_keep_the_context_of_who_needed_them_first() -> None:
    """G13: nothing of one tenant's call is seen in the work for another."""
    store = ShardedStore(held={"acme"})
    async with writing(store, "acme", "globex") as writer:
        stuck = writer.submit(save("k"))
        await anyio.wait_all_tasks_blocked()
        WHO.set("globex")
        await writer.submit(save("k", partition="globex"))
        await store.release("acme")
        await stuck

    assert store.whose == ["nobody", "nobody"]


async def test_closing_saves_what_every_shard_has_queued() -> None:
    """A9: orderly shutdown loses nothing, however many shards there are."""
    names = [f"p{n}" for n in range(9)]
    store = ShardedStore(held={*names})
    policy = CommitPolicy(max_shards=4, max_units=1)
    async with writing(store, *names, policy=policy) as writer:
        futures = [
            writer.submit(save(f"k{n}", partition=name))
            for name in names
            for n in range(3)
        ]
        await anyio.wait_all_tasks_blocked()
        writer.close()
        for name in names:
            await store.release(name)

    assert [future.exception() for future in futures] == [None] * 27


async def test_a_cancelled_writer_answers_for_every_shard() -> None:
    """A9: nobody waits for a transaction that no task works on."""
    names = ["a", "b", "c"]
    store = ShardedStore(held={*names})
    await store.open()
    await MemoryStore.claim(store, names)
    writer = Writer(store, policy=CommitPolicy(max_shards=2))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(writer.run())
        futures = [writer.submit(save("k", partition=name)) for name in names]
        claim = writer.claim("d")
        await anyio.wait_all_tasks_blocked()
        task.cancel()

    assert [type(future.exception()) for future in futures] == [StoreClosed] * 3
    assert isinstance(claim.exception(), StoreClosed)
    assert isinstance(writer.submit(save("late")).exception(), StoreClosed)


async def test_what_was_submitted_before_the_writer_runs_is_saved_side_by_side() -> (
    None
):
    """A3: also the first transactions of a host do not wait for each other."""
    store = ShardedStore(held={"acme"})
    await store.open()
    await MemoryStore.claim(store, ["acme", "globex"])
    writer = Writer(store)
    stuck = writer.submit(save("k"))
    free = writer.submit(save("k", partition="globex"))
    async with asyncio.TaskGroup() as group:
        group.create_task(writer.run())
        await free
        waits = not stuck.done()
        await store.release("acme")
        writer.close()

    assert waits
    assert stuck.exception() is None
