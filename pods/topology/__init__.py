"""What a pod is made of and what should change: values and pure decisions.

Nothing in this room awaits.
"""

from __future__ import annotations

from .declaration import read_topology
from .mutation import (
    AddNode,
    Change,
    MutationPlan,
    RemoveNode,
    add_node,
    apply_changes,
    remove_node,
)
from .node import Node, NodeSpec, eager, lazy, nested
from .planner import Action, Observed, blocked_by, closure, eager_closure, plan
from .stored import (
    TOPOLOGY_VERSION,
    AgentOfManager,
    Problem,
    ProblemKind,
    Purge,
    StoredTopology,
    effective,
)
from .topology import MAX_NODES, Topology, topology_of

__all__ = [
    "MAX_NODES",
    "TOPOLOGY_VERSION",
    "Action",
    "AddNode",
    "AgentOfManager",
    "Change",
    "MutationPlan",
    "Node",
    "NodeSpec",
    "Observed",
    "Problem",
    "ProblemKind",
    "Purge",
    "RemoveNode",
    "StoredTopology",
    "Topology",
    "add_node",
    "apply_changes",
    "blocked_by",
    "closure",
    "eager",
    "eager_closure",
    "effective",
    "lazy",
    "nested",
    "plan",
    "read_topology",
    "remove_node",
    "topology_of",
]
