from __future__ import annotations

import functools
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType

import attrs
import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics.export import (  # noqa: TID251  a test is an application
    MetricExporter,
    MetricExportResult,
    MetricsData,
)
from opentelemetry.sdk.trace import (  # noqa: TID251  likewise
    ReadableSpan,
)
from opentelemetry.sdk.trace.export import (  # noqa: TID251  likewise
    SpanExporter,
    SpanExportResult,
)

from persistence import MemoryStore
from pods import Host, HostPolicy, MissingExtra, PodsError, Signals, setup_telemetry
from supervision import PARTITION_ATTRIBUTE
from tests.supervision.sinks import Say, Team

__all__: list[str] = []

OTLP = "opentelemetry.exporter.otlp.proto.http"


@attrs.define(eq=False)
class Collector:
    """Stands in for a collector and its exporters; it can hang, and it can fail."""

    urls: list[str] = attrs.field(factory=list[str])
    spans: list[ReadableSpan] = attrs.field(factory=list[ReadableSpan])
    names: set[str] = attrs.field(factory=set[str])
    open: threading.Event = attrs.field(factory=threading.Event)
    broken: bool = False

    def take(self) -> None:
        self.open.wait(15)
        if self.broken:
            raise OSError("the collector is away")


@attrs.define(eq=False)
class Spans(SpanExporter):
    collector: Collector

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.collector.take()
        self.collector.spans.extend(spans)
        return SpanExportResult.SUCCESS


class Numbers(MetricExporter):
    def __init__(self, collector: Collector) -> None:
        super().__init__()
        self.collector = collector

    def export(
        self,
        metrics_data: MetricsData,
        timeout_millis: float = 10_000,
        **kwargs: object,
    ) -> MetricExportResult:
        for resource in metrics_data.resource_metrics:
            for scope in resource.scope_metrics:
                self.collector.names |= {metric.name for metric in scope.metrics}
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        if self.collector.broken:
            raise OSError("the collector is away")


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Install the extra, as far as this process can see."""
    made = Collector()
    made.open.set()

    def connect(endpoint: str, make: Callable[[Collector], object]) -> object:
        made.urls.append(endpoint)
        return make(made)

    for module, name, make in (
        ("trace_exporter", "OTLPSpanExporter", Spans),
        ("metric_exporter", "OTLPMetricExporter", Numbers),
    ):
        installed = ModuleType(f"{OTLP}.{module}")
        vars(installed)[name] = functools.partial(connect, make=make)
        monkeypatch.setitem(sys.modules, installed.__name__, installed)
    yield made
    made.open.set()


async def use(signals: Signals, *partitions: str) -> None:
    """Run a host whose telemetry goes there, and flush before it closes."""
    policy = HostPolicy(telemetry=signals.policy(alias="tenant.id", top=5))
    async with Host(store=MemoryStore(), policy=policy) as host:
        clerks = Team.of(host).clerks
        for partition in partitions:
            clerk = await clerks.get("a", partition=partition)
            await clerk.ask(Say())
        await signals.flush(1)


async def test_spans_in_memory_are_found_by_partition() -> None:
    """G13: one tenant's spans, and nothing of the others'."""
    signals = setup_telemetry("app", memory=True)
    await use(signals, "acme", "acme-corp")

    names = [span.name for span in signals.spans(partition="acme")]
    attributes = [dict(s.attributes or {}) for s in signals.spans(partition="acme")]

    assert "process clerks" in names
    assert all(a[PARTITION_ATTRIBUTE] == "acme" for a in attributes)
    assert all(a["tenant.id"] == "acme" for a in attributes)
    assert signals.spans(partition="acm") == ()
    assert await signals.shutdown()


async def test_numbers_in_memory_are_found_by_partition() -> None:
    """G13: what running hosts count now."""
    signals = setup_telemetry("app", memory=True)
    policy = HostPolicy(telemetry=signals.policy())
    async with Host(store=MemoryStore(), policy=policy) as host:
        clerks = Team.of(host).clerks
        near = await clerks.get("a", partition="acme")
        await clerks.get("a", partition="globex")
        await near.ask(Say())
        acme = signals.numbers(partition="acme")
        globex = signals.numbers(partition="globex")

    assert (acme["podvisor.asks"], globex["podvisor.asks"]) == (1, 0)
    assert acme["podvisor.instances.live"] == 1
    assert signals.numbers(partition="nobody") == {}
    assert await signals.shutdown()


async def test_memory_holds_the_latest_spans_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """P6: what is kept for a look is bounded."""
    monkeypatch.setattr("supervision.telemetry.sdk._KEPT", 3)
    signals = setup_telemetry("app", memory=True)

    await use(signals, "acme", "globex")

    kept = [*signals.spans(partition="acme"), *signals.spans(partition="globex")]
    assert len(kept) == 3
    assert "hibernate clerks" in {span.name for span in kept}
    assert await signals.shutdown()


async def test_the_service_is_named_on_everything() -> None:
    """G13: the resource says which application it was."""
    signals = setup_telemetry("our-app", memory=True)

    await use(signals, "acme")

    resources = [s.resource.attributes for s in signals.spans(partition="acme")]
    assert resources
    assert all(resource["service.name"] == "our-app" for resource in resources)
    assert await signals.shutdown()


async def test_globals_are_left_alone() -> None:
    """G1: other libraries and other hosts of the process keep what they had."""
    before = trace.get_tracer_provider(), metrics.get_meter_provider()

    signals = setup_telemetry("app", memory=True)
    await use(signals, "acme")
    await signals.shutdown()

    assert (trace.get_tracer_provider(), metrics.get_meter_provider()) == before


def test_globals_are_set_when_asked_for() -> None:
    """G13: in a process of its own, for it can be done once only."""
    code = (
        "from opentelemetry import metrics, trace\n"
        "from pods import setup_telemetry\n"
        "s = setup_telemetry('app', memory=True, set_global=True)\n"
        "assert trace.get_tracer_provider() is s.tracer_provider\n"
        "assert metrics.get_meter_provider() is s.meter_provider\n"
    )

    done = subprocess.run([sys.executable, "-c", code], check=False)  # noqa: S603  our own text

    assert done.returncode == 0


def test_the_sdk_is_not_imported_with_the_package() -> None:
    """G13: only ``setup_telemetry`` pays for it."""
    code = (
        "import sys, pods\n"
        "assert not [m for m in sys.modules if m.startswith('opentelemetry.sdk')]\n"
    )

    done = subprocess.run([sys.executable, "-c", code], check=False)  # noqa: S603  our own text

    assert done.returncode == 0


async def test_console_export_prints_spans(capsys: pytest.CaptureFixture[str]) -> None:
    """G13: a person who tries it sees them, at the latest when it is shut down."""
    signals = setup_telemetry("app", console=True)

    await use(signals, "acme")
    done = await signals.shutdown()

    assert done
    assert '"process clerks"' in capsys.readouterr().out


async def test_otlp_goes_to_the_paths_of_a_collector(collector: Collector) -> None:
    """G13: from a base URL, with or without a slash at its end."""
    signals = setup_telemetry("app", otlp_endpoint="http://localhost:4318/")

    await use(signals, "acme")
    done = await signals.shutdown()

    assert done
    assert collector.urls == [
        "http://localhost:4318/v1/traces",
        "http://localhost:4318/v1/metrics",
    ]
    assert "process clerks" in {span.name for span in collector.spans}
    assert "podvisor.asks" in collector.names


@pytest.mark.parametrize("flush", [True, False])
async def test_an_exporter_that_hangs_is_left_behind(
    collector: Collector, *, flush: bool
) -> None:
    """B10: shutdown and flush come back at their deadline; the loop is free."""
    signals = setup_telemetry("app", otlp_endpoint="http://localhost:4318")
    signals.tracer_provider.get_tracer("app").start_span("work").end()
    collector.open.clear()

    done = await (signals.flush(0.01) if flush else signals.shutdown(0.01))

    assert not done
    assert not collector.spans
    collector.open.set()
    assert await signals.shutdown() is True


async def test_an_exporter_that_fails_is_reported_and_raises_nothing(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    """B10: telemetry never fails the application."""
    signals = setup_telemetry("app", otlp_endpoint="http://localhost:4318")
    collector.broken = True

    done = await signals.shutdown()

    assert not done
    assert "telemetry.export_failed" in {record.msg for record in caplog.records}


async def test_a_second_shutdown_does_nothing() -> None:
    """G13: closing is idempotent."""
    signals = setup_telemetry("app", memory=True)

    first, second = await signals.shutdown(), await signals.shutdown()

    assert (first, second) == (True, True)
    assert repr(signals) == "<Signals closed>"


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """G13: the error names the command."""
    monkeypatch.setitem(sys.modules, f"{OTLP}.trace_exporter", None)

    with pytest.raises(MissingExtra, match=r"pip install 'podvisor\[otlp\]'") as raised:
        setup_telemetry("app", otlp_endpoint="http://localhost:4318")

    assert isinstance(raised.value, PodsError)
    assert isinstance(raised.value, ImportError)


def test_nowhere_to_go_is_refused() -> None:
    """G13: providers that export nothing are a mistake."""
    with pytest.raises(ValueError, match="give a target"):
        setup_telemetry("app")


@pytest.mark.parametrize("endpoint", ["localhost:4318", "grpc://localhost:4317"])
def test_what_is_no_url_is_refused(endpoint: str) -> None:
    """G13: before any connection is tried."""
    with pytest.raises(ValueError, match="otlp_endpoint"):
        setup_telemetry("app", otlp_endpoint=endpoint)


def test_without_memory_there_is_nothing_to_look_at() -> None:
    """G13: an empty answer would look like a tenant without traffic."""
    signals = setup_telemetry("app", console=True)

    with pytest.raises(RuntimeError, match="memory=True"):
        signals.spans(partition="acme")
    with pytest.raises(RuntimeError, match="memory=True"):
        signals.numbers(partition="acme")
