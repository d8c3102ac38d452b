from __future__ import annotations

import asyncio

import pytest

from persistence import StaleOwner, StoreUnavailable
from supervision import Durability, Host, ManagerPolicy, StartFailed, StopTimeout
from tests.persistence.doubles import FaultyStore
from tests.support import (
    Add,
    AddLater,
    Counter,
    MakeStore,
    ManualClock,
    Read,
    Stubborn,
    Wait,
    answer,
    eventually,
    offline,
    spin,
)

__all__: list[str] = []


async def test_interval_saves_after_the_interval(clock: ManualClock) -> None:
    """Holds 3: between two saves there is one commit, whatever happened."""
    store = FaultyStore()
    async with Host(store=store, clock=clock) as host:
        policy = ManagerPolicy(durability=Durability.INTERVAL, interval=5)
        counters = host.manager("counters", Counter, policy=policy)
        ref = await counters.get("one", partition="acme")
        for _ in range(10):
            await ref.ask(Add())
        early = len(store.batches)

        clock.advance(5)
        await eventually(lambda: store.batches)
        clock.advance(50)
        await spin()

        assert (early, len(store.batches)) == (0, 1)


async def test_an_interval_save_that_failed_is_tried_again(clock: ManualClock) -> None:
    """Holds 10: a refusal of the medium costs one interval, not the state."""
    store = FaultyStore()
    async with Host(store=store, clock=clock) as host:
        policy = ManagerPolicy(durability=Durability.INTERVAL, interval=5)
        counters = host.manager("counters", Counter, policy=policy)
        ref = await counters.get("one", partition="acme")
        await ref.ask(Add(3))
        store.fail.append(offline())
        numbers = host.runtime.catalog.partition("acme").counters

        clock.advance(5)
        await eventually(lambda: numbers.save_failures)
        clock.advance(5)
        await eventually(lambda: numbers.saves)

        assert await ref.ask(Read()) == 3


async def test_an_interval_that_ends_in_mid_turn_saves_after_it(
    clock: ManualClock,
) -> None:
    """Holds 3: a save never sees a half-done turn."""
    store = FaultyStore()
    async with Host(store=store, clock=clock) as host:
        policy = ManagerPolicy(durability=Durability.INTERVAL, interval=5)
        counters = host.manager("counters", Counter, policy=policy)
        ref = await counters.get("one", partition="acme")
        await ref.ask(Add(3))
        wait = Wait()

        async with asyncio.TaskGroup() as group:
            group.create_task(ref.ask(wait))
            await wait.entered.wait()
            clock.advance(5)
            await spin()
            early = len(store.batches)
            wait.gate.set()
        clock.advance(5)
        await eventually(lambda: store.batches)

        assert early == 0


async def test_an_interval_save_that_is_fenced_drops_the_instance(
    clock: ManualClock,
) -> None:
    """Holds 5: a save by timer is fenced like any other."""
    store = FaultyStore()
    async with Host(store=store, clock=clock) as host:
        policy = ManagerPolicy(durability=Durability.INTERVAL, interval=5)
        counters = host.manager("counters", Counter, policy=policy)
        ref = await counters.get("one", partition="acme")
        await ref.ask(Add(3))
        await store.claim(["acme"])

        clock.advance(5)
        await eventually(lambda: counters.lookup("one", partition="acme") is None)

        assert host.runtime.catalog.partition("acme").lost


async def test_a_stop_that_cannot_save_leaves_it_live() -> None:
    """Holds 10: the state stays in memory, and the next stop tries again."""
    store = FaultyStore()
    async with Host(store=store) as host:
        counters = host.manager("counters", Counter, durability=Durability.HIBERNATE)
        ref = await counters.get("one", partition="acme")
        await ref.ask(Add(6))
        store.fail.append(offline())

        with pytest.raises(StoreUnavailable):
            await counters.stop("one", partition="acme")

        assert await ref.ask(Read()) == 6
        assert await counters.stop("one", partition="acme") is True
        assert await ref.ask(Read()) == 6


async def test_a_stop_hook_whose_state_cannot_be_saved_is_a_failed_stop() -> None:
    """Holds 10: what ``on_stop`` changed is part of what a stop promises to save."""

    class Closing(Counter):
        async def on_stop(self) -> None:
            self.n += 100

    store = FaultyStore()
    async with Host(store=store) as host:
        closing = host.manager("closing", Closing)
        ref = await closing.get("one", partition="acme")
        await ref.ask(Add(1))
        store.fail.append(offline())

        with pytest.raises(StoreUnavailable):
            await closing.stop("one", partition="acme")

        assert await closing.stop("one", partition="acme") is True
        assert await ref.ask(Read()) == 101


async def test_a_stop_hook_is_a_turn(make: MakeStore) -> None:
    """Holds 10: the state after ``on_stop`` is what is thawed."""

    class Closing(Counter):
        async def on_stop(self) -> None:
            self.n += 100

    async with Host(store=make()) as host:
        closing = host.manager("closing", Closing)
        await (await closing.get("one", partition="acme")).ask(Add(1))

    async with Host(store=make()) as host:
        again = host.manager("closing", Counter)
        assert await (await again.get("one", partition="acme")).ask(Read()) == 101


async def test_a_fenced_stop_says_so() -> None:
    """Holds 5: a stop whose row belongs to somebody else is no success."""
    store = FaultyStore()
    async with Host(store=store) as host:
        counters = host.manager("counters", Counter, durability=Durability.HIBERNATE)
        ref = await counters.get("one", partition="acme")
        await ref.ask(Add(6))
        await store.claim(["acme"])

        error = await answer(counters.stop("one", partition="acme"))

        assert type(error).__name__ == "StaleOwner"
        assert counters.lookup("one", partition="acme") is None


async def test_a_stop_that_does_not_end_is_a_stop_timeout(
    host: Host, clock: ManualClock
) -> None:
    """Holds 10: the stop names the handler; it completes when the handler ends."""
    counters = host.manager("counters", Counter, policy=ManagerPolicy(stop_timeout=3))
    ref = await counters.get("one", partition="acme")
    stubborn = Stubborn()

    async with asyncio.TaskGroup() as group:
        asked = group.create_task(ref.ask(stubborn))
        await stubborn.entered.wait()
        stop = group.create_task(answer(counters.stop("one", partition="acme")))
        await spin()
        clock.advance(3)
        await spin()
        clock.advance(2)
        await eventually(stop.done)
        stubborn.gate.set()
    await eventually(lambda: counters.lookup("one", partition="acme") is None)

    error = stop.result()
    assert isinstance(error, StopTimeout)
    assert error.where == "Counter.endure"
    assert asked.result() == "done"


async def test_a_stop_timeout_cancels_the_turn_first(
    host: Host, clock: ManualClock
) -> None:
    """Holds 10: most handlers end when they are cancelled, and the stop succeeds."""
    counters = host.manager("counters", Counter, policy=ManagerPolicy(stop_timeout=3))
    ref = await counters.get("one", partition="acme")
    wait = Wait()

    async with asyncio.TaskGroup() as group:
        asked = group.create_task(answer(ref.ask(wait)))
        await wait.entered.wait()
        stop = group.create_task(counters.stop("one", partition="acme"))
        await spin()
        clock.advance(3)

    assert stop.result() is True
    assert isinstance(asked.result(), Exception)


async def test_a_store_that_refuses_a_claim_refuses_the_start() -> None:
    """Holds 7: nobody is started without its partition; the next get tries again."""
    store = FaultyStore()
    async with Host(store=store) as host:
        counters = host.manager("counters", Counter)
        store.fail.append(offline())

        with pytest.raises(StoreUnavailable):
            await counters.get("one", partition="acme")

        assert counters.lookup("one", partition="acme") is None
        ref = await counters.get("one", partition="acme")
        assert await ref.ask(AddLater(2)) == 2


async def test_a_store_that_cannot_be_read_starts_nothing_in_its_place() -> None:
    """Holds 6: a row that was not read is not an absent row."""
    store = FaultyStore()
    async with Host(store=store) as host:
        counters = host.manager("counters", Counter)
        ref = await counters.get("one", partition="acme")
        await ref.ask(Add(4))
        await counters.stop("one", partition="acme")
        store.fail.append(offline())

        asked = await answer(ref.ask(Read()))

        assert isinstance(asked, StoreUnavailable)
        assert await ref.ask(Read()) == 4


async def test_a_start_hook_whose_state_cannot_be_saved_is_a_failed_start() -> None:
    """Holds 3: what ``on_start`` changed is stored before anybody gets a ref."""

    class Opening(Counter):
        async def on_start(self) -> None:
            self.n += 100

    store = FaultyStore()
    async with Host(store=store) as host:
        opening = host.manager("opening", Opening)
        store.chokes_on = lambda unit: hasattr(unit, "operations")
        failed = await answer(opening.get("one", partition="acme"))
        store.chokes_on = lambda _: False

        ref = await opening.get("one", partition="acme")

        assert isinstance(failed, StartFailed)
        assert await ref.ask(Read()) == 100


async def test_a_start_hook_that_is_fenced_ends_the_instance() -> None:
    """Holds 5: a stale start is no crash loop."""

    class Opening(Counter):
        async def on_start(self) -> None:
            await store.claim(["acme"])
            self.n += 1

    store = FaultyStore()
    async with Host(store=store) as host:
        opening = host.manager("opening", Opening)

        error = await answer(opening.get("one", partition="acme"))

        assert isinstance(error, StaleOwner)
        assert host.runtime.catalog.partition("acme").counters.crashes == 0
