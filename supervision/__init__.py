"""Supervision: agents, their instances, fair turns, restarts, hosts."""

from __future__ import annotations

from .agent import Agent, AgentSpec
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
from .letterbox import MailPolicy
from .mail_errors import (
    IdempotencyMismatch,
    InvalidSchedule,
    LetterNotFound,
    MailroomFull,
    NotServed,
    UnstorableMessage,
)
from .manager import InstanceManager, ManagerStatistics
from .messages import Message, ParentStopped, handler
from .numbers import ShareNumbers
from .otel import Signals, setup_telemetry
from .phases import Durability, OnParentStop, Phase
from .policies import HostPolicy
from .ref import AgentRef, Attachment, Referable
from .restarts import RestartPolicy
from .runtime import Runtime
from .schedules import Schedule
from .shares import DispatchPolicy, Priority, Share
from .shutdown import ShutdownReport
from .staging import Staged
from .telemetry import (
    PARTITION_ATTRIBUTE,
    Counters,
    PartitionFilter,
    TelemetryPolicy,
    partition_extra,
)
from .tenancy import RequestContext

__distribution__ = "podvisor"  # ``pods`` looks for this line

from .upcasts import upcast

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
    "IdempotencyMismatch",
    "Instance",
    "InstanceManager",
    "InvalidArgument",
    "InvalidSchedule",
    "Kind",
    "LetterNotFound",
    "LineageRefused",
    "MailPolicy",
    "MailboxFull",
    "MailroomFull",
    "ManagerPolicy",
    "ManagerStatistics",
    "Message",
    "MissingExtra",
    "NotHandled",
    "NotPicklable",
    "NotServed",
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
    "Schedule",
    "Share",
    "ShareNumbers",
    "ShutdownIncomplete",
    "ShutdownReport",
    "Signals",
    "Staged",
    "StartFailed",
    "StopTimeout",
    "TelemetryPolicy",
    "Traits",
    "UnknownManager",
    "UnstorableMessage",
    "handler",
    "partition_extra",
    "setup_telemetry",
    "upcast",
]
