"""What is emitted about one partition: counters, latency, spans and log records.

``setup`` and ``sdk`` are no part of this door: they load the OpenTelemetry SDK.
"""

from __future__ import annotations

from .attributes import NO_PARTITION, PARTITION_ATTRIBUTE, STAMP, partition_extra
from .counters import Counters
from .latency import INSTANT, PERIOD, LatencyWindow, Vitals
from .logs import PartitionFilter
from .spans import Telemetry, TelemetryPolicy, end_span

__all__ = [
    "INSTANT",
    "NO_PARTITION",
    "PARTITION_ATTRIBUTE",
    "PERIOD",
    "STAMP",
    "Counters",
    "LatencyWindow",
    "PartitionFilter",
    "Telemetry",
    "TelemetryPolicy",
    "Vitals",
    "end_span",
    "partition_extra",
]
