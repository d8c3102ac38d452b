"""Names of the attributes that say whose a signal is."""

from __future__ import annotations

from contextvars import ContextVar

__all__ = [
    "HOST_ATTRIBUTE",
    "NO_PARTITION",
    "PARTITION_ATTRIBUTE",
    "STAMP",
    "partition_extra",
]


PARTITION_ATTRIBUTE = "podvisor.partition.id"
"""The one attribute that names the partition, on spans, metrics and log records."""


HOST_ATTRIBUTE = "podvisor.host.id"
"""An attribute of the instrumentation scope: which host of a process this is."""


NO_PARTITION = "-"
"""What a log record names that belongs to no partition; never a valid partition id."""


def partition_extra(partition: str, **fields: str | float) -> dict[str, str | float]:
    """Build the ``extra`` of a log record of the runtime."""
    return {PARTITION_ATTRIBUTE: partition, **fields}


STAMP: ContextVar[str] = ContextVar("podvisor_partition")
"""The partition of the turn that runs here; for log records only, never for access."""
