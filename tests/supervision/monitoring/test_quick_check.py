"""``host.affected()``: one look will do when nobody is, and agrees with the report."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Callable
from types import FrameType

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from supervision import (
    Agent,
    Blame,
    DispatchPolicy,
    Durability,
    Extent,
    HealthPolicy,
    Host,
    HostPolicy,
    Message,
    PartitionLoad,
    Share,
    TenantDirectory,
    TenantPolicy,
    Vitals,
    handler,
)
from supervision.agents.partition import Partition
from supervision.monitoring.diagnosis import examine
from supervision.monitoring.health import HostLoad
from supervision.monitoring.readings import quick_check
from supervision.telemetry.latency import LatencyWindow
from tests.support import ManualClock, spin

__all__: list[str] = []

SLOW = Vitals(p95=60.0, answered=100, loop_seconds=1.0)
ANYBODY = Host("memory://").runtime.catalog.partition("anybody")


@given(
    past=st.lists(st.floats(1e-4, 900.0), max_size=60),
    present=st.lists(st.floats(1e-4, 900.0), max_size=60),
    target=st.floats(1e-3, 600.0),
)
@example(past=[], present=[*19 * [0.01], 60.0], target=5.0)
def test_a_glance_and_a_percentile_agree(
    past: list[float], present: list[float], target: float
) -> None:
    """P7: who is slow by one is slow by the other."""
    partition = ANYBODY
    partition.latency = LatencyWindow(partition.counters, partition.loop_seconds)
    for now, seconds in ((1.0, past), (62.0, present)):
        for value in seconds:
            partition.latency.note(value, now)

    exceeds = partition.latency.exceeds(target)

    assert exceeds is (partition.latency.vitals(62.0).p95 > target)


Trouble = Callable[[Partition], None]


def _counted(name: str, by: int) -> Trouble:
    def trouble(partition: Partition) -> None:
        counters = partition.counters
        setattr(counters, name, getattr(counters, name) + by)

    return trouble


def _answered(seconds: float, times: int) -> Trouble:
    def trouble(partition: Partition) -> None:
        for _ in range(times):
            partition.counters.handled += 1
            partition.latency.note(seconds, 1_000.0)

    return trouble


def _queued(partition: Partition) -> None:
    partition.backlog.put()


@pytest.mark.parametrize(
    "troubles",
    [
        [],
        [_answered(0.01, 50)],
        [_answered(0.01, 50), _answered(60.0, 1)],
        [_answered(0.01, 50), _answered(60.0, 9)],
        [_answered(8.0, 9)],
        [_counted("failed", 4)],
        [_counted("failed", 5)],
        [_answered(0.01, 500), _counted("failed", 6)],
        [_counted("rejected", 1)],
        [_counted("save_failures", 1)],
        [_queued],
        [_queued, _answered(0.01, 1)],
    ],
)
@pytest.mark.parametrize("target", [None, 5.0, 90.0])
def test_affected_says_what_health_says(
    clock: ManualClock, troubles: list[Trouble], target: float | None
) -> None:
    """P7: the short way and the long way give the same verdict."""
    tenants = TenantDirectory({"bad": TenantPolicy(response_target=target)})
    host = Host("memory://", clock=clock, tenants=tenants)
    bad, good = (
        host.runtime.catalog.partition("bad"),
        host.runtime.catalog.partition("good"),
    )
    host.runtime.catalog.partition("asleep")
    _answered(0.01, 3)(good)
    for trouble in troubles:
        trouble(bad)

    verdict = host.affected()

    assert verdict == host.health().verdict
    if quick_check(host.runtime.view) is not None:
        assert verdict.extent is Extent.NONE


def _calls(work: Callable[[], object]) -> int:
    """Count the calls and resumptions of Python code that something makes."""
    count = 0

    def tick(_: FrameType, event: str, __: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(tick)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def test_an_outage_is_judged_at_the_price_of_its_size() -> None:
    """P7: a thousand slow partitions are no million looks at each other."""

    def outage(size: int) -> HostLoad:
        load = PartitionLoad(partition="p", vitals=SLOW, held=1.0)
        each = tuple(attrs.evolve(load, partition=f"p{n}") for n in range(size))
        return HostLoad(seats=9, free=9, window=60.0, period=120.0, partitions=each)

    policy = HealthPolicy()

    small, large = (
        _calls(functools.partial(examine, outage(size), policy)) for size in (40, 400)
    )

    assert large <= 12 * small


class Toil(Message[None]):
    """Hold a seat until the gate opens."""

    gate: asyncio.Event


class Toiler(Agent):
    @handler
    async def toil(self, message: Toil) -> None:
        await message.gate.wait()


async def test_health_gives_each_partitions_numbers(clock: ManualClock) -> None:
    """O12: p50, p95, p99 and cap use each, Jain's index, and who made whom wait."""
    policy = HostPolicy(dispatch=DispatchPolicy(seats=3, share=Share(cap=2)))
    gate = asyncio.Event()
    async with Host("memory://", clock=clock, policy=policy) as host:
        toilers = host.manager("toilers", Toiler, durability=Durability.NONE)
        for name in ("hog", "late"):
            for n in range(2):
                ref = await toilers.get(f"k{n}", partition=name)
                await ref.tell(Toil(gate))
                await spin()
        clock.advance(30.0)
        for name, quick, slow in (("hog", 1.0, 8.0), ("late", 0.01, 0.02)):
            partition = host.runtime.catalog.partition(name)
            for n in range(100):
                seconds = slow if n >= 90 else quick
                partition.latency.note(seconds, clock.monotonic())

        report, verdict = host.health(), host.affected()
        gate.set()

    numbers = {p.partition: p for p in report.partitions}
    hog, late = numbers["hog"], numbers["late"]
    assert hog.load.vitals.p50 == pytest.approx(1.0, rel=0.13)
    assert hog.load.vitals.p95 == pytest.approx(8.0, rel=0.13)
    assert late.load.vitals.p99 == pytest.approx(0.02, rel=0.13)
    assert (hog.cap_use, late.cap_use) == (1.0, 0.5)
    assert (hog.load.held, late.load.held, late.load.waited) == (60.0, 30.0, 30.0)
    assert report.blame == (Blame("late", "hog", 20.0),)
    assert verdict == report.verdict
    assert [p.partition for p in verdict.affected] == ["late"]
    assert (report.contending, report.fairness, report.fair) == (1, 1.0, True)
