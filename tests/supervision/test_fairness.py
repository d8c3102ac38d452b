from __future__ import annotations

import asyncio
from collections import Counter as Tally

import attrs
from hypothesis import given
from hypothesis import strategies as st

from supervision import (
    Agent,
    DispatchPolicy,
    Durability,
    Host,
    HostPolicy,
    ManagerPolicy,
    Message,
    handler,
)
from supervision.rounds import Lane, RoundRobin
from tests.support import Counter, Tick, eventually, spin

__all__: list[str] = []


def test_lanes_take_turns_whatever_their_depth() -> None:
    """Holds 7: a lane with one item waits for one item of each other, no more."""
    fair: RoundRobin[str] = RoundRobin(10_000)
    big, small = Lane[str]("big", 10_000), Lane[str]("small", 10_000)
    for n in range(5_000):
        fair.enter(big, f"b{n}")
    fair.enter(small, "s")

    order = [picked[1] for _ in range(3) if (picked := fair.pick())]

    assert order == ["b0", "s", "b1"]


def test_a_lane_at_its_cap_is_passed_over_until_a_seat_is_given_back() -> None:
    """Holds 7: the cap of one partition costs the others nothing."""
    fair: RoundRobin[str] = RoundRobin(3)
    big, small = Lane[str]("big", 1), Lane[str]("small", 9)
    for item in "abc":
        fair.enter(big, item)
    fair.enter(small, "s")

    first = [fair.pick(), fair.pick(), fair.pick()]
    fair.leave(big)
    fair.enter(big, "urgent", first=True)
    second = fair.pick()

    assert first == [(big, "a"), (small, "s"), None]
    assert second == (big, "urgent")
    assert repr(fair) == "<RoundRobin free=1 lanes=0>"


@given(
    st.integers(1, 5),
    st.lists(st.integers(1, 4), min_size=1, max_size=6),
    st.lists(st.tuples(st.sampled_from("epl"), st.integers(0, 5)), max_size=200),
)
def test_seats_caps_and_order_hold_under_any_operations(
    seats: int, caps: list[int], operations: list[tuple[str, int]]
) -> None:
    """Holds 7: never above a cap, nothing lost, first in first out, no idle seat."""
    fair: RoundRobin[int] = RoundRobin(seats)
    lanes = [Lane[int](f"p{n}", cap) for n, cap in enumerate(caps)]
    entered: dict[str, list[int]] = {lane.partition: [] for lane in lanes}
    picked: dict[str, list[int]] = {lane.partition: [] for lane in lanes}

    for step, (what, which) in enumerate(operations):
        lane = lanes[which % len(lanes)]
        if what == "e":
            fair.enter(lane, step)
            entered[lane.partition].append(step)
        elif what == "l" and lane.seats:
            fair.leave(lane)
        elif what == "p" and (found := fair.pick()) is not None:
            picked[found[0].partition].append(found[1])
        assert fair.free == seats - sum(one.seats for one in lanes) >= 0
        assert all(one.seats <= one.cap for one in lanes)

    while (found := fair.pick()) is not None:
        picked[found[0].partition].append(found[1])
    for lane in lanes:
        done = picked[lane.partition]
        assert done + list(lane.waiting) == entered[lane.partition]
        assert fair.free == 0 or not lane.waiting or lane.seats == lane.cap


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

    inside: Tally[str] = attrs.field(factory=Tally[str])
    most: Tally[str] = attrs.field(factory=Tally[str])


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
    policy = HostPolicy(dispatch=DispatchPolicy(seats=5, partition_cap=3))
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

    policy = HostPolicy(dispatch=DispatchPolicy(seats=8, partition_cap=4))
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
