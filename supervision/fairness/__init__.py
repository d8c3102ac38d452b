"""Which partition is next, and what may wait: pure arithmetic, no clock, no I/O."""

from __future__ import annotations

from .account import RETURNING, Account, Resource, Ticket
from .backpressure import Admission, PartitionBacklog
from .pacing import StartPacing
from .policy import DispatchPolicy, Priority, Share
from .queue import FairQueue
from .statistics import (
    DispatchStatistics,
    ResourceNumbers,
    ShareNumbers,
    lag_of,
    resource_numbers,
)
from .usage import Blame, History, Period, Usage

__all__ = [
    "RETURNING",
    "Account",
    "Admission",
    "Blame",
    "DispatchPolicy",
    "DispatchStatistics",
    "FairQueue",
    "History",
    "PartitionBacklog",
    "Period",
    "Priority",
    "Resource",
    "ResourceNumbers",
    "Share",
    "ShareNumbers",
    "StartPacing",
    "Ticket",
    "Usage",
    "lag_of",
    "resource_numbers",
]
