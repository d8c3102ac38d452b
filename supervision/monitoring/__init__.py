"""Reads the numbers of a running host and judges them."""

from __future__ import annotations

from .diagnosis import examine
from .health import (
    Cause,
    Extent,
    HealthPolicy,
    HealthReport,
    PartitionHealth,
    PartitionLoad,
    Verdict,
)
from .metrics import Metrics
from .readings import glance, host_load
from .tables import affected_table, health_table

__all__ = [
    "Cause",
    "Extent",
    "HealthPolicy",
    "HealthReport",
    "Metrics",
    "PartitionHealth",
    "PartitionLoad",
    "Verdict",
    "affected_table",
    "examine",
    "glance",
    "health_table",
    "host_load",
]
