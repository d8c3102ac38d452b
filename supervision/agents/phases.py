"""The words of an instance's life, as enums."""

from __future__ import annotations

import enum

__all__ = [
    "COMMITTING",
    "IDLE",
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
    """Where an instance stands.

    ``STARTING → IDLE ⇄ READY → RUNNING → COMMITTING → IDLE``, then
    ``STOPPING → STOPPED``. A crash leads to ``BACKING_OFF`` and from there to
    ``STARTING`` again, or to ``STOPPED`` under quarantine.
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
