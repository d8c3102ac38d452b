"""The event loop, its tasks, and the threads and processes that work for it.

No file of this room knows what an agent is.
"""

from __future__ import annotations

from .blocking import BlockingPolicy, OnBlock, decide_block
from .completion import finish
from .limiter import PartitionLimiter
from .loop_time import HandlerTime, LoopTime, Meter, handler_times
from .processes import ChildProcess, ProcessPool
from .tasks import BackgroundTasks, WorkerPool
from .threads import OFFLOADED_CALL, OffloadedCall, Threads, on_loop
from .watchdog import Watchdog, WatchdogPolicy

__all__ = [
    "OFFLOADED_CALL",
    "BackgroundTasks",
    "BlockingPolicy",
    "ChildProcess",
    "HandlerTime",
    "LoopTime",
    "Meter",
    "OffloadedCall",
    "OnBlock",
    "PartitionLimiter",
    "ProcessPool",
    "Threads",
    "Watchdog",
    "WatchdogPolicy",
    "WorkerPool",
    "decide_block",
    "finish",
    "handler_times",
    "on_loop",
]
