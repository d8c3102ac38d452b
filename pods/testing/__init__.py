"""Tools for testing agents; see ``pods.testing.plugin`` for the fixtures of pytest."""

from __future__ import annotations

from .clocks import FrozenClock, SimulatedClock
from .crash import abandon
from .driver import SimulatedDriver
from .faults import EVERY_FAULT, Fault, Faults, Trouble, When
from .loop import LoopPolicy, SimulatedLoop, Stalled
from .simulation import Scenario, Simulation, SimulationFailed, simulate

__all__ = [
    "EVERY_FAULT",
    "Fault",
    "Faults",
    "FrozenClock",
    "LoopPolicy",
    "Scenario",
    "SimulatedClock",
    "SimulatedDriver",
    "SimulatedLoop",
    "Simulation",
    "SimulationFailed",
    "Stalled",
    "Trouble",
    "When",
    "abandon",
    "simulate",
]
