"""Supervision: agents, their instances, fair turns, restarts, hosts."""

from __future__ import annotations

from .agents.agent import Agent, AgentSpec
from .agents.context import AgentContext, Traits
from .agents.instance import Instance
from .agents.manager_info import Extension, Kind, ManagerPolicy
from .agents.phases import Durability, OnParentStop, Phase
from .agents.policy import RestartPolicy
from .agents.ref import AgentRef, Attachment, Referable
from .agents.staging import Staged
from .agents.timers import Schedule
from .declaration.messages import Message, ParentStopped, handler
from .declaration.resources import UnknownResource
from .errors.agents import (
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
from .errors.arguments import check_account
from .errors.messaging import (
    IdempotencyMismatch,
    InvalidSchedule,
    LetterNotFound,
    MailroomFull,
    NotServed,
    UnstorableMessage,
)
from .errors.tenants import InvalidPolicy, Unaccounted, UnknownTenant
from .execution.offload import OffloadPolicy
from .fairness.policy import DispatchPolicy, Priority, Share
from .fairness.statistics import DispatchStatistics, ResourceNumbers, ShareNumbers
from .fairness.usage import Blame
from .host.host import Host, HostStatistics
from .host.manager import InstanceManager, ManagerStatistics
from .host.partition_handle import PartitionHandle
from .host.policy import HostPolicy
from .host.runtime import Runtime
from .host.shutdown import ShutdownReport
from .loop.blocking import BlockingPolicy, OnBlock
from .loop.loop_time import HandlerTime
from .loop.processes import OffloadFailed
from .loop.watchdog import WatchdogPolicy
from .messaging.partition_letters import MailPolicy
from .monitoring.health import (
    Cause,
    Extent,
    HealthPolicy,
    HealthReport,
    PartitionHealth,
    PartitionLoad,
    Verdict,
)
from .monitoring.tables import affected_table, health_table
from .telemetry.latency import Vitals
from .telemetry.setup import Signals, setup_telemetry
from .telemetry.spans import (
    PARTITION_ATTRIBUTE,
    Counters,
    PartitionFilter,
    TelemetryPolicy,
    partition_extra,
)
from .tenants.directory import PolicyChange, TenantDirectory, Unknown
from .tenants.policy import Setting, TenantPolicy
from .tenants.request import RequestContext

__distribution__ = "podvisor"  # ``pods`` looks for this line

from .declaration.upcasts import upcast

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
    "Blame",
    "BlockingPolicy",
    "Cause",
    "Counters",
    "DispatchPolicy",
    "DispatchStatistics",
    "DuplicateManager",
    "Durability",
    "Extension",
    "Extent",
    "HandlerError",
    "HandlerTime",
    "HealthPolicy",
    "HealthReport",
    "Host",
    "HostClosed",
    "HostPolicy",
    "HostStatistics",
    "IdempotencyMismatch",
    "Instance",
    "InstanceManager",
    "InvalidArgument",
    "InvalidPolicy",
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
    "OffloadFailed",
    "OffloadPolicy",
    "OnBlock",
    "OnParentStop",
    "OutOfRuntime",
    "Overloaded",
    "ParentStopped",
    "PartitionFilter",
    "PartitionHandle",
    "PartitionHealth",
    "PartitionLoad",
    "PartitionMismatch",
    "Phase",
    "PolicyChange",
    "Priority",
    "Quarantined",
    "Referable",
    "RequestContext",
    "ResourceNumbers",
    "RestartPolicy",
    "Runtime",
    "Schedule",
    "Setting",
    "Share",
    "ShareNumbers",
    "ShutdownIncomplete",
    "ShutdownReport",
    "Signals",
    "Staged",
    "StartFailed",
    "StopTimeout",
    "TelemetryPolicy",
    "TenantDirectory",
    "TenantPolicy",
    "Traits",
    "Unaccounted",
    "Unknown",
    "UnknownManager",
    "UnknownResource",
    "UnknownTenant",
    "UnstorableMessage",
    "Verdict",
    "Vitals",
    "WatchdogPolicy",
    "affected_table",
    "check_account",
    "handler",
    "health_table",
    "partition_extra",
    "setup_telemetry",
    "upcast",
]
