"""The host: builds its parts and offers the classes that users call."""

from __future__ import annotations

from .host import Host, HostStatistics
from .manager import InstanceManager, ManagerStatistics
from .partition_handle import PartitionHandle
from .policy import HostPolicy
from .runtime import Runtime
from .shutdown import ShutdownReport

__all__ = [
    "Host",
    "HostPolicy",
    "HostStatistics",
    "InstanceManager",
    "ManagerStatistics",
    "PartitionHandle",
    "Runtime",
    "ShutdownReport",
]
