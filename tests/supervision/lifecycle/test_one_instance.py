from __future__ import annotations

import asyncio
from collections.abc import Sequence

import attrs
import pytest

from persistence import StaleOwner, StoreError, Unit
from persistence.testing import RelayStore
from supervision import Agent, Durability, Host, Message, handler
from supervision.agents.phases import Phase
from tests.support import (
    Add,
    Counter,
    Crash,
    MakeStore,
    Read,
    Wait,
    answer,
    eventually,
    spin,
)

__all__: list[str] = []


class Incarnations(Message[int]):
    pass


@attrs.define
class Probe:
    """What the starts and stops of a gated agent look like from a test."""

    starts: list[str] = attrs.field(factory=list[str])
    open: asyncio.Event = attrs.field(factory=asyncio.Event)
    stop_entered: asyncio.Event = attrs.field(factory=asyncio.Event)
    stop_open: asyncio.Event = attrs.field(factory=asyncio.Event)


def gated(probe: Probe, *, slow: str = "slow") -> type[Counter]:
    """Make an agent class whose key ``slow`` waits in its hooks."""

    class Gated(Counter):
        async def on_start(self) -> None:
            probe.starts.append(f"{self.context.partition}/{self.context.key}")
            if self.context.key == slow:
                await probe.open.wait()

        async def on_stop(self) -> None:
            probe.stop_entered.set()
            if self.context.key == slow:
                await probe.stop_open.wait()

    return Gated


async def test_fifty_gets_are_one_start(host: Host) -> None:
    """Holds 2: publish first, activate after; later callers queue on the entry."""
    probe = Probe()
    manager = host.manager("gated", gated(probe))

    async with asyncio.TaskGroup() as group:
        gets = [
            group.create_task(manager.get("slow", partition="acme")) for _ in range(50)
        ]
        await eventually(lambda: probe.starts)
        await spin()
        early = [get.done() for get in gets]
        probe.open.set()

    assert not any(early)
    assert probe.starts == ["acme/slow"]
    assert len({get.result() for get in gets}) == 1
    probe.stop_open.set()


async def test_a_slow_start_delays_nobody_else(host: Host) -> None:
    """Holds 2: activation is per key, in the same manager and partition too."""
    probe = Probe()
    manager = host.manager("gated", gated(probe))
    probe.stop_open.set()

    async with asyncio.TaskGroup() as group:
        slow = group.create_task(manager.get("slow", partition="acme"))
        await eventually(lambda: probe.starts)
        near = await manager.get("near", partition="acme")
        far = await manager.get("far", partition="globex")
        answers = [await near.ask(Add(1)), await far.ask(Add(2))]
        early = slow.done()
        probe.open.set()

    assert answers == [1, 2]
    assert early is False


async def test_mail_to_a_starting_instance_waits_for_it(host: Host) -> None:
    """Holds 2: a message is accepted as soon as the entry is published."""
    probe = Probe()
    manager = host.manager("gated", gated(probe))
    probe.stop_open.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(manager.get("slow", partition="acme"))
        await eventually(lambda: probe.starts)
        ref = manager.lookup("slow", partition="acme")
        assert ref is not None
        reply = group.create_task(ref.ask(Add(6)))
        await spin()
        early = reply.done()
        probe.open.set()

    assert early is False
    assert reply.result() == 6


async def test_a_get_during_hibernation_waits_and_thaws_afresh(host: Host) -> None:
    """Holds 2: nobody gets the object that is just leaving."""
    probe = Probe()
    probe.open.set()
    manager = host.manager("gated", gated(probe))
    ref = await manager.get("slow", partition="acme")
    await ref.ask(Add(5))

    async with asyncio.TaskGroup() as group:
        stop = group.create_task(manager.stop("slow", partition="acme"))
        await probe.stop_entered.wait()
        get = group.create_task(manager.get("slow", partition="acme"))
        mail = group.create_task(ref.ask(Add(1)))
        await spin()
        early = (get.done(), mail.done())
        unseen = manager.lookup("slow", partition="acme")
        probe.stop_open.set()

    assert early == (False, False)
    assert unseen is None
    assert stop.result() is True
    assert mail.result() == 6
    assert probe.starts == ["acme/slow"] * 2


async def test_stop_and_get_a_thousand_times(host: Host) -> None:
    """Holds 2: a get on the heels of a stop never fails and never sees old state."""
    counters = host.manager("counters", Counter)
    ref = await counters.get("one", partition="acme")
    other = await counters.get("one", partition="globex")
    await other.ask(Add(3))
    failures: list[BaseException] = []

    for _ in range(1_000):
        stop = counters.stop("one", partition="acme")
        async with asyncio.TaskGroup() as group:
            group.create_task(stop)
            await asyncio.sleep(0)
            found = await answer(counters.get("one", partition="acme"))
        if isinstance(found, BaseException):
            failures.append(found)
        else:
            await found.ask(Add(1))

    assert failures == []
    assert await ref.ask(Read()) == 1_000
    assert await other.ask(Read()) == 3


async def test_stop_touches_only_its_own_partition(make: MakeStore) -> None:
    """G9: B's instance of the same key is the same object, unread and unwritten."""
    async with Host(store=make()) as host:
        counters = host.manager("counters", Counter)
        acme = await counters.get("one", partition="acme")
        await acme.ask(Add(1))
        globex = await counters.get("one", partition="globex")
        await globex.ask(Add(2))
        before = host.runtime.catalog.find(globex.address)
        numbers = attrs.asdict(host.runtime.catalog.partition("globex").counters)

        stopped = await counters.stop("one", partition="acme")

        assert stopped is True
        assert counters.lookup("one", partition="acme") is None
        assert host.runtime.catalog.find(globex.address) is before
        assert (
            attrs.asdict(host.runtime.catalog.partition("globex").counters) == numbers
        )
        assert await acme.ask(Read()) == 1
        assert await globex.ask(Read()) == 2


async def test_stopping_what_is_not_live_says_so(host: Host) -> None:
    """B6: absent and foreign are the same answer."""
    counters = host.manager("counters", Counter)
    await counters.get("one", partition="globex")

    assert await counters.stop("one", partition="acme") is False
    assert await counters.stop("none", partition="acme") is False


async def test_a_stop_while_starting_waits_for_the_start(host: Host) -> None:
    """Holds 2: stop comes after the start it met, and the mail is not lost."""
    probe = Probe()
    manager = host.manager("gated", gated(probe))
    probe.stop_open.set()

    async with asyncio.TaskGroup() as group:
        get = group.create_task(manager.get("slow", partition="acme"))
        await eventually(lambda: probe.starts)
        stop = group.create_task(manager.stop("slow", partition="acme"))
        await spin()
        early = stop.done()
        probe.open.set()

    assert early is False
    assert stop.result() is True
    assert await get.result().ask(Add(1)) == 1


async def test_a_stop_while_running_lets_the_turn_end(host: Host) -> None:
    """Holds 3: mail of before the stop is handled by it, later mail by the next."""
    counters = host.manager("counters", Counter)
    ref = await counters.get("one", partition="acme")
    wait = Wait()

    async with asyncio.TaskGroup() as group:
        running = group.create_task(ref.ask(wait))
        await wait.entered.wait()
        before = group.create_task(ref.ask(Add(1)))
        await spin()
        stop = group.create_task(counters.stop("one", partition="acme"))
        twice = group.create_task(counters.stop("one", partition="acme"))
        await spin()
        after = group.create_task(ref.ask(Add(1)))
        await spin()
        wait.gate.set()

    assert (stop.result(), twice.result()) == (True, True)
    assert (running.result(), before.result(), after.result()) == ("done", 1, 2)


async def test_a_stop_while_backing_off_ends_it(host: Host) -> None:
    """Holds 2: what waits for a restart can be stopped, and comes back when asked."""
    counters = host.manager("counters", Counter, durability=Durability.HIBERNATE)
    ref = await counters.get("one", partition="acme")
    await ref.ask(Add(4))
    for _ in range(2):
        await answer(ref.ask(Crash()))

    stopped = await counters.stop("one", partition="acme")

    assert stopped is True
    assert await ref.ask(Read()) == 4


async def test_a_cancelled_get_leaves_the_start_to_others(host: Host) -> None:
    """Holds 2: cancelled half-way, nothing is left behind that hurts anybody."""
    probe = Probe()
    manager = host.manager("gated", gated(probe))
    other = await manager.get("slow2", partition="globex")

    async with asyncio.TaskGroup() as group:
        cancelled = group.create_task(manager.get("slow", partition="acme"))
        waiting = group.create_task(manager.get("slow", partition="acme"))
        await eventually(lambda: len(probe.starts) == 2)
        cancelled.cancel()
        await spin()
        probe.open.set()

    probe.stop_open.set()
    assert cancelled.cancelled()
    assert await waiting.result().ask(Add(2)) == 2
    assert await other.ask(Read()) == 0


async def test_a_cancelled_ask_does_not_interrupt_the_handler(host: Host) -> None:
    """Holds 3: the asker leaves; the turn goes on and is kept."""
    counters = host.manager("counters", Counter)
    ref = await counters.get("one", partition="acme")
    wait = Wait()

    async with asyncio.TaskGroup() as group:
        running = group.create_task(ref.ask(wait))
        await wait.entered.wait()
        queued = group.create_task(ref.ask(Add(10)))
        await spin()
        running.cancel()
        queued.cancel()
        await spin()
        wait.gate.set()

    assert await ref.ask(Add(1)) == 1


async def test_a_cancelled_ask_on_the_inline_path_keeps_its_turn(host: Host) -> None:
    """Holds 3: a commit on its way is not taken back by its asker."""
    counters = host.manager("counters", Counter)
    ref = await counters.get("one", partition="acme")

    async with asyncio.TaskGroup() as group:
        ask = group.create_task(ref.ask(Add(10)))
        await asyncio.sleep(0)
        ask.cancel()

    assert await ref.ask(Add(1)) == 11


async def test_a_cancelled_stop_goes_on_without_its_caller(host: Host) -> None:
    """Holds 10: the state is saved all the same."""
    probe = Probe()
    probe.open.set()
    manager = host.manager("gated", gated(probe), durability=Durability.HIBERNATE)
    ref = await manager.get("slow", partition="acme")
    await ref.ask(Add(5))

    async with asyncio.TaskGroup() as group:
        stop = group.create_task(manager.stop("slow", partition="acme"))
        await probe.stop_entered.wait()
        stop.cancel()
        await spin()
        probe.stop_open.set()
    await eventually(lambda: manager.lookup("slow", partition="acme") is None)

    assert await ref.ask(Read()) == 5
    assert probe.starts == ["acme/slow"] * 2


async def test_incarnations_count_agent_objects(host: Host) -> None:
    """Holds 2: a restart makes a new object under the same address."""

    class Told(Agent):
        @handler
        def incarnation(self, message: Incarnations) -> int:
            return self.context.incarnation

        @handler
        def crash(self, message: Crash) -> None:
            raise RuntimeError

    told = host.manager("told", Told)
    ref = await told.get("one", partition="acme")

    first = await ref.ask(Incarnations())
    await answer(ref.ask(Crash()))

    assert (first, await ref.ask(Incarnations())) == (1, 2)


@attrs.define(eq=False, repr=False)
class _Held(RelayStore):
    """Saves nothing while something holds it up.

    Attributes:
        until: what it waits for; ``None``: nothing.
        refused: whether it refuses what it is given then.
    """

    until: asyncio.Event | None = None
    refused: bool = False

    async def apply(self, units: Sequence[Unit]) -> list[StoreError | None]:
        if self.until is None:
            return await RelayStore.apply(self, units)
        await self.until.wait()
        if not self.refused:
            return await RelayStore.apply(self, units)
        return [StaleOwner(unit.partition, unit.epoch) for unit in units]


@pytest.mark.parametrize("refused", [False, True])
async def test_who_waits_for_a_commit_is_answered_although_the_instance_was_dropped(
    make: MakeStore, *, refused: bool
) -> None:
    """A3: something else was refused meanwhile, and ended it; it stays ended."""
    store = _Held(make(), refused=refused)
    async with Host(store=store) as host:
        counters = host.manager("counters", Counter)
        ref = await counters.get("one", partition="acme")
        await ref.ask(Add())
        instance = ref.instance
        assert instance is not None
        gate = store.until = asyncio.Event()

        async with asyncio.TaskGroup() as group:
            asking = group.create_task(answer(ref.ask(Add())))
            await eventually(lambda: instance.phase is Phase.COMMITTING)
            host.runtime.removal.fail(instance, StaleOwner("acme", 1))
            gate.set()
        phase, store.until = instance.phase, None
        after = await ref.ask(Add())

    told = asking.result()
    assert phase is Phase.STOPPED
    assert isinstance(told, StaleOwner) if refused else told == 2
    assert after == (2 if refused else 3)
