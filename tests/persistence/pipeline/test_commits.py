from __future__ import annotations

import asyncio
import gc
from contextvars import Context, ContextVar

import anyio
import pytest

from persistence import (
    Address,
    CommitPolicy,
    Delete,
    MemoryStore,
    PodsError,
    Save,
    StaleRevision,
    StateTooLarge,
    StoreClosed,
    StoreError,
    StoreUnavailable,
    Unit,
    Writer,
    open_store,
)
from persistence.pipeline.outcomes import Waiter, report_all
from persistence.testing import save, state, unit
from tests.persistence.doubles import FaultyStore, writing

__all__: list[str] = []


async def outcome(future: asyncio.Future[None]) -> StoreError | None:
    """Wait for a future; give what it failed with."""
    try:
        await future
    except StoreError as error:
        return error
    return None


def key_of(one: Unit) -> object:
    (operation,) = one.operations
    assert isinstance(operation, Save)
    return operation.record.address.key


async def test_a_submitted_unit_is_durable_when_its_future_resolves() -> None:
    """A9: what was acknowledged is in the store."""
    store = MemoryStore()
    async with writing(store, "acme") as writer:
        await writer.submit(save("k"))
        found = await store.load("workers", ["k"], partition="acme")

    assert found == [(state("k"),)]


STAMP: ContextVar[str] = ContextVar("test_stamp")


def stamped(name: str) -> Context:
    """Make a context that carries a name."""
    context = Context()
    context.run(STAMP.set, name)
    return context


async def test_whoever_commits_is_told_in_its_own_context() -> None:
    """B9: a batch is told in one step, and no tenant's variables reach another."""
    store = FaultyStore()
    heard: list[tuple[str, type[PodsError] | None]] = []

    def ended(error: PodsError | None) -> None:
        heard.append((STAMP.get(), None if error is None else type(error)))

    async with writing(store, "acme", "globex") as writer:
        writer.commit(save("k"), ended, stamped("acme"))
        writer.commit(save("k", 7, partition="globex"), ended, stamped("globex"))

    assert heard == [("acme", None), ("globex", StaleRevision)]
    assert len(store.batches) == 1


async def test_a_commit_that_is_refused_is_told_so_after_the_call() -> None:
    """P1: whoever commits is not called back while it is still at it."""
    heard: list[tuple[str, PodsError | None]] = []
    async with writing(MemoryStore(), "acme") as writer:
        writer.close()
        writer.commit(
            save("k"),
            lambda error: heard.append((STAMP.get(), error)),
            stamped("acme"),
        )
        before = list(heard)
        await asyncio.sleep(0)

    assert before == []
    [(name, error)] = heard
    assert (name, type(error)) == ("acme", StoreClosed)


async def test_whoever_fails_at_hearing_harms_no_other() -> None:
    """P1: the rest of its batch is told, the writer goes on, and the loop knows."""
    seen: list[object] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, what: seen.append(what["exception"])
    )
    failure = RuntimeError("deaf")

    def deaf(_: PodsError | None) -> None:
        raise failure

    async with writing(MemoryStore(), "acme") as writer:
        writer.commit(save("a"), deaf, Context())
        neighbour = await outcome(writer.submit(save("b")))
        later = await outcome(writer.submit(save("c")))

    assert (neighbour, later) == (None, None)
    assert seen == [failure]


async def test_units_that_wait_together_share_a_transaction() -> None:
    """B14: a hundred savers cost one sync of the disk."""
    store = FaultyStore()
    async with writing(store, "acme") as writer:
        futures = [writer.submit(save(f"k{n}")) for n in range(100)]
        for future in futures:
            await future
        statistics = writer.statistics()

    assert len(store.batches) == 1
    assert (statistics.committed, statistics.transactions) == (100, 1)
    assert (statistics.queued, statistics.largest) == (0, 100)
    assert repr(writer) == "<Writer queued=0 committed=100>"


async def test_a_flood_of_one_partition_delays_another_by_one_unit() -> None:
    """A6: each transaction takes from the partitions in turn."""
    store = FaultyStore()
    policy = CommitPolicy(max_units=4)
    async with writing(store, "hog", "light", policy=policy) as writer:
        flood = [writer.submit(save(f"k{n}", partition="hog")) for n in range(50)]
        await writer.submit(save("k", partition="light"))
        waiting = sum(not future.done() for future in flood)

    assert [one.partition for one in store.batches[0]] == ["hog", "light", "hog", "hog"]
    assert waiting == 47
    assert sum(map(len, store.batches)) == 51
    assert max(map(len, store.batches)) == 4


async def test_units_of_a_partition_keep_their_order() -> None:
    """A9: revisions of a row are saved in the order of their submission."""
    policy = CommitPolicy(max_units=3)
    store = FaultyStore()
    async with writing(store, "acme", "globex", policy=policy) as writer:
        futures = [writer.submit(save("k", rev)) for rev in range(1, 20)]
        futures.append(writer.submit(save("k", partition="globex")))
        outcomes = [await outcome(future) for future in futures]

    assert outcomes == [None] * 20


async def test_a_transaction_is_bounded_in_bytes() -> None:
    """A3: large states of one partition do not hold the writer for long."""
    store = FaultyStore()
    policy = CommitPolicy(max_batch_bytes=1000)
    async with writing(store, "acme", policy=policy) as writer:
        futures = [writer.submit(save(f"k{n}", body=b"x" * 400)) for n in range(10)]

    assert all(future.done() for future in futures)
    assert [len(batch) for batch in store.batches] == [3, 3, 3, 1]


async def test_a_stale_unit_fails_alone() -> None:
    """P1: its neighbours in the transaction are saved."""
    async with writing(MemoryStore(), "acme") as writer:
        futures = [writer.submit(save(key, rev)) for key, rev in (("a", 1), ("b", 2))]
        outcomes = [await outcome(future) for future in futures]
        statistics = writer.statistics()

    assert outcomes[0] is None
    assert isinstance(outcomes[1], StaleRevision)
    assert (statistics.committed, statistics.refused) == (1, 1)


async def test_a_record_that_is_too_large_is_refused_before_it_is_queued() -> None:
    """P1: no I/O is done for it, and others are saved."""
    store = FaultyStore()
    async with writing(store, "acme", policy=CommitPolicy(max_body_bytes=10)) as writer:
        large = writer.submit(
            unit(
                Delete(Address("acme", "workers", "x")),
                Save(state("large", body=b"x" * 11)),
            )
        )
        fits = writer.submit(save("fits", body=b"x" * 10))
        error = await outcome(large)
        assert await outcome(fits) is None

    assert isinstance(error, StateTooLarge)
    assert (error.address.key, error.size, error.limit) == ("large", 11, 10)
    assert "11 bytes" in str(error)
    assert [list(map(key_of, batch)) for batch in store.batches] == [["fits"]]


async def test_a_full_queue_refuses_its_own_partition_only() -> None:
    """P1: the bound is per partition."""
    store = FaultyStore()
    policy = CommitPolicy(max_queued=3)
    async with writing(store, "acme", "globex", policy=policy) as writer:
        futures = [writer.submit(save(f"k{n}")) for n in range(4)]
        foreign = writer.submit(save("k", partition="globex"))
        outcomes = [await outcome(future) for future in (*futures, foreign)]

    refused = [isinstance(error, StoreUnavailable) for error in outcomes]
    assert refused == [False, False, False, True, False]
    assert "partition 'acme'" in str(outcomes[3])


async def test_a_cancelled_unit_is_skipped() -> None:
    """A9: a caller that leaves before the transaction takes its unit back."""
    store = FaultyStore()
    async with writing(store, "acme") as writer:
        futures = [writer.submit(save(f"k{n}")) for n in range(3)]
        futures[1].cancel()
        await futures[2]

    assert [list(map(key_of, batch)) for batch in store.batches] == [["k0", "k2"]]


@pytest.mark.parametrize("fails", [False, True])
async def test_a_caller_that_leaves_later_disturbs_nobody(*, fails: bool) -> None:
    """A9: a unit on its way is saved or not, whoever still listens."""
    store = FaultyStore()
    store.gate.clear()
    if fails:
        store.fail.append(StoreUnavailable("save", "the disk is full"))
    async with writing(store, "acme") as writer:
        leaver, stayer = writer.submit(save("a")), writer.submit(save("b"))
        await anyio.wait_all_tasks_blocked()
        leaver.cancel()
        store.gate.set()
        error = await outcome(stayer)
        count = await store.count("workers", partition="acme")

    assert (error is None, count) == ((False, 0) if fails else (True, 2))


async def test_a_failed_transaction_fails_its_units_and_service_resumes() -> None:
    """P1: the next batch is tried afresh, without a restart."""
    store = FaultyStore(fail=[StoreUnavailable("save", "the disk is full")])
    async with writing(store, "acme") as writer:
        futures = [writer.submit(save(f"k{n}")) for n in range(3)]
        outcomes = [await outcome(future) for future in futures]
        again = await outcome(writer.submit(save("k0")))
        statistics = writer.statistics()

    assert all(isinstance(error, StoreUnavailable) for error in outcomes)
    assert len({id(error) for error in outcomes}) == 3, "an error is not shared"
    assert "the disk is full" in str(outcomes[0])
    assert again is None
    assert (statistics.failed, statistics.committed) == (3, 1)


async def test_a_unit_that_breaks_the_driver_fails_alone() -> None:
    """P1: the others of its batch are saved, and nothing of its value is quoted."""
    store = FaultyStore(
        chokes_on=lambda one: isinstance(one, Unit) and key_of(one) == "poison"
    )
    async with writing(store, "acme", "globex") as writer:
        futures = [
            writer.submit(save("a")),
            writer.submit(save("poison")),
            writer.submit(save("b", partition="globex")),
        ]
        outcomes = [await outcome(future) for future in futures]
        later = await outcome(writer.submit(save("c")))

    assert [type(error) for error in outcomes] == [
        type(None),
        StoreUnavailable,
        type(None),
    ]
    assert "TypeError" in str(outcomes[1])
    assert "secret" not in str(outcomes[1])
    assert later is None


async def test_a_driver_that_cancels_the_call_does_not_end_the_writer() -> None:
    """P1: a cancellation that nobody asked for is a failure like any other."""
    store = FaultyStore(fail=[asyncio.CancelledError()])
    async with writing(store, "acme") as writer:
        first = await outcome(writer.submit(save("k")))
        second = await outcome(writer.submit(save("k")))

    assert isinstance(first, StoreUnavailable)
    assert second is None


async def test_closing_saves_what_is_queued_and_accepts_nothing_more() -> None:
    """A9: orderly shutdown loses nothing."""
    store = FaultyStore()
    async with writing(store, "acme", policy=CommitPolicy(max_units=2)) as writer:
        futures = [writer.submit(save(f"k{n}")) for n in range(5)]
        writer.close()
        late = writer.submit(save("late"))
        claim = writer.claim("acme")

    assert [future.exception() for future in futures] == [None] * 5
    assert isinstance(late.exception(), StoreClosed)
    assert isinstance(claim.exception(), StoreClosed)


@pytest.mark.parametrize("chokes", [False, True])
async def test_a_cancelled_writer_leaves_nobody_waiting(*, chokes: bool) -> None:
    """A9: whatever was on its way or queued is answered."""
    store = FaultyStore(chokes_on=lambda _: chokes)
    await store.open()
    await MemoryStore.claim(store, ["acme"])
    writer = Writer(store, policy=CommitPolicy(max_units=2))
    futures = [writer.submit(save(f"k{n}")) for n in range(5)]
    async with asyncio.TaskGroup() as group:
        task = group.create_task(writer.run())
        if chokes:
            await store.entered.wait()
        store.gate.clear()
        await anyio.wait_all_tasks_blocked()
        claim = writer.claim("globex")
        task.cancel()
    outcomes = [future.exception() for future in futures]

    assert all(type(error) in {StoreClosed, StoreUnavailable} for error in outcomes)
    assert type(outcomes[-1]) is StoreClosed
    assert isinstance(claim.exception(), StoreClosed)
    assert isinstance(writer.submit(save("late")).exception(), StoreClosed)


async def test_claims_that_wait_together_share_a_transaction() -> None:
    """G7: a host that meets a hundred partitions at once syncs once."""
    store = FaultyStore()
    async with writing(store) as writer:
        futures = [writer.claim(name) for name in ("acme", "globex", "acme")]
        claims = [await future for future in futures]

    assert [(one.partition, one.epoch) for one in claims] == [
        ("acme", 1),
        ("globex", 1),
        ("acme", 1),
    ]
    assert store.claimed == [["acme", "globex"]]


async def test_a_failed_claim_is_told_and_can_be_repeated() -> None:
    """P1: the writer goes on after any failure of a claim."""
    store = FaultyStore(fail=[StoreUnavailable("claim", "locked"), OSError("gone")])
    async with writing(store) as writer:
        failures = [await outcome_of_claim(writer) for _ in range(2)]
        claim = await writer.claim("acme")

    assert [type(error) for error in failures] == [StoreUnavailable] * 2
    assert claim.epoch == 1


async def outcome_of_claim(writer: Writer) -> StoreError | None:
    try:
        await writer.claim("acme")
    except StoreError as error:
        return error
    return None


async def test_a_claim_whose_caller_has_left_is_not_made() -> None:
    """G7: an epoch is raised only for somebody who holds it."""
    store = FaultyStore()
    async with writing(store) as writer:
        writer.claim("acme").cancel()
        await writer.claim("globex")

    assert store.claimed == [["globex"]]


async def test_only_claims_of_leavers_wait() -> None:
    """G7: nothing is put to the store then, and the writer still closes."""
    store = FaultyStore()
    async with writing(store) as writer:
        writer.claim("acme").cancel()

    assert store.claimed == []


async def test_claims_are_bounded() -> None:
    """P6: a flood of unknown partitions does not grow without end."""
    async with writing(
        FaultyStore(), policy=CommitPolicy(max_queued=2, max_units=1)
    ) as writer:
        futures = [writer.claim(f"p{n}") for n in range(3)]
        claims = [await future for future in futures[:2]]

    assert [claim.epoch for claim in claims] == [1, 1]
    assert isinstance(futures[2].exception(), StoreUnavailable)


async def test_an_error_that_nobody_awaits_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """P7: a caller that left has no use for a line in the log."""
    store = FaultyStore(fail=[StoreUnavailable("save", "full")])
    async with writing(store, "acme") as writer:
        for unheard in (save("a"), save("b", 7)):
            future = writer.submit(unheard)
            await anyio.wait_all_tasks_blocked()
            assert future.done()
            del future
    gc.collect()

    assert caplog.records == []


async def test_a_hundred_partitions_share_the_disk(tmp_path: object) -> None:
    """A6: the writer over a real file saves each partition's unit."""
    names = [f"p{n}" for n in range(100)]
    store = open_store(f"sqlite+aiosqlite:///{tmp_path}/podvisor.db")
    await store.open()
    writer = Writer(store)
    async with asyncio.TaskGroup() as group:
        group.create_task(writer.run())
        claims = [writer.claim(name) for name in names]
        for claim in claims:
            await claim
        futures = [writer.submit(save("k", partition=name)) for name in names]
        outcomes = [await outcome(future) for future in futures]
        writer.close()
    await store.close()

    assert outcomes == [None] * 100
    assert writer.statistics().transactions == 1


@pytest.mark.parametrize(
    "setting", ["max_units", "max_batch_bytes", "max_queued", "max_body_bytes"]
)
def test_a_bound_below_one_is_refused(setting: str) -> None:
    """A7: a policy that would stop the writer cannot be made."""
    with pytest.raises(ValueError, match=setting):
        CommitPolicy(**{setting: 0})


async def test_a_claim_that_fails_costs_no_other_partition() -> None:
    """P1: claims that share a transaction are tried apart when it fails."""
    store = FaultyStore()
    async with writing(store) as writer:
        store.chokes_on = lambda thing: thing == "globex"

        claims = {name: writer.claim(name) for name in ("acme", "globex", "umbrella")}
        await asyncio.wait(claims.values())

        assert claims["acme"].result().epoch == 1
        assert claims["umbrella"].result().epoch == 1
        assert isinstance(claims["globex"].exception(), StoreUnavailable)


async def test_a_key_press_while_a_batch_is_told_leaves_nobody_waiting() -> None:
    """A9: whoever comes after it in the batch is told in the next pass."""
    heard: list[str] = []

    def told(outcome: str | PodsError) -> None:
        if outcome == "key press":
            raise KeyboardInterrupt
        heard.append(str(outcome))

    waiter: Waiter[str] = Waiter(told, Context())
    with pytest.raises(KeyboardInterrupt):
        report_all([(waiter, "first"), (waiter, "key press"), (waiter, "last")])
    at_once = list(heard)
    await asyncio.sleep(0)

    assert at_once == ["first"]
    assert heard == ["first", "last"]
