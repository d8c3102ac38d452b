from __future__ import annotations

import asyncio
import gc
import weakref

import attrs
import pytest
from opentelemetry import metrics

from persistence import MemoryStore
from supervision import Counters, Host
from supervision.monitoring.metrics import COUNTERS, OTHER
from tests.supervision.sinks import Fail, Hold, Say, Sink, Team
from tests.support import answer, eventually

__all__: list[str] = []


async def test_every_counter_is_exported_and_described() -> None:
    """G13: no number of the runtime is left out, and each says what it counts."""
    sink = Sink()
    async with Host(store=MemoryStore(), policy=sink.policy()) as host:
        clerk = await Team.of(host).clerks.get("a", partition="acme")
        await clerk.ask(Say())
        await answer(clerk.ask(Fail()))
        found = {name: value for name, _, value in sink.points()}

    counted = [field.name for field in attrs.fields(Counters)]
    assert list(COUNTERS) == counted
    assert set(found) == {
        *(f"podvisor.{name}" for name in counted),
        "podvisor.instances.live",
        "podvisor.mailbox.messages",
        "podvisor.loop.time",
        "podvisor.handler.loop.time",
    }
    assert found["podvisor.asks"] == 2
    assert found["podvisor.handled"] == 1
    assert found["podvisor.crashes"] == 1
    assert found["podvisor.instances.live"] == 1


async def test_mailboxes_and_instances_are_counted_now() -> None:
    """G13: they go up and down again, down to an explicit nought."""
    sink = Sink()
    async with Host(store=MemoryStore(), policy=sink.policy()) as host:
        clerks = Team.of(host).clerks
        clerk = await clerks.get("a", partition="acme")
        hold = Hold()
        async with asyncio.TaskGroup() as group:
            group.create_task(clerk.ask(hold))
            await hold.entered.wait()
            group.create_task(clerk.ask(Say()))
            await eventually(lambda: host.statistics().queued)
            waiting = sink.values("podvisor.mailbox.messages")
            hold.gate.set()
        live = sink.values("podvisor.instances.live")
        await clerks.stop("a", partition="acme")

        assert waiting == {"acme": 1}
        assert live == {"acme": 1}
        assert sink.values("podvisor.mailbox.messages") == {"acme": 0}
        assert sink.values("podvisor.instances.live") == {"acme": 0}


async def test_partitions_past_the_first_are_summed_and_totals_stay_true() -> None:
    """G13: 50 partitions, 10 of them with points: nothing is lost."""
    sink = Sink()
    async with Host(store=MemoryStore(), policy=sink.policy(top=10)) as host:
        clerks = Team.of(host).clerks
        for number in range(50):
            clerk = await clerks.get("a", partition=f"p{number}")
            for _ in range(number):
                await clerk.ask(Say())
        asks = sink.values("podvisor.asks")
        live = sink.values("podvisor.instances.live")

    assert set(asks) == {OTHER, *(f"p{number}" for number in range(10))}
    assert [asks[f"p{number}"] for number in range(10)] == list(range(10))
    assert sum(asks.values()) == sum(range(50))
    assert live[OTHER] == 40
    assert sum(live.values()) == 50


async def test_counters_never_fall_while_tenants_come_and_go() -> None:
    """G13: waves of new tenants; the first keep their points, totals stay true."""
    sink = Sink()
    seen: dict[object, float] = {}
    async with Host(store=MemoryStore(), policy=sink.policy(top=10)) as host:
        clerks = Team.of(host).clerks
        for wave in range(5):
            for number in range(8):
                partition = f"wave{wave}-{number}"
                clerk = await clerks.get("a", partition=partition)
                await clerk.ask(Say())
                await clerks.stop("a", partition=partition)
            now = sink.values("podvisor.asks")
            assert all(now[partition] >= value for partition, value in seen.items())
            assert sum(now.values()) == (wave + 1) * 8
            assert len(now) <= 11
            seen = now
        hibernated = sink.values("podvisor.hibernations")
        live = sink.values("podvisor.instances.live")

    assert sum(hibernated.values()) == 40
    assert set(live.values()) == {0}


async def test_the_metrics_of_a_closed_host_end_and_do_not_hold_it() -> None:
    """G13, P6: no points after the close, and the provider keeps no host alive."""
    sink = Sink()
    async with Host(store=MemoryStore(), policy=sink.policy()) as host:
        clerk = await Team.of(host).clerks.get("a", partition="acme")
        await clerk.ask(Say())
        before = sink.values("podvisor.asks")
    closed = sink.points()
    watch = weakref.ref(host.runtime)
    del host, clerk
    gc.collect()

    assert before == {"acme": 1}
    assert closed == []
    assert watch() is None


async def test_a_host_that_never_started_registers_nothing() -> None:
    """G13: instruments are made at the start, not before."""
    sink = Sink()

    host = Host(store=MemoryStore(), policy=sink.policy())

    assert sink.points() == []
    assert host.runtime.state.open is False


async def test_without_a_provider_of_its_own_a_host_uses_the_global_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """G13: it is looked up at the start, and never set."""
    sink = Sink()
    before = metrics.get_meter_provider()
    monkeypatch.setattr(
        "supervision.monitoring.metrics.get_meter_provider", lambda: sink.meter_provider
    )

    async with Host(store=MemoryStore()) as host:
        await Team.of(host).clerks.get("a", partition="acme")
        starts = sink.values("podvisor.starts")

    assert starts == {"acme": 1}
    assert metrics.get_meter_provider() is before
