"""An agent, its live instance as data, and the handles that reach it."""

from __future__ import annotations

from .agent import Agent
from .context import PLAIN, AgentContext
from .extension import Extension, Traits
from .family import attach_child, detach_child, family_used, is_busy
from .instance import Instance, Seeker
from .mailbox import Envelope
from .manager_info import ManagerInfo
from .partition import Partition
from .phases import (
    COMMITTING,
    IDLE,
    READY,
    RUNNING,
    SETTLED,
    STARTING,
    STOPPED,
    Durability,
    OnParentStop,
    Phase,
)
from .policy import GiveUp, ManagerPolicy, RestartAfter, RestartPolicy, StayDown, decide
from .ref import AgentRef, Attachment, Referable
from .services import HostServices
from .spec import AgentSpec, offloaded
from .staging import Acknowledgement, Staged
from .timers import Schedule, Timing, next_due, schedule_of

__all__ = [
    "COMMITTING",
    "IDLE",
    "PLAIN",
    "READY",
    "RUNNING",
    "SETTLED",
    "STARTING",
    "STOPPED",
    "Acknowledgement",
    "Agent",
    "AgentContext",
    "AgentRef",
    "AgentSpec",
    "Attachment",
    "Durability",
    "Envelope",
    "Extension",
    "GiveUp",
    "HostServices",
    "Instance",
    "ManagerInfo",
    "ManagerPolicy",
    "OnParentStop",
    "Partition",
    "Phase",
    "Referable",
    "RestartAfter",
    "RestartPolicy",
    "Schedule",
    "Seeker",
    "Staged",
    "StayDown",
    "Timing",
    "Traits",
    "attach_child",
    "decide",
    "detach_child",
    "family_used",
    "is_busy",
    "next_due",
    "offloaded",
    "schedule_of",
]
