"""The driver of fair turns: what it charges, parks, hastens and refuses."""

from __future__ import annotations

import asyncio
import logging

import pytest

from supervision import (
    Agent,
    DispatchPolicy,
    Durability,
    Host,
    HostPolicy,
    ManagerPolicy,
    Message,
    Overloaded,
    Priority,
    Share,
    ShareNumbers,
    handler,
)
from tests.support import (
    Add,
    AddLater,
    Counter,
    ManualClock,
    Read,
    Tick,
    Wait,
    answer,
    eventually,
    spin,
)

__all__: list[str] = []


def numbers(host: Host, partition: str) -> ShareNumbers:
    found = host.runtime.dispatcher.numbers(partition)
    assert found is not None
    return found


def with_dispatch(**settings: object) -> HostPolicy:
    return HostPolicy(dispatch=DispatchPolicy(**settings))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  a test's shorthand


class Spend(Message[None]):
    """Let the clock go on while the handler runs."""

    clock: ManualClock
    seconds: float


class SpendLater(Message[None]):
    clock: ManualClock
    seconds: float


class Shout(Message[None]):
    """An urgent ``Tick``."""

    priority = Priority.URGENT
    log: list[str]
    mark: str


class ParkFor(Message[str]):
    wait: Wait


class Busy(Agent):
    @handler
    def spend(self, message: Spend) -> None:
        message.clock.advance(message.seconds)

    @handler
    async def spend_later(self, message: SpendLater) -> None:
        message.clock.advance(message.seconds)

    @handler
    def tick(self, message: Tick) -> None:
        message.log.append(message.mark)

    @handler
    def shout(self, message: Shout) -> None:
        message.log.append(message.mark)

    @handler
    async def park(self, message: ParkFor) -> str:
        async with self.context.parked():
            message.wait.entered.set()
            await message.wait.gate.wait()
        return "back"


async def test_a_turn_is_charged_what_it_took(clock: ManualClock) -> None:
    """O3: by time, wherever it ran: inline, in the pump or in a worker."""
    async with Host("memory://", clock=clock) as host:
        busy = host.manager("busy", Busy, durability=Durability.NONE)
        inline = await busy.get("k", partition="inline")
        pumped = await busy.get("k", partition="pumped")
        worker = await busy.get("k", partition="worker")

        await inline.ask(Spend(clock, 3.0))
        await pumped.tell(Spend(clock, 4.0))
        await worker.ask(SpendLater(clock, 5.0))
        await spin()

        got = [numbers(host, p).received for p in ("inline", "pumped", "worker")]
    assert got == [3.0, 4.0, 5.0]


async def test_a_long_turn_is_paid_for_while_it_runs(clock: ManualClock) -> None:
    """O3, rule 7: not only when it is over."""
    async with Host("memory://", clock=clock) as host:
        counters = host.manager("counters", Counter, durability=Durability.NONE)
        ref = await counters.get("k", partition="acme")
        wait = Wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(ref.ask(wait))
            await wait.entered.wait()
            tags: list[float] = []
            for _ in range(3):
                clock.advance(1.0)
                account = host.runtime.dispatcher._fair.accounts["acme"]  # pyright: ignore[reportPrivateUsage]
                tags.append(account.tag)
            pending = clock.pending()
            wait.gate.set()
        clock.advance(1.0)

        assert tags == [1.0, 2.0, 3.0]
        assert clock.pending() < pending


async def test_who_computes_more_gets_fewer_turns(clock: ManualClock) -> None:
    """O3: charging per dispatch would give both the same."""
    log: list[str] = []

    class Slow(Message[None]):
        name: str

    class Agents(Agent):
        @handler
        def slow(self, message: Slow) -> None:
            log.append(message.name)
            clock.advance(0.004 if message.name == "heavy" else 0.001)

    policy = with_dispatch(inline=0)
    async with Host("memory://", clock=clock, policy=policy) as host:
        settings = ManagerPolicy(durability=Durability.NONE, batch=1)
        agents = host.manager("agents", Agents, policy=settings)
        for n in range(100):
            for name in ("heavy", "light"):
                ref = await agents.get(f"k{n % 10}", partition=name)
                await ref.tell(Slow(name))
        await eventually(lambda: len(log) >= 60)

    first = log[:60]
    assert first.count("light") == pytest.approx(4 * first.count("heavy"), abs=8)


async def test_a_turn_ends_after_its_quantum(clock: ManualClock) -> None:
    """O3: eight messages are a turn only if they are quick."""
    log: list[str] = []
    policy = with_dispatch(inline=0, quantum=1.0)
    async with Host("memory://", clock=clock, policy=policy) as host:
        busy = host.manager("busy", Busy, durability=Durability.NONE)
        long = await busy.get("long", partition="acme")
        short = await busy.get("short", partition="acme")
        for n in range(4):
            await long.tell(Spend(clock, 0.6))
            await long.tell(Tick(log, f"long {n}"))
        await short.tell(Tick(log, "short"))
        await eventually(lambda: len(log) == 5)

    assert log.index("short") == 1


async def test_urgent_mail_is_handled_first_and_order_is_kept_within_a_class() -> None:
    """O3: urgent before normal before background, in one mailbox."""
    log: list[str] = []
    async with Host("memory://", policy=with_dispatch(inline=0)) as host:
        busy = host.manager("busy", Busy, durability=Durability.NONE)
        ref = await busy.get("k", partition="acme")
        await ref.tell(Tick(log, "b1"), priority=Priority.BACKGROUND)
        await ref.tell(Tick(log, "n1"))
        await ref.tell(Shout(log, "u1"))
        await ref.tell(Tick(log, "b2"), priority=Priority.BACKGROUND)
        await ref.tell(Shout(log, "n2"), priority=Priority.NORMAL)
        await ref.tell(Tick(log, "u2"), priority=Priority.URGENT)
        await eventually(lambda: len(log) == 6)

    assert log == ["u1", "u2", "n1", "n2", "b1", "b2"]


async def test_urgent_mail_hastens_an_instance_that_waits_for_its_turn() -> None:
    """O3: it overtakes the others of its partition, and nobody of another."""
    log: list[str] = []
    async with Host("memory://", policy=with_dispatch(inline=0)) as host:
        busy = host.manager("busy", Busy, durability=Durability.NONE)
        refs = [await busy.get(f"k{n}", partition="acme") for n in range(3)]
        other = await busy.get("k", partition="globex")
        for n, ref in enumerate(refs):
            await ref.tell(Tick(log, f"k{n}"))
        await other.tell(Tick(log, "globex"))
        await refs[2].tell(Shout(log, "urgent"))
        await eventually(lambda: len(log) == 5)

    own = [mark for mark in log if mark != "globex"]
    assert own == ["urgent", "k2", "k0", "k1"]
    assert log.index("globex") <= 2


async def test_what_has_waited_long_enough_is_as_good_as_urgent(
    clock: ManualClock,
) -> None:
    """O3: ageing; without it background work would starve beside normal work."""
    log: list[str] = []
    policy = with_dispatch(penalties=(0.0, 10.0, 20.0), inline=0)
    async with Host("memory://", clock=clock, policy=policy) as host:
        busy = host.manager("busy", Busy, durability=Durability.NONE)
        ref = await busy.get("k", partition="acme")
        await ref.tell(Tick(log, "old"), priority=Priority.BACKGROUND)
        clock.advance(11.0)
        await ref.tell(Tick(log, "young"))
        clock.advance(1.0)
        await ref.tell(Shout(log, "urgent"))
        await eventually(lambda: len(log) == 3)

    assert log == ["urgent", "old", "young"]


async def test_a_parked_turn_holds_no_seat() -> None:
    """O8, O3: a handler that waits outside lets others work meanwhile."""
    policy = with_dispatch(seats=1)
    async with Host("memory://", policy=policy) as host:
        busy = host.manager("busy", Busy, durability=Durability.NONE)
        counters = host.manager("counters", Counter, durability=Durability.NONE)
        parked = await busy.get("k", partition="acme")
        other = await counters.get("k", partition="acme")
        wait = Wait()
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(parked.ask(ParkFor(wait)))
            await wait.entered.wait()
            meanwhile = await other.ask(AddLater(2))
            statistics = host.runtime.dispatcher.statistics()
            wait.gate.set()

        assert meanwhile == 2
        assert (statistics.parked, statistics.free) == (1, 1)
        assert asked.result() == "back"
        await eventually(lambda: host.statistics().free_seats == 1)


async def test_too_much_mail_of_one_partition_is_refused_and_of_no_other() -> None:
    """O10: typed, with what to do, before anything changed."""
    gate = Wait()
    policy = with_dispatch(backlog=20, inline=0)
    async with Host("memory://", policy=policy) as host:
        counters = host.manager("counters", Counter, durability=Durability.NONE)
        hog = await counters.get("k", partition="hog")
        light = await counters.get("k", partition="light")
        async with asyncio.TaskGroup() as group:
            group.create_task(hog.ask(gate))
            await gate.entered.wait()
            accepted = 0
            error: object = None
            while error is None:
                error = await answer(hog.tell(Add(1)))
                accepted += error is None
            asked = await answer(hog.ask(Read()))
            light_sum = await light.ask(Add(5))
            gate.gate.set()

        assert isinstance(error, Overloaded)
        assert isinstance(asked, Overloaded)
        assert (error.scope, accepted, light_sum) == ("partition", 10, 5)
        assert error.retry_after > 0
        assert "try again in" in str(error)
        assert await hog.ask(Read()) == 10
        assert host.runtime.dispatcher.statistics().queued == 0
        assert host.runtime.dispatcher.statistics().refused == 2


class Bear(Message[list[str]]):
    wait: Wait


class Parent(Agent):
    @handler
    async def bear(self, message: Bear) -> list[str]:
        child = await self.context.spawn("counters", "child")
        stranger = self.context.ref("counters", "stranger")
        message.wait.entered.set()
        await message.wait.gate.wait()
        refused: list[str] = []
        for target in (child, stranger):
            try:
                self.context.tell(target, Add(1))
            except Overloaded as error:
                refused.append(f"{target.key} {error.scope}")
        return refused


async def test_a_handler_reaches_its_children_when_the_host_is_full() -> None:
    """O10: sends to own children may use the reserve; nothing else may."""
    policy = with_dispatch(backlog=1, reserve=1.0)
    async with Host("memory://", policy=policy) as host:
        parents = host.manager("parents", Parent, durability=Durability.NONE)
        counters = host.manager("counters", Counter, durability=Durability.NONE)
        parent = await parents.get("k", partition="acme")
        busy = await counters.get("k", partition="other")
        outside, inside = Wait(), Wait()
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(parent.ask(Bear(inside)))
            await inside.entered.wait()
            group.create_task(busy.ask(outside))
            await outside.entered.wait()
            await busy.tell(Add(1))
            refused = await answer(busy.tell(Add(1)))
            inside.gate.set()
            await eventually(asked.done)
            outside.gate.set()
        child = await counters.get("child", partition="acme")

        assert isinstance(refused, Overloaded)
        assert refused.scope == "host"
        assert asked.result() == ["stranger host"]
        assert await child.ask(Read()) == 1


async def test_a_cap_that_is_reached_is_logged_with_its_partition(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """O11: every cap hit is counted and logged."""
    caplog.set_level(logging.INFO, "podvisor.dispatcher")
    policy = with_dispatch(share=Share(cap=1, hard_cap=2, burst=5.0))
    async with Host("memory://", policy=policy) as host:
        counters = host.manager("counters", Counter, durability=Durability.NONE)
        waits = [Wait(), Wait()]
        async with asyncio.TaskGroup() as group:
            for n, wait in enumerate(waits):
                ref = await counters.get(f"k{n}", partition="acme")
                group.create_task(ref.ask(wait))
                await wait.entered.wait()
            for wait in waits:
                wait.gate.set()
        await spin()

        found = numbers(host, "acme")
    names = [record.message for record in caplog.records]
    assert names[:2] == ["partition.cap_hit", "partition.burst_begun"]
    assert "partition.burst_ended" in names
    assert (found.cap_hits, found.bursts) == (1, 1)
    assert vars(caplog.records[0])["podvisor.partition.id"] == "acme"


async def test_a_new_share_applies_to_what_waits_already() -> None:
    """O1: a cap that is raised lets the backlog go on."""
    policy = with_dispatch(share=Share(cap=1))
    async with Host("memory://", policy=policy) as host:
        counters = host.manager("counters", Counter, durability=Durability.NONE)
        waits = [Wait(), Wait(), Wait()]
        async with asyncio.TaskGroup() as group:
            for n, wait in enumerate(waits):
                ref = await counters.get(f"k{n}", partition="acme")
                group.create_task(ref.ask(wait))
            await waits[0].entered.wait()
            await spin()
            before = [wait.entered.is_set() for wait in waits]
            host.runtime.dispatcher.set_share("acme", Share(cap=3))
            await waits[2].entered.wait()
            for wait in waits:
                wait.gate.set()

    assert before == [True, False, False]


async def test_blame_names_who_held_the_seats(clock: ManualClock) -> None:
    """O12: on a running host too."""
    policy = with_dispatch(seats=1, inline=0)
    async with Host("memory://", policy=policy, clock=clock) as host:
        counters = host.manager("counters", Counter, durability=Durability.NONE)
        hog = await counters.get("k", partition="hog")
        late = await counters.get("k", partition="late")
        wait = Wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(hog.ask(wait))
            await wait.entered.wait()
            group.create_task(late.ask(AddLater(1)))
            await spin()
            clock.advance(2.0)
            blame = host.runtime.dispatcher.history().blame("late")
            wait.gate.set()

    assert [(one.holding, one.seconds) for one in blame] == [("hog", 2.0)]
