"""The life cycle of instances: find, start, hibernate, restart and remove them."""

from __future__ import annotations

from .activation import Activation
from .catalog import Catalog
from .host_state import HostState
from .idle import Idle
from .reattachment import Reattachment
from .registry import Registries, Registry
from .removal import Removal, refuse_mail, release_waiters
from .stopping import Stopping
from .supervisor import Supervisor
from .turn_hooks import TurnHooks

__all__ = [
    "Activation",
    "Catalog",
    "HostState",
    "Idle",
    "Reattachment",
    "Registries",
    "Registry",
    "Removal",
    "Stopping",
    "Supervisor",
    "TurnHooks",
    "refuse_mail",
    "release_waiters",
]
