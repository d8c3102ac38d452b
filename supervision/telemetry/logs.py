"""A log filter that puts the partition on every record."""

from __future__ import annotations

import logging

from .attributes import (
    NO_PARTITION,
    PARTITION_ATTRIBUTE,
    STAMP,
)

__all__ = [
    "PartitionFilter",
]


class PartitionFilter(logging.Filter):
    """Stamps log records with the partition of the turn that made them.

    Add it to a handler: a filter of a logger does not see records of its children::

        handler.addFilter(PartitionFilter())
        handler.setFormatter(Formatter("%(podvisor.partition.id)s %(message)s"))

    A record made outside of any turn gets ``"-"``: the format works for every record.

    Args:
        alias: a second attribute with the partition, as in ``TelemetryPolicy``.
    """

    def __init__(self, *, alias: str | None = None) -> None:
        super().__init__()
        self._alias = alias

    def filter(self, record: logging.LogRecord) -> bool:
        partition = getattr(record, PARTITION_ATTRIBUTE, None)
        if partition is None:
            partition = STAMP.get(NO_PARTITION)
            setattr(record, PARTITION_ATTRIBUTE, partition)
        if self._alias is not None:
            setattr(record, self._alias, partition)
        return True
