"""Finds, starts, hibernates, restarts and removes instances."""

from __future__ import annotations

from .activation import Activation
from .catalog import Catalog
from .idle import Idle
from .reattachment import Reattachment
from .registry import Registry
from .removal import Removal, refuse_mail, release_waiters
from .stopping import Stopping
from .supervisor import Supervisor

__all__ = [
    "Activation",
    "Catalog",
    "Idle",
    "Reattachment",
    "Registry",
    "Removal",
    "Stopping",
    "Supervisor",
    "refuse_mail",
    "release_waiters",
]
