"""The SDK's side of ``setup_telemetry``; imported only when that is called.

To import the SDK takes longer than to import podvisor, and a library should speak the
API alone: this is the one file that imports it.
"""

from __future__ import annotations

import importlib
import sys
from collections import deque
from typing import TYPE_CHECKING

import attrs
from opentelemetry.sdk.metrics import MeterProvider  # noqa: TID251  see above
from opentelemetry.sdk.metrics.export import (  # noqa: TID251  see above
    ConsoleMetricExporter,
    InMemoryMetricReader,
    MetricExporter,
    MetricReader,
    NumberDataPoint,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import (  # noqa: TID251  see above
    OTELResourceDetector,
    Resource,
)
from opentelemetry.sdk.trace import (  # noqa: TID251  see above
    ReadableSpan,
    TracerProvider,
)
from opentelemetry.sdk.trace.export import (  # noqa: TID251  see above
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.version import __version__  # noqa: TID251  see above

from .attributes import PARTITION_ATTRIBUTE

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Memory", "Providers", "ReadableSpan", "build"]

_KEPT = 10_000
"""Finished spans that stay in memory; the oldest goes first."""
_OTLP = "opentelemetry.exporter.otlp.proto.http"


class Memory(SpanExporter):
    """Keeps the latest spans inside the process, and reads its metrics."""

    def __init__(self) -> None:
        self._spans: deque[ReadableSpan] = deque(maxlen=_KEPT)
        self.reader = InMemoryMetricReader()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._spans.extend(spans)
        return SpanExportResult.SUCCESS

    def spans(self, partition: str) -> tuple[ReadableSpan, ...]:
        """Return the kept spans of one partition, the oldest first."""
        return tuple(
            span
            for span in tuple(self._spans)
            if (span.attributes or {}).get(PARTITION_ATTRIBUTE) == partition
        )

    def numbers(self, partition: str) -> dict[str, float]:
        """Return the metrics of one partition now, summed over hosts."""
        found: dict[str, float] = {}
        data = self.reader.get_metrics_data()
        for resource in () if data is None else data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        named = (point.attributes or {}).get(PARTITION_ATTRIBUTE)
                        if named == partition and isinstance(point, NumberDataPoint):
                            so_far = found.get(metric.name, 0)
                            found[metric.name] = so_far + point.value
        return found


@attrs.frozen
class Providers:
    """The providers that ``build`` has made."""

    tracer: TracerProvider
    meter: MeterProvider
    memory: Memory | None


def build(
    service_name: str,
    *,
    console: bool,
    otlp_endpoint: str | None,
    memory: bool,
    interval: float,
) -> Providers:
    """Build providers that export to every requested place.

    Raises:
        ImportError: OTLP was requested, and its exporter is not installed.
    """
    exporters: list[tuple[SpanExporter, MetricExporter]] = []
    if console:
        out = sys.stdout  # read now: the default of the SDK is stdout at its import
        exporters.append((ConsoleSpanExporter(out=out), ConsoleMetricExporter(out=out)))
    if otlp_endpoint is not None:
        exporters.append(_otlp(otlp_endpoint.rstrip("/")))
    readers: list[MetricReader] = [
        PeriodicExportingMetricReader(metrics, export_interval_millis=interval * 1_000)
        for _, metrics in exporters
    ]
    resource = _resource(service_name)
    tracer = TracerProvider(resource=resource)
    for spans, _ in exporters:
        # A thread exports batches: a slow exporter does not hold the loop.
        tracer.add_span_processor(BatchSpanProcessor(spans))
    kept = Memory() if memory else None
    if kept is not None:
        tracer.add_span_processor(SimpleSpanProcessor(kept))
        readers.append(kept.reader)
    return Providers(tracer, MeterProvider(readers, resource), kept)


def _resource(service_name: str) -> Resource:
    # ``Resource.create`` would start threads and wait for them on the event loop.
    known = {
        "service.name": service_name,
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": __version__,
    }
    return OTELResourceDetector().detect().merge(Resource(known))


def _otlp(endpoint: str) -> tuple[SpanExporter, MetricExporter]:
    # By name: the exporter is an extra, so type checkers may not find it.
    traces = importlib.import_module(f"{_OTLP}.trace_exporter")
    metrics = importlib.import_module(f"{_OTLP}.metric_exporter")
    return (
        traces.OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces"),
        metrics.OTLPMetricExporter(endpoint=f"{endpoint}/v1/metrics"),
    )
