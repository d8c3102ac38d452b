"""The words of an instance's life, as enums."""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "COMMITTING",
    "IDLE",
    "NEXT_PHASES",
    "READY",
    "RUNNING",
    "SETTLED",
    "STARTING",
    "STOPPED",
    "Durability",
    "OnParentStop",
    "Phase",
]


class Phase(enum.Enum):
    """Where an instance stands; ``NEXT_PHASES`` has the allowed changes.

    ``STARTING``: it is in its registry; its rows are read, or ``on_start`` runs.
    ``IDLE``: it is live and has nothing to do.
    ``READY``: it has mail and waits for a seat.
    ``RUNNING``: a handler has it.
    ``COMMITTING``: its turn or its state is on the way to the store.
    ``BACKING_OFF``: it crashed, and its restart or its end is due.
    ``STOPPING``: its children stop, ``on_stop`` runs, its state is saved.
    ``STOPPED``: it has left its registry; a successor may stand there.
    """

    STARTING = "starting"
    IDLE = "idle"
    READY = "ready"
    RUNNING = "running"
    COMMITTING = "committing"
    BACKING_OFF = "backing_off"
    STOPPING = "stopping"
    STOPPED = "stopped"


# Before Python 3.12, to look a member up in its class costs as much as ten of these.
STARTING = Phase.STARTING
IDLE = Phase.IDLE
READY = Phase.READY
RUNNING = Phase.RUNNING
COMMITTING = Phase.COMMITTING
STOPPED = Phase.STOPPED

NEXT_PHASES: Mapping[Phase, frozenset[Phase]] = MappingProxyType(
    {
        # on_start or the constructor may fail; a row may send it into quarantine.
        Phase.STARTING: frozenset({Phase.IDLE, Phase.BACKING_OFF, Phase.STOPPED}),
        # A def handler runs in its caller's step, so no seat is waited for. Durability
        # INTERVAL commits outside of a turn. A fenced instance stops at once.
        Phase.IDLE: frozenset(
            {
                Phase.IDLE,
                Phase.READY,
                Phase.RUNNING,
                Phase.COMMITTING,
                Phase.STOPPING,
                Phase.STOPPED,
            }
        ),
        Phase.READY: frozenset({Phase.RUNNING, Phase.STOPPED}),
        # A turn with nothing to commit ends here; mail that is left makes it READY.
        Phase.RUNNING: frozenset(
            {
                Phase.COMMITTING,
                Phase.IDLE,
                Phase.READY,
                Phase.BACKING_OFF,
                Phase.STOPPING,
                Phase.STOPPED,
            }
        ),
        # STARTING: the outcome of a commit is unknown, and the rows are read again.
        Phase.COMMITTING: frozenset(
            {
                Phase.IDLE,
                Phase.READY,
                Phase.STARTING,
                Phase.BACKING_OFF,
                Phase.STOPPING,
                Phase.STOPPED,
            }
        ),
        Phase.BACKING_OFF: frozenset({Phase.STARTING, Phase.STOPPING, Phase.STOPPED}),
        # STARTING: its state could not be saved, so it lives on.
        Phase.STOPPING: frozenset({Phase.STARTING, Phase.STOPPED}),
        Phase.STOPPED: frozenset(),
    }
)
"""The phases that may follow each; the test suite checks every assignment.

The runtime assigns ``Instance.phase`` plainly: a check costs more than the assignment,
and a turn makes four of them.
"""

SETTLED = (Phase.IDLE, Phase.READY, Phase.RUNNING, Phase.COMMITTING)
"""Phases in which an instance is up: ``get`` need not wait. The usual one is first."""


class Durability(enum.Enum):
    """When the state of a manager's instances is written.

    ``TURN``: in the turn's commit, before the reply and the sends leave.
    ``INTERVAL``: every few seconds, and at hibernation.
    ``HIBERNATE``: at hibernation and at orderly shutdown.
    ``NONE``: never; the instances are memory only.
    """

    TURN = "turn"
    INTERVAL = "interval"
    HIBERNATE = "hibernate"
    NONE = "none"


class OnParentStop(enum.Enum):
    """What becomes of a child when its parent stops.

    ``STOP``: it stops first. ``CONTINUE``: it lives on as an orphan.
    ``NOTIFY``: as ``CONTINUE``, and it is sent a ``ParentStopped`` message.
    """

    STOP = "stop"
    CONTINUE = "continue"
    NOTIFY = "notify"
