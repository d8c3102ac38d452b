"""From a caller's future to a batch on the store, and back to the caller."""

from __future__ import annotations

from .reader import HOST, Reader, ReadPolicy, ReadStatistics
from .writer import CommitPolicy, CommitStatistics, Writer

__all__ = [
    "HOST",
    "CommitPolicy",
    "CommitStatistics",
    "ReadPolicy",
    "ReadStatistics",
    "Reader",
    "Writer",
]
