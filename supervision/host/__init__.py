"""Builds one host from its parts, and is the face that users see of it."""

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
