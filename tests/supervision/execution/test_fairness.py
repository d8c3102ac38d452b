from __future__ import annotations

import asyncio
from collections import Counter as PartitionBacklog

import attrs

from supervision import (
    Agent,
    DispatchPolicy,
    Durability,
    Host,
    HostPolicy,
    ManagerPolicy,
    Message,
    Share,
    handler,
)
from tests.support import Counter, Tick, eventually, spin

__all__: list[str] = []


async def test_a_flood_of_one_partition_delays_another_by_few_turns() -> None:
    """Holds 7: counted in turns of the flooder, not in time."""
    log: list[str] = []
    async with Host("memory://") as host:
        policy = ManagerPolicy(durability=Durability.NONE, mailbox=10_000)
        counters = host.manager("counters", Counter, policy=policy)
        for n in range(50):
            ref = await counters.get(f"k{n}", partition="acme")
            for _ in range(100):
                await ref.tell(Tick(log, "acme"))
        light = await counters.get("one", partition="globex")
        begun = len(log)
        await light.tell(Tick(log, "globex"))

        await eventually(lambda: len(log) == 5_001)

    waited = log.index("globex") - begun
    assert waited <= 2 * policy.batch


@attrs.define
class Gauge:
    """How many handlers are inside at a time, by partition."""

    inside: PartitionBacklog[str] = attrs.field(factory=PartitionBacklog[str])
    most: PartitionBacklog[str] = attrs.field(factory=PartitionBacklog[str])


class Enter(Message[None]):
    gauge: Gauge


class Worker(Agent):
    @handler
    async def enter(self, message: Enter) -> None:
        gauge, name = message.gauge, self.context.partition
        gauge.inside[name] += 1
        for key, number in (*gauge.inside.items(), ("all", gauge.inside.total())):
            gauge.most[key] = max(gauge.most[key], number)
        for _ in range(3):
            await asyncio.sleep(0)
        gauge.inside[name] -= 1


async def test_caps_hold_for_a_partition_and_for_the_host() -> None:
    """Holds 7: a partition that fills its cap leaves seats to the others."""
    gauge = Gauge()
    policy = HostPolicy(dispatch=DispatchPolicy(seats=5, share=Share(cap=3)))
    async with Host("memory://", policy=policy) as host:
        workers = host.manager("workers", Worker, durability=Durability.NONE)
        async with asyncio.TaskGroup() as group:
            for n in range(40):
                for partition in ("acme", "globex"):
                    ref = await workers.get(f"k{n}", partition=partition)
                    group.create_task(ref.ask(Enter(gauge)))

        assert gauge.most == {"acme": 3, "globex": 3, "all": 5}
        await eventually(lambda: host.statistics().free_seats == 5)


async def test_a_partition_that_fills_its_seats_for_ever_wedges_nobody() -> None:
    """Mistake of others: a shared pool that one tenant fills."""
    gate = asyncio.Event()

    class Hold(Message[None]):
        pass

    class Holder(Agent):
        @handler
        async def hold(self, message: Hold) -> None:
            await gate.wait()

    policy = HostPolicy(dispatch=DispatchPolicy(seats=8, share=Share(cap=4)))
    log: list[str] = []
    async with Host("memory://", policy=policy) as host:
        holders = host.manager("holders", Holder, durability=Durability.NONE)
        counters = host.manager("counters", Counter, durability=Durability.NONE)
        for n in range(20):
            await (await holders.get(f"k{n}", partition="acme")).tell(Hold())
        await spin()
        other = await counters.get("one", partition="globex")

        await other.ask(Tick(log, "globex"))
        await other.tell(Tick(log, "again"))
        await eventually(lambda: len(log) == 2)
        gate.set()

    assert log == ["globex", "again"]


async def test_the_inline_budget_ends_a_run_of_asks() -> None:
    """Holds 7: a caller that never waits cannot keep the loop for itself."""
    log: list[str] = []
    policy = HostPolicy(dispatch=DispatchPolicy(inline=4))
    async with Host("memory://", policy=policy) as host:
        counters = host.manager("counters", Counter, durability=Durability.NONE)
        ref = await counters.get("one", partition="acme")
        loop = asyncio.get_running_loop()
        loop.call_soon(log.append, "loop")

        for n in range(20):
            await ref.ask(Tick(log, str(n)))

    assert log.index("loop") <= 4
    assert [mark for mark in log if mark != "loop"] == [str(n) for n in range(20)]
