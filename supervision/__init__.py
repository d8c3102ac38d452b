"""Supervision: agents, their instances, fair turns, restarts, hosts."""

from __future__ import annotations

from .agent import Agent, AgentSpec, upcast
from .context import AgentContext, Traits
from .dispatcher import DispatchStatistics
from .errors import (
    AgentCrashed,
    AgentNotFound,
    AskCycle,
    AskTimeout,
    DuplicateManager,
    HandlerError,
    HostClosed,
    InvalidArgument,
    LineageRefused,
    MailboxFull,
    MissingExtra,
    NotHandled,
    NotPicklable,
    OutOfRuntime,
    Overloaded,
    PartitionMismatch,
    Quarantined,
    ShutdownIncomplete,
    StartFailed,
    StopTimeout,
    UnknownManager,
)
from .handle import PartitionHandle
from .host import Host, HostStatistics
from .instance import Instance
from .kind import Extension, Kind, ManagerPolicy
from .manager import InstanceManager, ManagerStatistics
from .messages import Message, ParentStopped, handler
from .numbers import ShareNumbers
from .otel import Signals, setup_telemetry
from .phases import Durability, OnParentStop, Phase
from .policies import HostPolicy
from .ref import AgentRef, Attachment, Referable
from .restarts import RestartPolicy
from .runtime import Runtime
from .shares import DispatchPolicy, Priority, Share
from .shutdown import ShutdownReport
from .telemetry import (
    PARTITION_ATTRIBUTE,
    Counters,
    PartitionFilter,
    TelemetryPolicy,
    partition_extra,
)
from .tenancy import RequestContext

__distribution__ = "podvisor"  # ``pods`` looks for this line

__all__ = [
    "PARTITION_ATTRIBUTE",
    "Agent",
    "AgentContext",
    "AgentCrashed",
    "AgentNotFound",
    "AgentRef",
    "AgentSpec",
    "AskCycle",
    "AskTimeout",
    "Attachment",
    "Counters",
    "DispatchPolicy",
    "DispatchStatistics",
    "DuplicateManager",
    "Durability",
    "Extension",
    "HandlerError",
    "Host",
    "HostClosed",
    "HostPolicy",
    "HostStatistics",
    "Instance",
    "InstanceManager",
    "InvalidArgument",
    "Kind",
    "LineageRefused",
    "MailboxFull",
    "ManagerPolicy",
    "ManagerStatistics",
    "Message",
    "MissingExtra",
    "NotHandled",
    "NotPicklable",
    "OnParentStop",
    "OutOfRuntime",
    "Overloaded",
    "ParentStopped",
    "PartitionFilter",
    "PartitionHandle",
    "PartitionMismatch",
    "Phase",
    "Priority",
    "Quarantined",
    "Referable",
    "RequestContext",
    "RestartPolicy",
    "Runtime",
    "Share",
    "ShareNumbers",
    "ShutdownIncomplete",
    "ShutdownReport",
    "Signals",
    "StartFailed",
    "StopTimeout",
    "TelemetryPolicy",
    "Traits",
    "UnknownManager",
    "handler",
    "partition_extra",
    "setup_telemetry",
    "upcast",
]
