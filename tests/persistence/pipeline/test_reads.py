from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence
from contextvars import Context, ContextVar

import anyio
import pytest

from persistence import (
    HOST,
    Address,
    CorruptRecord,
    Key,
    Loaded,
    MemoryStore,
    PodsError,
    Reader,
    ReadPolicy,
    Record,
    Store,
    StoreClosed,
    StoreUnavailable,
)
from persistence.testing import save, state
from tests.persistence.doubles import FaultyStore, reading

__all__: list[str] = []


def worker(key: str, partition: str = "acme") -> Address:
    return Address(partition, "workers", key)


async def outcome(
    future: asyncio.Future[tuple[Record, ...]],
) -> tuple[Record, ...] | PodsError:
    try:
        return await future
    except PodsError as error:
        return error


async def test_a_load_gives_the_records_of_its_address() -> None:
    """G9: present, absent, and in another partition."""
    async with reading(MemoryStore(), "acme", "globex") as reader:
        await reader.ask(lambda store: store.apply([save("k")]), partition=HOST)
        present = await reader.load(worker("k"))
        absent = await reader.load(worker("l"))
        foreign = await reader.load(worker("k", "globex"))

    assert (present, absent, foreign) == ((state("k"),), (), ())


async def test_whoever_fetches_is_told_after_the_call_and_in_its_context() -> None:
    """B9: what is there, what cannot be read, and that nothing is read any more."""
    name: ContextVar[str] = ContextVar("test_name")
    heard: list[tuple[str, tuple[Record, ...] | PodsError]] = []

    def found(records: tuple[Record, ...] | PodsError) -> None:
        heard.append((name.get(), records))

    store = FaultyStore(chokes_on=lambda key: key == "bad")
    async with reading(store, "acme") as reader:
        await reader.ask(lambda store: store.apply([save("k")]), partition=HOST)
        for key in ("k", "bad"):
            context = Context()
            context.run(name.set, key)
            reader.fetch(worker(key), found, context)
        reader.close()
        context = Context()
        context.run(name.set, "late")
        reader.fetch(worker("late"), found, context)
        at_once = list(heard)

    told = dict(heard)
    assert at_once == []
    assert told["k"] == (state("k"),)
    assert isinstance(told["bad"], StoreUnavailable)
    assert isinstance(told["late"], StoreClosed)


async def test_loads_that_wait_together_share_a_statement() -> None:
    """G17: one statement for each manager of each partition, never for two."""
    store = FaultyStore()
    async with reading(store, "acme", "globex") as reader:
        futures = [
            reader.load(Address(partition, manager, key))
            for key in ("a", "b", "a")
            for partition in ("acme", "globex")
            for manager in ("workers", "pods")
        ]
        for future in futures:
            await future
        statistics = reader.statistics()

    assert sorted(store.loads) == [
        ("acme", "pods", ["a", "b"]),
        ("acme", "workers", ["a", "b"]),
        ("globex", "pods", ["a", "b"]),
        ("globex", "workers", ["a", "b"]),
    ]
    assert (statistics.loaded, statistics.batches, statistics.largest) == (12, 4, 2)
    assert (statistics.loading, statistics.asking) == (0, 0)
    assert repr(reader) == "<Reader loading=0 asking=0>"


async def test_a_flood_of_one_partition_delays_another_by_one_statement() -> None:
    """A6: statements go to the partitions in turn, keys in their order."""
    store = FaultyStore()
    policy = ReadPolicy(max_keys=2)
    async with reading(store, "hog", "light", policy=policy) as reader:
        flood = [reader.load(worker(f"k{n}", "hog")) for n in range(6)]
        await reader.load(worker("k", "light"))
        waiting = sum(not future.done() for future in flood)

    assert waiting == 4
    assert [(partition, keys) for partition, _, keys in store.loads] == [
        ("hog", ["k0", "k1"]),
        ("light", ["k"]),
        ("hog", ["k2", "k3"]),
        ("hog", ["k4", "k5"]),
    ]


async def test_a_load_after_a_load_reads_afresh() -> None:
    """A9: an answer that is on its way is not given to a later caller."""
    store = FaultyStore()
    store.gate.clear()
    async with reading(store, "acme") as reader:
        first = reader.load(worker("k"))
        await anyio.wait_all_tasks_blocked()
        second = reader.load(worker("k"))
        store.gate.set()
        await first
        await second

    assert len(store.loads) == 2


async def test_a_slow_listing_does_not_hold_up_a_thaw() -> None:
    """P1: thaws have a task to themselves."""
    slow = asyncio.Event()

    async def listing(_: Store) -> str:
        await slow.wait()
        return "listed"

    async with reading(MemoryStore(), "acme") as reader:
        listings = [reader.ask(listing, partition=HOST) for _ in range(5)]
        await anyio.wait_all_tasks_blocked()
        records = await reader.load(worker("k"))
        waiting = reader.statistics().asking
        slow.set()
        answers = [await one for one in listings]

    assert records == ()
    assert waiting == 3
    assert answers == ["listed"] * 5


async def test_questions_are_answered_fairly() -> None:
    """A6: listings of one partition do not hold up another one's."""
    order: list[str] = []

    def note(name: str) -> asyncio.Future[None]:
        async def call(_: Store) -> None:
            order.append(name)

        return reader.ask(call, partition=name)

    async with reading(MemoryStore(), policy=ReadPolicy(listings=1)) as reader:
        flood = [note("hog") for _ in range(3)]
        await note("light")
        await flood[-1]

    assert order == ["hog", "light", "hog", "hog"]


async def test_an_unusable_record_fails_its_own_load_only() -> None:
    """P2: the error reaches each who asked for it, as an object of his own."""

    class Damaged(MemoryStore):
        async def load(
            self, manager: str, keys: Sequence[Key], *, partition: str
        ) -> list[Loaded]:
            return [
                CorruptRecord(worker("bad"), "flipped") if key == "bad" else ()
                for key in keys
            ]

    async with reading(Damaged(), "acme") as reader:
        futures = [reader.load(worker(key)) for key in ("bad", "good", "bad")]
        outcomes = [await outcome(future) for future in futures]
        statistics = reader.statistics()

    assert [type(one) for one in outcomes] == [CorruptRecord, tuple, CorruptRecord]
    assert outcomes[0] is not outcomes[2]
    assert (statistics.unusable, statistics.loaded) == (2, 1)


async def test_a_failed_statement_fails_its_loads_and_service_resumes() -> None:
    """P1: no restart is needed."""
    store = FaultyStore(fail=[StoreUnavailable("load", "the disk is gone")])
    async with reading(store, "acme") as reader:
        futures = [reader.load(worker(key)) for key in ("a", "b")]
        failures = [await outcome(future) for future in futures]
        again = await reader.load(worker("a"))
        failed = reader.statistics().failed

    assert [type(error) for error in failures] == [StoreUnavailable] * 2
    assert again == ()
    assert failed == 2


async def test_a_row_that_breaks_the_driver_fails_alone() -> None:
    """P2: the other instances of the partition are thawed."""
    store = FaultyStore(chokes_on=lambda key: key == "poison")
    async with reading(store, "acme") as reader:
        futures = [reader.load(worker(key)) for key in ("a", "poison", "b")]
        outcomes = [await outcome(future) for future in futures]

    assert [type(one) for one in outcomes] == [tuple, StoreUnavailable, tuple]


async def test_a_driver_that_cancels_the_call_does_not_end_the_reader() -> None:
    """P1: a cancellation that nobody asked for is a failure like any other."""
    store = FaultyStore(fail=[asyncio.CancelledError(), asyncio.CancelledError()])
    async with reading(store, "acme", policy=ReadPolicy(listings=1)) as reader:
        loaded = await outcome(reader.load(worker("k")))
        counted = reader.ask(
            lambda one: one.count("workers", partition="acme"), partition=HOST
        )
        with pytest.raises(StoreUnavailable):
            await counted
        again = await reader.ask(
            lambda one: one.count("workers", partition="acme"), partition=HOST
        )

    assert isinstance(loaded, StoreUnavailable)
    assert again == 0


async def test_what_a_question_raises_reaches_the_one_who_asked() -> None:
    """B6: also an error that is none of the store's."""

    async def call(_: Store) -> None:
        raise LookupError

    async with reading(MemoryStore()) as reader:
        with pytest.raises(LookupError):
            await reader.ask(call, partition=HOST)
        failed = reader.statistics().failed

    assert failed == 1


async def test_who_has_left_is_not_read_for() -> None:
    """P7: a cancelled load or question costs no statement."""
    store = FaultyStore()
    asked: list[str] = []

    async def call(_: Store) -> None:
        asked.append("call")

    async with reading(store, "acme") as reader:
        reader.load(worker("a")).cancel()
        reader.ask(call, partition=HOST).cancel()
        kept = reader.load(worker("b"))
        await kept
        reader.load(worker("a")).cancel()

    assert store.loads == [("acme", "workers", ["b"])]
    assert asked == []


async def test_a_full_queue_refuses_its_own_partition_only() -> None:
    """P1: loads and questions are bounded, each in its partition."""

    def count(store: Store) -> asyncio.Future[int]:
        raise NotImplementedError

    policy = ReadPolicy(max_queued=2)
    store = FaultyStore()
    store.gate.clear()
    async with reading(store, "acme", "globex", policy=policy) as reader:
        loads = [reader.load(worker("k")) for _ in range(3)]
        foreign = reader.load(worker("k", "globex"))
        asks = [reader.ask(count, partition="acme") for _ in range(3)]
        host = [reader.ask(count, partition=HOST) for _ in range(3)]
        store.gate.set()

    errors = [loads[2].exception(), asks[2].exception(), host[2].exception()]
    assert [type(error) for error in errors] == [StoreUnavailable] * 3
    assert "acme" in str(errors[1])
    assert "the host" in str(errors[2])
    assert foreign.result() == loads[0].result() == ()


async def test_closing_answers_what_waits_and_accepts_nothing_more() -> None:
    """A9: orderly shutdown leaves nobody without an answer."""
    async with reading(FaultyStore(), "acme", policy=ReadPolicy(max_keys=1)) as reader:
        futures = [reader.load(worker(f"k{n}")) for n in range(3)]
        counted = reader.ask(
            lambda store: store.count("workers", partition="acme"), partition=HOST
        )
        reader.close()
        late = reader.load(worker("late"))
        question = reader.ask(
            lambda store: store.count("workers", partition="acme"), partition=HOST
        )

    assert [future.result() for future in futures] == [(), (), ()]
    assert counted.result() == 0
    assert isinstance(late.exception(), StoreClosed)
    assert isinstance(question.exception(), StoreClosed)


@pytest.mark.parametrize("chokes", [False, True])
async def test_a_cancelled_reader_leaves_nobody_waiting(*, chokes: bool) -> None:
    """A9: whatever was on its way or queued is answered."""
    store = FaultyStore(chokes_on=lambda _: chokes)
    await store.open()
    reader = Reader(store, policy=ReadPolicy(max_keys=2, listings=1))
    loads = [reader.load(worker(f"k{n}")) for n in range(5)]
    async with asyncio.TaskGroup() as group:
        task = group.create_task(reader.run())
        if chokes:
            await store.entered.wait()
        store.gate.clear()
        questions = [
            reader.ask(
                lambda one: one.count("workers", partition="acme"), partition=HOST
            )
            for _ in range(2)
        ]
        await anyio.wait_all_tasks_blocked()
        task.cancel()

    errors = [future.exception() for future in loads]
    assert {type(error) for error in errors} <= {StoreClosed, StoreUnavailable}
    assert type(errors[-1]) is StoreClosed
    assert [type(one.exception()) for one in questions] == [StoreClosed] * 2


async def test_an_error_that_nobody_awaits_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """P7: a caller that left has no use for a line in the log."""
    store = FaultyStore(fail=[StoreUnavailable("load", "gone")])
    async with reading(store, "acme") as reader:
        future = reader.load(worker("k"))
        await anyio.wait_all_tasks_blocked()
        assert future.done()
        del future
    gc.collect()

    assert caplog.records == []


@pytest.mark.parametrize("setting", ["max_keys", "max_queued", "listings"])
def test_a_bound_below_one_is_refused(setting: str) -> None:
    """A7: a policy that would stop the reader cannot be made."""
    with pytest.raises(ValueError, match=setting):
        ReadPolicy(**{setting: 0})
