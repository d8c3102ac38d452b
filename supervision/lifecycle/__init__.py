"""Finds, starts, hibernates, restarts and removes instances."""

from __future__ import annotations

from .activation import Lifecycle
from .catalog import Finding
from .idle import Idle
from .reattachment import Homes
from .registry import Registry
from .removal import Departures, refuse_mail, release_waiters
from .stopping import Stopping
from .supervisor import Supervisor

__all__ = [
    "Departures",
    "Finding",
    "Homes",
    "Idle",
    "Lifecycle",
    "Registry",
    "Stopping",
    "Supervisor",
    "refuse_mail",
    "release_waiters",
]
