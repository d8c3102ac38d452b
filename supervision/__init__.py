"""Supervision: agents, their instances, fair turns, restarts, hosts."""

from __future__ import annotations

from .agents.agent import Agent
from .agents.context import AgentContext
from .agents.extension import Extension, Traits
from .agents.instance import Instance
from .agents.manager_info import Kind
from .agents.phases import Durability, OnParentStop, Phase
from .agents.policy import ManagerPolicy, RestartPolicy
from .agents.ref import AgentRef, Attachment, Referable
from .agents.spec import AgentSpec
from .agents.staging import Staged
from .agents.timers import Schedule
from .declaration.messages import Message, ParentStopped, handler
from .errors.agents import (
    AgentCrashed,
    AgentNotFound,
    DuplicateManager,
    HostClosed,
    LineageRefused,
    OffloadFailed,
    OutOfRuntime,
    Quarantined,
    ShutdownIncomplete,
    StartFailed,
    StopTimeout,
    UnknownManager,
    UnknownResource,
)
from .errors.arguments import check_account
from .errors.messaging import (
    AskCycle,
    AskTimeout,
    IdempotencyMismatch,
    InvalidSchedule,
    LetterNotFound,
    MailboxFull,
    MailroomFull,
    NotHandled,
    NotServed,
    Overloaded,
    UnstorableMessage,
)
from .errors.tenants import InvalidPolicy, Unaccounted, UnknownTenant
from .errors.usage import (
    HandlerError,
    InvalidArgument,
    MissingExtra,
    NotPicklable,
    PartitionMismatch,
)
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
from .loop.watchdog import WatchdogPolicy
from .messaging.policy import MailPolicy
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
from .telemetry.attributes import PARTITION_ATTRIBUTE, partition_extra
from .telemetry.counters import Counters
from .telemetry.latency import Vitals
from .telemetry.logs import PartitionFilter
from .telemetry.setup import Signals, setup_telemetry
from .telemetry.spans import TelemetryPolicy
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
