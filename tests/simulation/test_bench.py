from __future__ import annotations

import asyncio

import attrs
import pytest

from persistence import Address, StoreClosed, Unit
from pods import (
    Agent,
    AgentRef,
    Message,
    Pod,
    StoreUnavailable,
    add_node,
    handler,
    lazy,
)
from pods.testing import Fault, Trouble, When
from pods.testing.bench import HostBench, NotQuiet
from pods.testing.isolation import NotIsolated
from pods.testing.plugin import podvisor_host, podvisor_partitions, podvisor_store
from tests.support import answer, eventually

__all__ = ["podvisor_host", "podvisor_partitions", "podvisor_store"]

pytestmark = pytest.mark.parametrize(
    "podvisor_store", ["sqlite", "memory"], indirect=True
)

SHARED: list[str] = []


class Add(Message[int]):
    pass


class Meter(Agent):
    total: int = 0

    @handler
    def add(self, message: Add) -> int:
        self.total += 1
        return self.total


class Sleep(Message[None]):
    """Wait for a thing that never comes."""


class Sleeper(Agent):
    @handler
    async def sleep(self, message: Sleep) -> None:
        await asyncio.Event().wait()


class Remember(Message[int]):
    """Keep something that another partition may have too."""


class Leaky(Agent):
    """Keeps what a module holds, as nobody should."""

    lines: list[str] = attrs.field(factory=list[str])

    @handler
    def remember(self, message: Remember) -> int:
        self.lines = SHARED
        return 0


class Keep(Message[int]):
    ref: object


class Gossip(Agent):
    """Keeps a ref outside of its state."""

    @handler
    def keep(self, message: Keep) -> int:
        vars(self)["_kept"] = message.ref
        return 0


async def test_a_killed_host_saves_nothing_more(podvisor_host: HostBench) -> None:
    """A9: what was committed is there after a crash, and only that."""
    async with podvisor_host as host:
        meters = host.manager("meters", Meter)
        meter = await meters.get("m", partition="acme")
        assert await meter.ask(Add()) == 1
        podvisor_host.crash_after(0)
        with pytest.raises(StoreUnavailable):
            await meter.ask(Add())

        reopened = await podvisor_host.crash_and_reopen()

        again = await reopened.manager_named("meters").get("m", partition="acme")
        assert await again.ask(Add()) == 2


async def test_the_last_commit_before_a_crash_is_kept(podvisor_host: HostBench) -> None:
    """A9: the commit is done, the answer is not heard; the next process has it."""
    async with podvisor_host as host:
        meters = host.manager("meters", Meter)
        meter = await meters.get("m", partition="acme")
        podvisor_host.crash_after(2)
        assert await meter.ask(Add()) == 1
        with pytest.raises(StoreUnavailable):
            await meter.ask(Add())

        reopened = await podvisor_host.crash_and_reopen()

        again = await reopened.manager_named("meters").get("m", partition="acme")
        assert await again.ask(Add()) == 3


async def test_who_waits_for_a_killed_host_is_told_so(podvisor_host: HostBench) -> None:
    """A9: also who waits in a mailbox, behind a handler that will not end."""
    async with podvisor_host as host:
        sleepers = host.manager("sleepers", Sleeper)
        sleeper = await sleepers.get("s", partition="acme")
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(answer(sleeper.ask(Sleep()))) for _ in range(2)]
            await eventually(lambda: sleeper.instance and sleeper.instance.queued)
            await podvisor_host.crash_and_reopen()

    assert isinstance(asking[1].result(), StoreClosed)


async def test_who_waits_for_a_host_whose_tasks_never_began_is_told_so(
    podvisor_host: HostBench,
) -> None:
    """A9: it is killed before the first step of what would read and write for him."""
    async with podvisor_host as host:
        address = Address("acme", "meters", "m")
        waiting = (
            host.runtime.reader.load(address),
            host.runtime.reader.ask(lambda store: store.open(), partition="acme"),
            host.runtime.writer.claim("acme"),
            host.runtime.writer.submit(Unit("acme", 1, ())),
        )

        await podvisor_host.crash_and_reopen()

        assert [type(one.exception()) for one in waiting] == [StoreClosed] * 4


class Room(Pod):
    """A pod that begins without nodes."""


async def test_a_mutation_that_fails_after_its_commit_is_looked_up(
    podvisor_host: HostBench,
) -> None:
    """G15, row 3: it is acknowledged, as its row says; the next one stands on it."""
    async with podvisor_host as host:
        host.manager("meters", Meter)
        pod = await Room.get(host.manager("rooms", Room), "r", partition="acme")
        meter = lazy(Meter, manager="meters")

        podvisor_host.faults.fail(Fault(Trouble.IOERR, When.AFTER))
        first = await pod.mutate([add_node("one", meter)])
        podvisor_host.faults.heal()
        await pod.mutate([add_node("two", meter)])

        assert first.added == ("one",)
        assert set(await pod.topology()) == {"one", "two"}


async def test_a_fault_after_the_commit_is_looked_up(podvisor_host: HostBench) -> None:
    """Row 3: the caller is told the truth, which the row knows."""
    async with podvisor_host as host:
        meters = host.manager("meters", Meter)
        meter = await meters.get("m", partition="acme")

        podvisor_host.faults.fail(Fault(Trouble.IOERR, When.AFTER))

        assert await meter.ask(Add()) == 1
        podvisor_host.faults.fail(Fault(Trouble.IOERR, When.BEFORE))
        with pytest.raises(StoreUnavailable, match="ioerr"):
            await meter.ask(Add())
        assert await meter.ask(Add()) == 2


async def test_time_passes_when_it_is_told_to(podvisor_host: HostBench) -> None:
    """G9: an idle instance hibernates when the clock says so, and not before."""
    async with podvisor_host as host:
        meters = host.manager("meters", Meter, idle_timeout=60)
        await meters.get("m", partition="acme")

        await podvisor_host.advance(59)
        assert meters.lookup("m", partition="acme") is not None

        await podvisor_host.advance(2)
        assert meters.lookup("m", partition="acme") is None


async def test_an_orderly_restart_keeps_everything(podvisor_host: HostBench) -> None:
    """A9: managers and state are as they were."""
    async with podvisor_host as host:
        meters = host.manager("meters", Meter)
        meter = await meters.get("m", partition="acme")
        assert await meter.ask(Add()) == 1

        reopened = await podvisor_host.reopen()

        again = await reopened.manager_named("meters").get("m", partition="acme")
        assert await again.ask(Add()) == 2


async def test_what_is_stuck_is_named(
    podvisor_host: HostBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 10: a host that does not come to rest fails the test with who is busy."""
    monkeypatch.setattr("pods.testing.bench._PATIENCE", 0.01)
    async with podvisor_host as host:
        counters = host.manager("counters", Meter)
        counter = await counters.get("c", partition="acme")
        podvisor_host.store.gate.clear()
        await counter.tell(Add())

        with pytest.raises(NotQuiet, match="counters"):
            await podvisor_host.advance(1)

        podvisor_host.store.gate.set()


async def test_partitions_that_share_nothing_pass(
    podvisor_host: HostBench, podvisor_partitions: tuple[str, str]
) -> None:
    """G7: agents of one class and key in two partitions are apart."""
    async with podvisor_host as host:
        meters = host.manager("meters", Meter)
        for partition in podvisor_partitions:
            meter = await meters.get("m", partition=partition)
            await meter.ask(Add())

        await podvisor_host.assert_isolated(*podvisor_partitions)


async def test_an_object_in_two_partitions_is_found(
    podvisor_host: HostBench, podvisor_partitions: tuple[str, str]
) -> None:
    """G7: a list that agents of two partitions hold is named with its place."""
    async with podvisor_host as host:
        leaky = host.manager("leaky", Leaky)
        for partition in podvisor_partitions:
            agent = await leaky.get("l", partition=partition)
            await agent.ask(Remember())

        with pytest.raises(NotIsolated, match="one list is acme"):
            await podvisor_host.assert_isolated(*podvisor_partitions)


async def test_a_ref_into_another_partition_is_found(
    podvisor_host: HostBench, podvisor_partitions: tuple[str, str]
) -> None:
    """G11: a ref of one tenant in the hands of another is named."""
    async with podvisor_host as host:
        gossips = host.manager("gossips", Gossip)
        mine, theirs = [
            await gossips.get("g", partition=partition)
            for partition in podvisor_partitions
        ]
        assert isinstance(theirs, AgentRef)
        await mine.ask(Keep(theirs))

        with pytest.raises(NotIsolated, match="leads to acme-corp"):
            await podvisor_host.assert_isolated(*podvisor_partitions)
