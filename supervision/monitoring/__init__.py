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
from .readings import host_load, quick_check
from .tables import affected_table, health_table
from .view import HostView

__all__ = [
    "Cause",
    "Extent",
    "HealthPolicy",
    "HealthReport",
    "HostView",
    "Metrics",
    "PartitionHealth",
    "PartitionLoad",
    "Verdict",
    "affected_table",
    "examine",
    "health_table",
    "host_load",
    "quick_check",
]
