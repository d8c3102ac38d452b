from __future__ import annotations

import asyncio

import pytest

from supervision import (
    Agent,
    AgentRef,
    Durability,
    Host,
    ManagerPolicy,
    Message,
    ShutdownIncomplete,
    handler,
)
from tests.persistence.doubles import FaultyStore
from tests.support import (
    Add,
    Counter,
    Crash,
    ManualClock,
    Read,
    Wait,
    answer,
    eventually,
    home_of,
    offline,
    spin,
)

__all__: list[str] = []


def live(host: Host, *keys: str, manager: str = "counters") -> list[bool]:
    """Say of each key whether its instance is in memory."""
    found = host.manager_named(manager)
    return [found.lookup(key, partition="acme") is not None for key in keys]


async def test_an_idle_instance_hibernates_and_thaws(
    host: Host, clock: ManualClock
) -> None:
    """Holds 10: after the timeout it leaves memory, and its state is kept."""
    counters = host.manager("counters", Counter, idle_timeout=60)
    keeps = host.manager("keeps", Counter)
    ref = await counters.get("one", partition="acme")
    kept = await keeps.get("one", partition="acme")
    await ref.ask(Add(3))

    clock.advance(59)
    await spin()
    early = live(host, "one")
    clock.advance(1)
    await eventually(lambda: live(host, "one") == [False])

    assert early == [True]
    assert await ref.ask(Read()) == 3
    assert live(host, "one", manager="keeps") == [True]
    assert await kept.ask(Read()) == 0


async def test_traffic_keeps_an_instance_awake(host: Host, clock: ManualClock) -> None:
    """Mistake of others: an idle timer that ignores traffic."""
    counters = host.manager("counters", Counter, idle_timeout=60)
    ref = await counters.get("one", partition="acme")

    for _ in range(10):
        clock.advance(50)
        await spin()
        await ref.ask(Read())
    first = live(host, "one")
    clock.advance(60)
    await eventually(lambda: live(host, "one") == [False])

    assert first == [True]
    assert host.runtime.catalog.partition("acme").counters.starts == 1


async def test_an_attachment_keeps_an_instance_awake(
    host: Host, clock: ManualClock
) -> None:
    """Holds 10: whoever holds it says so, and it hibernates afterwards."""
    counters = host.manager("counters", Counter, idle_timeout=60)
    ref = await counters.get("one", partition="acme")

    async with ref.attached():
        async with ref.attached():
            clock.advance(600)
        clock.advance(600)
        await spin()
        held = live(host, "one")
    clock.advance(60)
    await eventually(lambda: live(host, "one") == [False])

    assert held == [True]


async def test_an_attachment_outlives_a_stop(host: Host, clock: ManualClock) -> None:
    """Holds 10: it belongs to the address; a thawed instance is held by it, too."""
    counters = host.manager("counters", Counter, idle_timeout=60)
    ref = await counters.get("one", partition="acme")
    first, second = ref.attached(), ref.attached()

    await first.__aenter__()
    await counters.stop("one", partition="acme")
    await counters.get("one", partition="acme")
    await second.__aenter__()
    await first.__aexit__(None, None, None)
    clock.advance(600)
    await spin()
    held = live(host, "one")
    await second.__aexit__(None, None, None)
    clock.advance(120)
    await eventually(lambda: live(host, "one") == [False])

    assert held == [True]


async def test_an_attachment_starts_what_it_holds(host: Host) -> None:
    """Holds 10: and leaving one twice, or after a stop, takes nothing from others."""
    counters = host.manager("counters", Counter, idle_timeout=60)
    ref = await counters.get("one", partition="acme")
    await counters.stop("one", partition="acme")

    async with ref.attached():
        await eventually(lambda: live(host, "one") == [True])
        await counters.stop("one", partition="acme")

    assert await ref.ask(Add()) == 1


async def test_a_running_turn_keeps_an_instance_awake(
    host: Host, clock: ManualClock
) -> None:
    """Holds 10: however long a handler takes, it is not idle."""
    counters = host.manager("counters", Counter, idle_timeout=60)
    ref = await counters.get("one", partition="acme")
    wait = Wait()

    async with asyncio.TaskGroup() as group:
        asked = group.create_task(ref.ask(wait, timeout=10_000))
        await wait.entered.wait()
        clock.advance(600)
        await spin()
        busy = live(host, "one")
        wait.gate.set()

    assert busy == [True]
    assert asked.result() == "done"


class Have(Message[AgentRef[Counter]]):
    pass


class Boss(Agent):
    @handler
    async def have(self, message: Have) -> AgentRef[Agent]:
        home = home_of(self.context.ref("counters", "any"))
        return await self.context.spawn(home, "child")


async def test_a_family_hibernates_together(host: Host, clock: ManualClock) -> None:
    """Holds 10: the parent of a busy child is not idle; a child is not idle alone."""
    host.manager("counters", Counter, idle_timeout=60)
    bosses = host.manager("bosses", Boss, idle_timeout=60)
    boss = await bosses.get("boss", partition="acme")
    child = await boss.ask(Have())

    clock.advance(50)
    await child.ask(Add(1))
    clock.advance(50)
    await spin()
    first = live(host, "child"), live(host, "boss", manager="bosses")
    async with child.attached():
        clock.advance(600)
        await spin()
        second = live(host, "child"), live(host, "boss", manager="bosses")
    clock.advance(120)
    await eventually(lambda: live(host, "boss", manager="bosses") == [False])
    await eventually(lambda: live(host, "child") == [False])

    assert first == second == ([True], [True])


async def test_a_timeout_of_zero_hibernates_after_every_use(
    host: Host, clock: ManualClock
) -> None:
    """Holds 10: as soon as there is nothing to do."""
    counters = host.manager("counters", Counter, idle_timeout=0)
    ref = await counters.get("one", partition="acme")

    for n in range(1, 4):
        assert await ref.ask(Add()) == n
        clock.advance(1)
        await eventually(lambda: live(host, "one") == [False])

    assert host.runtime.catalog.partition("acme").counters.hibernations == 3


async def test_an_idle_instance_that_cannot_be_saved_stays_and_tries_again(
    clock: ManualClock,
) -> None:
    """Holds 10: memory is given back only for what is stored."""
    store = FaultyStore()
    async with Host(store=store, clock=clock) as host:
        policy = ManagerPolicy(durability=Durability.HIBERNATE, idle_timeout=60)
        counters = host.manager("counters", Counter, policy=policy)
        ref = await counters.get("one", partition="acme")
        await ref.ask(Add(4))
        store.fail.append(offline())
        numbers = host.runtime.catalog.partition("acme").counters

        clock.advance(60)
        await eventually(lambda: numbers.save_failures)
        first = live(host, "one")
        clock.advance(120)
        await eventually(lambda: live(host, "one") == [False])

        assert first == [True]
        assert await ref.ask(Read()) == 4


async def test_a_store_that_refuses_is_not_asked_in_every_pass(
    clock: ManualClock,
) -> None:
    """Holds 8: with a timeout of 0 as well, there is a pause between two tries."""
    store = FaultyStore()
    async with Host(store=store, clock=clock) as host:
        policy = ManagerPolicy(durability=Durability.HIBERNATE, idle_timeout=0)
        counters = host.manager("counters", Counter, policy=policy)
        ref = await counters.get("one", partition="acme")
        await ref.ask(Add(4))
        store.fail += [offline() for _ in range(1_000)]
        numbers = host.runtime.catalog.partition("acme").counters

        for _ in range(30):
            clock.advance(0.1)
            await spin()
        tries = numbers.save_failures
        store.fail.clear()
        clock.advance(2)
        await eventually(lambda: live(host, "one") == [False])

        assert 2 <= tries <= 4
        assert await ref.ask(Read()) == 4


@pytest.mark.parametrize("durability", [Durability.HIBERNATE, Durability.INTERVAL])
async def test_a_host_that_has_ended_looks_at_nobody(
    clock: ManualClock, durability: Durability
) -> None:
    """Holds 8: what it could not save is named, and costs nothing from then on."""
    store = FaultyStore()
    host = Host(store=store, clock=clock)

    async def live_through() -> None:
        async with host:
            policy = ManagerPolicy(durability=durability, idle_timeout=0)
            counters = host.manager("counters", Counter, policy=policy)
            ref = await counters.get("one", partition="acme")
            await ref.ask(Add(4))
            store.fail += [offline() for _ in range(1_000)]

    ended = await answer(live_through())
    await spin()
    assert isinstance(ended, ShutdownIncomplete)
    assert clock.pending() == 0
    clock.advance(60)
    await spin()
    assert clock.pending() == 0
    assert repr(host.runtime.idle) == "<Idle watched=0>"


async def test_restarts_leave_one_idle_watch(host: Host, clock: ManualClock) -> None:
    """Holds 8: an instance that crashes now and then for ever costs no memory."""
    counters = host.manager("counters", Counter, idle_timeout=1_000)
    ref = await counters.get("one", partition="acme")

    for _ in range(50):
        await answer(ref.ask(Crash()))
        clock.advance(100)
        await ref.ask(Read())

    assert repr(host.runtime.idle) == "<Idle watched=1>"


async def test_the_watch_of_departed_instances_is_cleaned_up(
    host: Host, clock: ManualClock
) -> None:
    """P6: create and stop leave nothing behind."""
    counters = host.manager(
        "counters",
        Counter,
        policy=ManagerPolicy(durability=Durability.NONE, idle_timeout=1_000),
    )

    for n in range(1_000):
        await counters.get(f"k{n}", partition="acme")
        await counters.stop(f"k{n}", partition="acme")

    watched = int(repr(host.runtime.idle).removeprefix("<Idle watched=")[:-1])
    assert watched <= 128
    assert clock.pending() <= 2
