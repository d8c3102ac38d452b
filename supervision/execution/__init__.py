"""Runs handlers and commits what they did."""

from __future__ import annotations

from .commit import Endings
from .dispatcher import Dispatcher
from .offload import Offloader, OffloadPolicy, Seats
from .snapshot import save_unit, unsaved
from .turns import Turns

__all__ = [
    "Dispatcher",
    "Endings",
    "OffloadPolicy",
    "Offloader",
    "Seats",
    "Turns",
    "save_unit",
    "unsaved",
]
