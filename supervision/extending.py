"""The names for packages that extend supervision, such as ``pods``."""

from __future__ import annotations

from .agents import (
    AgentContext,
    AgentSpec,
    Extension,
    HostServices,
    Instance,
    ManagerInfo,
    Phase,
    Staged,
    Traits,
)
from .errors import check_account
from .telemetry import partition_extra

__all__ = [
    "AgentContext",
    "AgentSpec",
    "Extension",
    "HostServices",
    "Instance",
    "ManagerInfo",
    "Phase",
    "Staged",
    "Traits",
    "check_account",
    "partition_extra",
]
