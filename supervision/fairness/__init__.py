"""Which partition is next and what may wait: arithmetic without clock, loop or I/O."""

from __future__ import annotations

from .account import RETURNING, Account, Resource, Ticket
from .backpressure import Admission, Tally
from .pacing import Pace
from .policy import DispatchPolicy, Priority, Share
from .queue import FairQueue
from .statistics import (
    DispatchStatistics,
    ResourceNumbers,
    ShareNumbers,
    lag_of,
    resource_numbers,
)
from .usage import Blame, History, Period, Stretch

__all__ = [
    "RETURNING",
    "Account",
    "Admission",
    "Blame",
    "DispatchPolicy",
    "DispatchStatistics",
    "FairQueue",
    "History",
    "Pace",
    "Period",
    "Priority",
    "Resource",
    "ResourceNumbers",
    "Share",
    "ShareNumbers",
    "Stretch",
    "Tally",
    "Ticket",
    "lag_of",
    "resource_numbers",
]
