"""Makes the live nodes of a pod match its topology.

In ``pods``, only this room starts, stops and stores anything.
"""

from __future__ import annotations

from .live import PodState
from .reconciler import Reconciler
from .reports import Failure, MutationReport, NodeResult, ReconcileReport, Source
from .snapshot import NodeSnapshot, NodeState

__all__ = [
    "Failure",
    "MutationReport",
    "NodeResult",
    "NodeSnapshot",
    "NodeState",
    "PodState",
    "ReconcileReport",
    "Reconciler",
    "Source",
]
