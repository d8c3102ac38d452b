"""Names of the attributes that tell the partition and the host of a signal."""

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
"""The attribute of the instrumentation scope that tells hosts of a process apart."""


NO_PARTITION = "-"
"""The partition of a log record that belongs to none; never a valid partition id."""


def partition_extra(partition: str, **fields: str | float) -> dict[str, str | float]:
    """Build the ``extra`` of a log record of the runtime."""
    return {PARTITION_ATTRIBUTE: partition, **fields}


STAMP: ContextVar[str] = ContextVar("podvisor_partition")
"""The partition of the turn that runs; for log records only, never for access."""
