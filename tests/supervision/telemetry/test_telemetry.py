from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Iterator, Mapping

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import (  # noqa: TID251  a test is an application
    ReadableSpan,
)
from opentelemetry.trace import SpanKind, StatusCode

from persistence import MemoryStore, check_partition
from supervision import (
    PARTITION_ATTRIBUTE,
    AskTimeout,
    Host,
    PartitionFilter,
)
from supervision.loop.tasks import BackgroundTasks, WorkerPool
from supervision.telemetry.attributes import NO_PARTITION, STAMP
from supervision.telemetry.spans import Telemetry
from tests.supervision.sinks import (
    SECRET,
    Fail,
    Forward,
    Hold,
    Masquerade,
    Pass,
    Say,
    SayLater,
    Sink,
    Team,
    app_log,
)
from tests.support import ManualClock, answer, eventually

__all__: list[str] = []

PARTITIONS = {"acme", "acme-corp", "globex"}


@pytest.fixture
def sink() -> Iterator[Sink]:
    """Hear all that podvisor logs."""
    made = Sink()
    logger = logging.getLogger("podvisor")
    logger.addHandler(made)
    before = logger.level
    logger.setLevel(logging.DEBUG)
    yield made
    logger.setLevel(before)
    logger.removeHandler(made)


def named(attributes: Mapping[str, object] | None) -> object:
    """Return the partition that a signal names."""
    return (attributes or {}).get(PARTITION_ATTRIBUTE)


def one(spans: list[ReadableSpan]) -> ReadableSpan:
    assert len(spans) == 1, spans
    return spans[0]


def identity(span: ReadableSpan) -> trace.SpanContext:
    context = span.get_span_context()
    assert context is not None
    return context


def ancestor(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


async def test_every_signal_of_the_runtime_names_its_partition(sink: Sink) -> None:
    """G13: spans, links, events, metric points and log records, of all that it does."""
    async with Host(store=MemoryStore(), policy=sink.policy()) as host:
        team = Team.of(host)
        async with asyncio.TaskGroup() as group:
            for partition in PARTITIONS:
                group.create_task(team.do_everything(partition))
        points = sink.points()

    spans = sink.finished()
    assert {named(span.attributes) for span in spans} == PARTITIONS
    assert {named(link.attributes) for s in spans for link in s.links} == PARTITIONS
    assert not [event for span in spans for event in span.events]
    assert {named(attributes) for _, attributes, _ in points} == PARTITIONS
    records = [record for record in sink.records if record.name.startswith("podvisor")]
    assert {named(vars(record)) for record in records} == PARTITIONS
    assert {record.msg for record in records} >= {
        "instance.crashed",
        "instance.quarantined",
        "instance.released",
    }


async def test_names_of_spans_are_few_and_name_nobody(sink: Sink) -> None:
    """G13: verb and manager, whatever the partition and the key."""
    async with Host(store=MemoryStore(), policy=sink.policy()) as host:
        team = Team.of(host)
        for partition in PARTITIONS:
            await team.do_everything(partition)

    managers = {"clerks", "brittle", "offices"}
    names = {tuple(span.name.split(" ")) for span in sink.finished()}
    verbs = {verb for verb, _ in names}
    assert {manager for _, manager in names} == managers
    assert verbs >= {"send", "process", "start", "thaw", "hibernate", "reconcile"}
    assert len(names) <= len(verbs) * len(managers)


async def test_no_span_and_no_metric_carries_what_a_tenant_said(sink: Sink) -> None:
    """B7: neither payload nor reply nor the text of an error; of that only the type."""
    async with Host(store=MemoryStore(), policy=sink.policy()) as host:
        await Team.of(host).do_everything("acme")
        points = sink.points()

    spans = sink.finished()
    failed = [s for s in spans if s.status.status_code is StatusCode.ERROR]
    assert not [span for span in spans if SECRET in span.to_json()]
    assert SECRET not in str(points)
    assert "ValueError" in {s.status.description for s in failed}
    kinds = [(s.attributes or {}).get("error.type") for s in failed]
    assert kinds == [s.status.description for s in failed]


@pytest.mark.parametrize("message", [Say(), SayLater()])
async def test_an_ask_is_a_child_of_the_span_it_was_made_in(
    sink: Sink, message: Say | SayLater
) -> None:
    """G13: caller, send, process: one trace, whether inline or in a worker."""
    async with Host(store=MemoryStore(), policy=sink.policy()) as host:
        clerk = await Team.of(host).clerks.get("a", partition="acme")
        with sink.tracer_provider.get_tracer("app").start_as_current_span("request"):
            await clerk.ask(message)

    request = one(sink.finished("request"))
    send = one(sink.finished("send clerks"))
    process = one(sink.finished("process clerks"))
    assert (send.kind, process.kind) == (SpanKind.CLIENT, SpanKind.SERVER)
    assert ancestor(send) == identity(request).span_id
    assert ancestor(process) == identity(send).span_id
    assert identity(process).trace_id == identity(request).trace_id
    assert not process.links


async def test_an_ask_from_a_handler_is_a_child_of_that_handler(sink: Sink) -> None:
    """G13: the trace goes on through agents."""
    async with Host(store=MemoryStore(), policy=sink.policy()) as host:
        clerk = await Team.of(host).clerks.get("a", partition="acme")
        await clerk.ask(Forward("b"))

    inner, outer = sink.finished("process clerks")
    sends = {identity(s).span_id: s for s in sink.finished("send clerks")}
    assert ancestor(sends[ancestor(inner) or 0]) == identity(outer).span_id
    assert identity(inner).trace_id == identity(outer).trace_id


async def test_the_span_of_an_ask_lasts_until_its_reply(sink: Sink) -> None:
    """G13: it covers the wait, and so the handling."""
    async with Host(store=MemoryStore(), policy=sink.policy()) as host:
        clerk = await Team.of(host).clerks.get("a", partition="acme")
        await clerk.ask(SayLater())

    send = one(sink.finished("send clerks"))
    process = one(sink.finished("process clerks"))
    assert (send.start_time or 0) <= (process.start_time or 0)
    assert (send.end_time or 0) >= (process.end_time or 0)


async def test_the_span_of_an_ask_says_how_it_failed(sink: Sink) -> None:
    """G13: a crash, a timeout, a caller that left; each by its type."""
    clock = ManualClock()
    async with Host(store=MemoryStore(), policy=sink.policy(), clock=clock) as host:
        clerk = await Team.of(host).clerks.get("a", partition="acme")
        hold = Hold()

        await answer(clerk.ask(Fail()))
        async with asyncio.TaskGroup() as group:
            late = group.create_task(answer(clerk.ask(hold, timeout=5)))
            await hold.entered.wait()
            left = group.create_task(answer(clerk.ask(Say(), timeout=50)))
            await eventually(lambda: host.statistics().queued)
            clock.advance(5)
            left.cancel()
        hold.gate.set()

    assert isinstance(late.result(), AskTimeout)
    sends = sink.finished("send clerks")
    assert [s.status.description for s in sends] == [
        "ValueError",
        "AskTimeout",
        "CancelledError",
    ]
    assert {named(s.attributes) for s in sends} == {"acme"}


async def test_restarts_and_quarantines_are_spans(sink: Sink) -> None:
    """G13: one each, in the partition whose instance crashed."""
    async with Host(store=MemoryStore(), policy=sink.policy()) as host:
        team = Team.of(host)
        tough = await team.clerks.get("a", partition="acme")
        weak = await team.brittle.get("a", partition="globex")
        await answer(tough.ask(Fail()))
        await answer(weak.ask(Fail()))

    restart = one(sink.finished("restart clerks"))
    quarantine = one(sink.finished("quarantine brittle"))
    assert named(restart.attributes) == "acme"
    assert restart.status.description == "ValueError"
    assert named(quarantine.attributes) == "globex"


def test_the_span_of_past_work_is_as_long_as_it_took(sink: Sink) -> None:
    """G13: an operator sees how long a thaw takes."""
    telemetry = Telemetry(sink.policy().telemetry)

    telemetry.mark("thaw", "clerks", "acme", seconds=2.5)

    thaw = one(sink.finished("thaw clerks"))
    took = (thaw.end_time or 0) - (thaw.start_time or 0)
    assert took >= 2_500_000_000


@pytest.mark.parametrize("outside", [True, False])
async def test_a_tell_begins_a_trace_of_its_own_with_a_link(
    sink: Sink, *, outside: bool
) -> None:
    """G13: from outside and from a turn alike; nobody waits for it."""
    async with Host(store=MemoryStore(), policy=sink.policy()) as host:
        clerks = Team.of(host).clerks
        clerk = await clerks.get("a", partition="acme")
        other = await clerks.get("b", partition="acme")
        if outside:
            await other.tell(Say())
        else:
            await clerk.ask(Pass("b"))

    process = one([s for s in sink.finished() if s.kind is SpanKind.CONSUMER])
    send = one([s for s in sink.finished() if s.kind is SpanKind.PRODUCER])
    assert process.parent is None
    assert identity(process).trace_id != identity(send).trace_id
    assert [link.context.span_id for link in process.links] == [identity(send).span_id]


@pytest.mark.parametrize("sample", [0.0, 0.25])
async def test_a_part_of_the_messages_from_outside_gets_spans(
    sink: Sink, monkeypatch: pytest.MonkeyPatch, sample: float
) -> None:
    """G13: a request has its spans all the way, or none of them."""
    draws = itertools.cycle((0.1, 0.5, 0.7, 0.9))
    monkeypatch.setattr(
        "supervision.telemetry.spans.random.random", lambda: next(draws)
    )
    async with Host(store=MemoryStore(), policy=sink.policy(sample=sample)) as host:
        clerks = Team.of(host).clerks
        clerk = await clerks.get("a", partition="acme")
        await clerks.get("b", partition="acme")
        for _ in range(4):
            await clerk.ask(Forward("b"))
        for _ in range(4):
            await clerk.tell(Pass("b"))
        await eventually(
            lambda: host.runtime.catalog.partition("acme").counters.handled == 16
        )

    assert len(sink.finished("process clerks")) == (4 if sample else 0)


async def test_what_is_sent_inside_a_span_follows_it(sink: Sink) -> None:
    """G13: whatever part is sampled, a trace that has begun is whole."""
    tracer = sink.tracer_provider.get_tracer("application")
    policy = sink.policy(sample=0.0)
    async with Host(store=MemoryStore(), policy=policy) as host:
        clerk = await Team.of(host).clerks.get("a", partition="acme")
        await clerk.ask(Say())
        with tracer.start_as_current_span("request"):
            await clerk.ask(Say())

    assert len(sink.finished("process clerks")) == 1


async def test_two_hosts_do_not_mix(sink: Sink) -> None:
    """G1: two hosts of one process, each with its own sink, hear only themselves."""
    other = Sink()
    async with (
        Host(store=MemoryStore(), policy=sink.policy()) as here,
        Host(store=MemoryStore(), policy=other.policy()) as there,
    ):
        await Team.of(here).do_everything("acme")
        await Team.of(there).do_everything("globex")
        points, others = sink.points(), other.points()

    assert {named(span.attributes) for span in sink.finished()} == {"acme"}
    assert {named(span.attributes) for span in other.finished()} == {"globex"}
    assert {named(attributes) for _, attributes, _ in points} == {"acme"}
    assert {named(attributes) for _, attributes, _ in others} == {"globex"}


async def test_two_hosts_of_one_provider_both_count(sink: Sink) -> None:
    """G1: the second one's numbers are neither lost nor laid over the first one's."""
    async with (
        Host(store=MemoryStore(), policy=sink.policy()) as here,
        Host(store=MemoryStore(), policy=sink.policy()) as there,
    ):
        near = await Team.of(here).clerks.get("a", partition="acme")
        far = await Team.of(there).clerks.get("a", partition="acme")
        await near.ask(Say())
        for _ in range(2):
            await far.ask(Say())
        asks = [value for name, _, value in sink.points() if name == "podvisor.asks"]

    assert sorted(asks) == [1, 2]


async def test_an_alias_stands_beside_the_partition(sink: Sink) -> None:
    """G13: on spans and points of a host that asks for one."""
    policy = sink.policy(alias="tenant.id")
    async with Host(store=MemoryStore(), policy=policy) as host:
        await Team.of(host).do_everything("acme")
        points = [attributes for _, attributes, _ in sink.points()]

    signals = [*points, *(span.attributes or {} for span in sink.finished())]
    assert {named(s) for s in signals} == {"acme"}
    assert all(s.get("tenant.id") == "acme" for s in signals)


async def test_a_provider_configured_after_the_start_is_found(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G13: with the next activation; until then there are no spans and no cost."""
    monkeypatch.setattr("supervision.telemetry.spans._PROVIDER_CHECK", 0.0)
    async with Host(store=MemoryStore()) as host:
        clerks = Team.of(host).clerks
        clerk = await clerks.get("a", partition="acme")
        await clerk.ask(Say())
        untraced = host.runtime.telemetry.tracing
        monkeypatch.setattr(trace, "get_tracer_provider", lambda: sink.tracer_provider)
        await clerks.get("b", partition="acme")
        await clerk.ask(Say())

    assert not untraced
    assert len(sink.finished("process clerks")) == 1
    assert {named(span.attributes) for span in sink.finished()} == {"acme"}


@pytest.mark.parametrize("message", [Say(), SayLater()])
async def test_a_filter_on_a_handler_stamps_what_users_log(
    message: Say | SayLater,
) -> None:
    """G13: child loggers' records and handlers' own, inline and in a worker."""
    heard = Sink()
    heard.addFilter(PartitionFilter(alias="tenant.id"))
    app_log.addHandler(heard)
    app_log.setLevel(logging.INFO)
    child = app_log.getChild("further.down")
    try:
        async with Host(store=MemoryStore()) as host:
            clerks = Team.of(host).clerks
            async with asyncio.TaskGroup() as group:
                for partition in sorted(PARTITIONS):
                    clerk = await clerks.get("a", partition=partition)
                    group.create_task(clerk.ask(message))
            child.info("outside")
    finally:
        app_log.removeHandler(heard)

    stamps = [named(vars(record)) for record in heard.records]
    assert sorted(map(str, stamps)) == [NO_PARTITION, *sorted(PARTITIONS)]
    assert [vars(r)["tenant.id"] for r in heard.records] == stamps
    assert STAMP.get(None) is None


async def test_the_stamp_decides_nothing(sink: Sink) -> None:
    """A2: a handler that sets it to another partition stays in its own."""
    async with Host(store=MemoryStore(), policy=sink.policy()) as host:
        clerks = Team.of(host).clerks
        clerk = await clerks.get("a", partition="acme")
        await clerks.get("other", partition="globex")
        token = STAMP.set("globex")
        try:
            found = await clerk.ask(Masquerade("globex"))
            outside = clerks.lookup("a", partition="globex")
        finally:
            STAMP.reset(token)

    assert found == "acme"
    assert outside is None
    assert {named(s.attributes) for s in sink.finished("process clerks")} == {"acme"}


async def test_a_task_that_fails_names_the_partition_it_worked_for(sink: Sink) -> None:
    """G13: the library's own tasks and the pooled ones, which then start clean."""

    async def broken() -> None:
        STAMP.set("globex")
        raise RuntimeError("a bug")

    async def doomed() -> None:
        raise RuntimeError("a bug")

    background, workers = BackgroundTasks(), WorkerPool()
    background.start(doomed, "stop something", "acme")
    _ = background.hold(doomed, "podvisor-writer")
    first = workers.run(broken)
    await eventually(lambda: len(sink.records) == 3)
    second = workers.run(doomed)
    await eventually(lambda: len(sink.records) == 4)
    await background.end(1)
    await workers.end(1)

    stamps = [named(vars(record)) for record in sink.records]
    assert stamps == ["acme", NO_PARTITION, "globex", NO_PARTITION]
    assert second is first


def test_the_names_for_nobody_are_no_partitions() -> None:
    """G13: no tenant can be taken for them."""
    for name in (NO_PARTITION, "_other"):
        with pytest.raises(ValueError, match="partition"):
            check_partition(name)
