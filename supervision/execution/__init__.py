"""Runs handlers and commits what they did."""

from __future__ import annotations

from .commit import Committer
from .dispatcher import Dispatcher
from .offload import Offloader, OffloadPolicy, move_to_thread
from .snapshot import save_unit, unsaved
from .turns import Turns

__all__ = [
    "Committer",
    "Dispatcher",
    "OffloadPolicy",
    "Offloader",
    "Turns",
    "move_to_thread",
    "save_unit",
    "unsaved",
]
