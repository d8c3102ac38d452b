"""The event loop, its tasks, and the threads and processes that work for it.

No file of this room knows what an agent is.
"""

from __future__ import annotations

from .blocking import BlockingPolicy, OnBlock, decide_block
from .completion import finish
from .limiter import Permits
from .loop_time import HandlerTime, LoopTime, Meter, handler_times
from .processes import Child, Children
from .tasks import Crew, Workers
from .threads import JOB, Job, Threads, on_loop
from .watchdog import Watchdog, WatchdogPolicy

__all__ = [
    "JOB",
    "BlockingPolicy",
    "Child",
    "Children",
    "Crew",
    "HandlerTime",
    "Job",
    "LoopTime",
    "Meter",
    "OnBlock",
    "Permits",
    "Threads",
    "Watchdog",
    "WatchdogPolicy",
    "Workers",
    "decide_block",
    "finish",
    "handler_times",
    "on_loop",
]
