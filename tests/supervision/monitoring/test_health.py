from __future__ import annotations

import asyncio
import sys

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervision import (
    Agent,
    Blame,
    Cause,
    DispatchPolicy,
    Durability,
    Extent,
    HealthPolicy,
    HealthReport,
    Host,
    HostPolicy,
    Message,
    PartitionLoad,
    Share,
    TenantDirectory,
    TenantPolicy,
    Vitals,
    affected_table,
    handler,
    health_table,
)
from supervision.agents.partition import Partition
from supervision.monitoring.diagnosis import entitlements, examine, jain
from supervision.monitoring.health import HostLoad
from supervision.telemetry.latency import PERIOD, percentiles
from tests.support import Burn, Counter, ManualClock, Read, answer, eventually, spin

__all__: list[str] = []

POLICY = HealthPolicy()
FINE = Vitals(p50=0.01, p95=0.02, p99=0.03, answered=100)
SLOW = attrs.evolve(FINE, p95=60.0)


def _load(name: str, vitals: Vitals = FINE, **facts: float) -> PartitionLoad:
    numbers = {"waited": 0.0, "waited_own": 0.0, "held": 10.0, **facts}
    return PartitionLoad(
        partition=name,
        vitals=vitals,
        cap=10,
        waited=numbers["waited"],
        waited_own=numbers["waited_own"],
        held=numbers["held"],
        weight=numbers.get("weight", 1.0),
        target=numbers.get("target"),
        queued=int(numbers.get("queued", 0)),
    )


def _examine(
    *partitions: PartitionLoad, free: int = 3, blocked_by: str | None = None
) -> HealthReport:
    load = HostLoad(
        seats=100,
        free=free,
        window=60.0,
        period=120.0,
        partitions=partitions,
        blocked_by=blocked_by,
    )
    return examine(load, POLICY)


CASES: list[tuple[str, PartitionLoad, Cause | None, str]] = [
    ("well", _load("x"), None, ""),
    ("idle", _load("x", Vitals(), held=0.0), None, ""),
    (
        "store",
        _load("x", attrs.evolve(FINE, store_failures=2)),
        Cause.INFRASTRUCTURE,
        "the store refused 2 commits",
    ),
    (
        "store-before-errors",
        _load("x", attrs.evolve(FINE, store_failures=2, failed=50)),
        Cause.INFRASTRUCTURE,
        "the store refused",
    ),
    (
        "errors",
        _load("x", attrs.evolve(FINE, answered=45, failed=5)),
        Cause.OWN_CODE,
        "10% of its messages fail",
    ),
    ("few-errors", _load("x", attrs.evolve(FINE, answered=4, failed=4)), None, ""),
    ("rare-errors", _load("x", attrs.evolve(FINE, answered=195, failed=5)), None, ""),
    (
        "refused",
        _load("x", attrs.evolve(FINE, rejected=7)),
        Cause.OWN_LIMIT,
        "7 messages refused, its queues are full",
    ),
    (
        "cap",
        _load("x", SLOW, waited=5.0, waited_own=500.0),
        Cause.OWN_LIMIT,
        "it waits for its cap of 10",
    ),
    (
        "crowd",
        _load("x", SLOW, waited=500.0, waited_own=5.0),
        Cause.SHARED,
        "it waits for seats that others hold",
    ),
    ("slow-code", _load("x", SLOW), Cause.OWN_CODE, "its handlers take that long"),
    ("own-target", _load("x", SLOW, target=90.0), None, ""),
    (
        "silence",
        _load("x", Vitals(), waited=30.0, queued=4, held=0.0),
        Cause.SHARED,
        "4 messages wait, and none was answered",
    ),
]


@pytest.mark.parametrize(
    ("load", "cause", "why"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_the_cause_of_trouble_is_told_from_the_numbers(
    load: PartitionLoad, cause: Cause | None, why: str
) -> None:
    """P7: own-limit, own-code, shared or infrastructure, and the same in words."""
    report = _examine(load, _load("y"))

    found = {p.partition: p for p in report.partitions}["x"]
    assert found.cause is cause
    assert why in found.why
    assert found.affected is (cause is not None)
    assert {p.partition for p in report.verdict.affected} == ({"x"} if cause else set())


def test_refused_mail_is_shared_trouble_when_the_host_is_full() -> None:
    """P7: a partition is not blamed for the crowd."""
    load = _load("x", attrs.evolve(FINE, rejected=7), waited=9.0)

    report = _examine(load, free=0)

    assert report.verdict.cause is Cause.SHARED


def test_whoever_blocks_the_loop_is_what_the_others_wait_for() -> None:
    """P7, O13: the one who blocks is named to those who are slow by it."""
    report = _examine(_load("x", SLOW), _load("y", SLOW), blocked_by="y")

    why = {p.partition: (p.cause, p.why) for p in report.partitions}
    assert why["x"][0] is Cause.SHARED
    assert "y blocks the event loop" in why["x"][1]
    assert why["y"][0] is Cause.OWN_CODE


def test_a_busy_loop_is_laid_to_those_who_use_it() -> None:
    """P7: who used most of it is slow by his own doing."""
    hog = _load("hog", attrs.evolve(SLOW, loop_seconds=110.0))
    light = _load("light", attrs.evolve(SLOW, loop_seconds=1.0))

    report = _examine(hog, light)

    causes = {p.partition: p.cause for p in report.partitions}
    assert causes == {"hog": Cause.OWN_CODE, "light": Cause.SHARED}


@pytest.mark.parametrize(
    ("affected", "in_use", "extent"),
    [
        (0, 10, Extent.NONE),
        (1, 10, Extent.ONE),
        (1, 1, Extent.ONE),
        (2, 10, Extent.SOME),
        (8, 10, Extent.SOME),
        (9, 10, Extent.ALL),
        (10, 10, Extent.ALL),
        (2, 2, Extent.ALL),
    ],
)
def test_the_extent_is_one_or_some_or_all(
    affected: int, in_use: int, extent: Extent
) -> None:
    """P7: of those that are in use; who sleeps does not count."""
    bad = [_load(f"bad{n}", SLOW) for n in range(affected)]
    good = [_load(f"good{n}") for n in range(in_use - affected)]
    asleep = [_load(f"asleep{n}", Vitals(), held=0.0) for n in range(50)]

    verdict = _examine(*bad, *good, *asleep).verdict

    assert verdict.extent is extent
    assert len(verdict.affected) == affected
    assert verdict.in_use == in_use
    assert extent.value in str(verdict)


def test_the_cause_of_most_is_the_verdict() -> None:
    """P7: and of two as frequent, the graver."""
    broken = attrs.evolve(FINE, store_failures=1)

    most = _examine(_load("a", SLOW), _load("b", SLOW), _load("c", broken))
    tie = _examine(_load("a", SLOW), _load("c", broken))

    assert most.verdict.cause is Cause.OWN_CODE
    assert tie.verdict.cause is Cause.INFRASTRUCTURE
    assert most.partitions[0].partition == "c"


@pytest.mark.parametrize(
    ("total", "claims", "due"),
    [
        (20, [(5, 3), (1, 99), (1, 99), (1, 99)], [3, 17 / 3, 17 / 3, 17 / 3]),
        (12, [(1, 99), (2, 99)], [4, 8]),
        (12, [(1, 2), (1, 3)], [2, 3]),
        (0, [(1, 5)], [0]),
        (5, [], []),
    ],
    ids=["capped", "weights", "plenty", "nothing", "nobody"],
)
def test_what_each_is_due_is_weighted_and_capped(
    total: float, claims: list[tuple[float, float]], due: list[float]
) -> None:
    """O12: as the dispatcher divides the seats in the long run (T5)."""
    assert entitlements(total, claims) == pytest.approx(due)


@given(
    total=st.floats(0, 1e6),
    claims=st.lists(st.tuples(st.floats(0.1, 100), st.floats(0, 1e6)), max_size=12),
)
def test_nobody_is_due_more_than_there_is(
    total: float, claims: list[tuple[float, float]]
) -> None:
    """O12: none beyond its limit, and nothing is left while somebody wants it."""
    due = entitlements(total, claims)

    limits = [limit for _, limit in claims]
    assert all(d <= limit + 1e-6 for d, limit in zip(due, limits, strict=True))
    assert sum(due) == pytest.approx(min(total, sum(limits)), abs=1e-3)


@pytest.mark.parametrize(
    ("ratios", "index"),
    [([], 1.0), ([0.0], 1.0), ([2.0, 2.0], 1.0), ([1.0, 0.0, 0.0, 0.0], 0.25)],
)
def test_jains_index_is_one_when_all_get_alike(
    ratios: list[float], index: float
) -> None:
    """O12: and 1/n when one gets everything."""
    assert jain(ratios) == pytest.approx(index)


def test_fairness_is_that_of_those_who_want_more_than_they_get() -> None:
    """O12: who wants little and gets it says nothing about the others."""
    fair = _examine(
        _load("a", held=30.0, waited=5.0), _load("b", held=30.0, waited=5.0)
    )
    weighted = _examine(
        _load("a", held=60.0, waited=5.0, weight=3),
        _load("b", held=20.0, waited=5.0),
        _load("sated", held=0.1),
    )
    unfair = _examine(
        _load("a", held=59.0, waited=5.0), _load("b", held=1.0, waited=5.0)
    )

    assert (fair.fairness, fair.fair, fair.contending) == (1.0, True, 2)
    assert weighted.fairness == pytest.approx(1.0)
    assert weighted.contending == 2
    assert unfair.fairness < 0.6
    assert not unfair.healthy
    assert fair.healthy


@given(seconds=st.lists(st.floats(1e-4, 900.0), min_size=1, max_size=300))
def test_a_percentile_is_right_within_an_eighth(seconds: list[float]) -> None:
    """P7: small, and good enough to act on."""
    partition = _partition()

    for value in seconds:
        partition.latency.note(value, 1.0)
    vitals = partition.latency.vitals(1.0)

    ordered = sorted(seconds)
    for found, part in ((vitals.p50, 50), (vitals.p95, 95), (vitals.p99, 99)):
        exact = ordered[-(-len(ordered) * part // 100) - 1]
        assert found == pytest.approx(exact, rel=0.13)


def _partition() -> Partition:
    return Host("memory://").runtime.catalog.partition("acme")


def test_times_beyond_the_scale_are_counted_at_its_ends() -> None:
    """P7: neither a negative time nor a week breaks anything."""
    partition = _partition()

    for value in (-1.0, 0.0, 1e-9, 1e9):
        partition.latency.note(value, 1.0)
    vitals = partition.latency.vitals(1.0)

    assert 0 < vitals.p50 < 0.001
    assert vitals.p99 > 900


def test_what_is_long_past_is_forgotten() -> None:
    """P7: a partition that was slow an hour ago is not affected now."""
    partition = _partition()
    seen: list[tuple[float, int]] = []

    for now in (0.0, PERIOD + 1, 2 * PERIOD + 2, 9 * PERIOD):
        if now == 0.0:
            partition.counters.handled += 1
            partition.latency.note(60.0, now)
        vitals = partition.latency.vitals(now)
        seen.append((round(vitals.p50), vitals.answered))

    assert seen == [(60, 1), (60, 1), (0, 0), (0, 0)]


def test_a_partition_that_nobody_looked_at_starts_afresh() -> None:
    """P7: what lies between two looks an hour apart is no news of this minute."""
    partition = _partition()
    for now, seconds in ((0.0, 60.0), (60 * PERIOD, 60.0), (120 * PERIOD, 0.01)):
        partition.counters.failed += 1
        partition.latency.note(seconds, now)

    vitals = partition.latency.vitals(120 * PERIOD)

    assert vitals.p99 < 0.1
    assert vitals.failed == 1


def test_a_full_bucket_keeps_the_proportions() -> None:
    """P7: a million messages a minute, in half a kilobyte."""
    partition = _partition()
    for n in range(70_000):
        partition.latency.note(8.0 if n % 5 == 0 else 0.001, 1.0)

    vitals = partition.latency.vitals(1.0)

    assert vitals.p50 == pytest.approx(0.001, rel=0.13)
    assert vitals.p95 == pytest.approx(8.0, rel=0.13)


def test_an_idle_partition_takes_little_memory() -> None:
    """P7: what health keeps of it is allocated when it is used, and let go after."""
    partition = _partition()
    fresh = _size(partition)
    partition.latency.note(1.0, 0.0)
    partition.latency.note(1.0, PERIOD)
    busy = _size(partition)
    partition.latency.vitals(10 * PERIOD)

    assert fresh <= 128
    assert busy <= 768
    assert _size(partition) <= 128


def _size(partition: Partition) -> int:
    latency = partition.latency
    held = [latency._present, latency._past]  # pyright: ignore[reportPrivateUsage]
    return sys.getsizeof(latency) + sum(sys.getsizeof(c) for c in held if c is not None)


async def test_a_partition_whose_handlers_fail_is_the_one_that_is_affected(
    host: Host,
) -> None:
    """P7, O12: by its own code, and nobody else."""
    counters = host.manager("counters", Counter)
    bad = await counters.get("one", partition="acme")
    good = await counters.get("one", partition="beta")

    for _ in range(6):
        await answer(bad.ask(Burn()))
        await good.ask(Read())

    verdict = host.affected()
    assert (verdict.extent, verdict.cause) == (Extent.ONE, Cause.OWN_CODE)
    assert [p.partition for p in verdict.affected] == ["acme"]
    assert verdict.in_use == 2
    report = host.health()
    assert {p.partition: p.load.vitals.failed for p in report.partitions} == {
        "acme": 6,
        "beta": 0,
    }


class Toil(Message[None]):
    """Hold a seat until the gate opens."""

    gate: asyncio.Event


class Toiler(Agent):
    @handler
    async def toil(self, message: Toil) -> None:
        await message.gate.wait()


async def _flood(
    host: Host, group: asyncio.TaskGroup, partition: str, gate: asyncio.Event, n: int
) -> None:
    toilers = host.manager_named("toilers")
    for number in range(n):
        ref = await toilers.get(f"k{number}", partition=partition)
        group.create_task(ref.ask(Toil(gate), timeout=1e6))


def _host(clock: ManualClock, seats: int = 4, **caps: int) -> Host:
    tenants = TenantDirectory(
        {
            name: TenantPolicy(concurrency_cap=cap, response_target=5.0)
            for name, cap in caps.items()
        }
    )
    dispatch = DispatchPolicy(seats=seats, inline=0, share=Share(cap=seats))
    policy = HostPolicy(dispatch=dispatch)
    host = Host("memory://", clock=clock, policy=policy, tenants=tenants)
    host.manager("toilers", Toiler, durability=Durability.NONE)
    return host


async def test_a_partition_at_its_cap_waits_for_its_own_limit(
    clock: ManualClock,
) -> None:
    """P7, O11, O12: the hit is counted, and nobody else is to blame."""
    gate = asyncio.Event()
    async with _host(clock, acme=1) as host, asyncio.TaskGroup() as group:
        await _flood(host, group, "acme", gate, 3)
        await eventually(lambda: host.statistics().running == 1)
        clock.advance(30)
        report = host.health()
        gate.set()

    (acme,) = report.verdict.affected
    assert acme.cause is Cause.OWN_LIMIT
    assert acme.cap_use == 1.0
    assert acme.load.cap_hits >= 1
    assert acme.load.waited_own > 50
    assert acme.load.waited == 0
    assert report.blame == ()
    assert report.free == 3


async def test_who_made_whom_wait_is_told(clock: ManualClock) -> None:
    """P7, O12: one holds the seats while the other waits for one."""
    gate = asyncio.Event()
    async with (
        _host(clock, seats=2, hog=2, light=2) as host,
        asyncio.TaskGroup() as group,
    ):
        await _flood(host, group, "hog", gate, 2)
        await eventually(lambda: host.statistics().running == 2)
        await _flood(host, group, "light", gate, 1)
        await spin()
        clock.advance(30)
        report = host.health()
        gate.set()

    (light,) = report.verdict.affected
    assert (light.partition, light.cause) == ("light", Cause.SHARED)
    (blame,) = report.blame
    assert (blame.waiting, blame.holding) == ("light", "hog")
    assert blame.seconds == pytest.approx(30, abs=6)
    assert light.load.waited_own == 0


async def test_a_tenants_own_target_is_what_it_is_measured_by(
    clock: ManualClock,
) -> None:
    """O5, P7: four hours for one are too long for another."""
    tenants = TenantDirectory({"bank": TenantPolicy(response_target=4 * 3600.0)})
    async with Host("memory://", clock=clock, tenants=tenants) as host:
        toilers = host.manager("toilers", Toiler, durability=Durability.NONE)
        gate = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for name in ("bank", "beta"):
                ref = await toilers.get("one", partition=name)
                group.create_task(ref.ask(Toil(gate)))
            await eventually(lambda: host.statistics().running == 2)
            clock.advance(20)
            gate.set()

        verdict = host.affected()

    assert [p.partition for p in verdict.affected] == ["beta"]
    assert verdict.affected[0].load.vitals.p50 == pytest.approx(20, rel=0.13)


def test_a_report_is_drawn_as_a_table() -> None:
    """P7: what a person reads at night, those with trouble first."""
    report = attrs.evolve(
        _examine(_load("fine"), _load("slow", SLOW), _load("idle", Vitals())),
        blame=(Blame("slow", "fine", 12.0),),
    )

    table = health_table(report, limit=2)
    short = affected_table(report.verdict)

    cells = [list(column.cells) for column in table.columns]
    assert [str(cell) for cell in cells[0]] == ["slow", "fine"]
    assert [str(cell) for cell in cells[1]] == ["own-code", "-"]
    assert "one: 1 of 2 partitions in use, cause: own-code" in str(table.title)
    assert "and 1 more" in str(table.caption)
    assert "slow waited 12.0 s for seats that fine held" in str(table.caption)
    assert short.row_count == 1


def test_no_percentile_of_nothing() -> None:
    assert percentiles((), (0.5, 0.99)) == (0.0, 0.0)
