"""The way of a unit or a read from its caller to a store call, and back."""

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
