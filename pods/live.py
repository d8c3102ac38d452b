"""One live pod as the runtime side sees it: its topology, and where its nodes stand."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import attrs

from persistence import Address, CorruptRecord, Record
from supervision import Instance, Phase, Runtime, partition_extra

from .errors import UnreadableTopology
from .node import NodeSpec
from .planner import Observed
from .reports import ReconcileReport
from .stored import Problem, StoredTopology
from .topology import MAX_NODES, Topology

if TYPE_CHECKING:
    from .rewiring import Rewiring

__all__ = [
    "LEAVING",
    "Lookout",
    "PodState",
    "log_of",
    "node_address",
    "pod_of",
    "read_stored",
]

log = logging.getLogger("podvisor.pods")

LEAVING = frozenset({Phase.STOPPING, Phase.STOPPED})
"""Phases in which an instance takes no children any more."""


def node_address(pod: Address, manager: str, name: str) -> Address:
    """Return the address of a node: its key is (pod manager, pod key, node name)."""
    return Address(pod.partition, manager, (pod.manager, pod.key, name))


def pod_of(node: Address) -> Address | None:
    """Return the pod that a node's key names; ``None`` for a key of another shape."""
    match node.key:
        case (str(manager), pod_key, str()):
            return Address(node.partition, manager, pod_key)
        case _:
            return None


@attrs.define(eq=False)
class PodState:
    """What the reconciler knows of one live pod.

    Attributes:
        pod: the pod's instance.
        declared: the topology of its class.
        stored: the difference that is stored.
        rev: revision of the stored difference; 0: none is stored.
        topology: both together.
        problems: nodes that are left out of it.
        settled: set when the first reconciliation has ended.
        report: what the last reconciliation of the eager nodes did.
        queue: the end of the line of mutations.
        healing: set when the reconciliation that nobody asked for has ended, while one
            is under way.
        again: another one is due when it ends.
        staged: what a turn of the pod that goes on has decided, in order.
        done: those of them that are durable.
        gone: addresses of nodes that were removed since the pod is live, the latest
            ``MAX_NODES`` of them.
        leftovers: addresses of stored nodes that the code has forgotten, as they were
            last looked for.
    """

    pod: Instance
    declared: Topology
    stored: StoredTopology
    rev: int
    topology: Topology
    problems: tuple[Problem, ...]
    settled: asyncio.Event = attrs.field(factory=asyncio.Event)
    report: ReconcileReport = attrs.field(factory=ReconcileReport)
    queue: asyncio.Future[None] | None = None
    healing: asyncio.Event | None = None
    again: bool = False
    staged: list[Rewiring] = attrs.field(factory=list["Rewiring"])
    done: list[Rewiring] = attrs.field(factory=list["Rewiring"])
    gone: dict[Address, None] = attrs.field(factory=dict[Address, None])
    leftovers: frozenset[Address] = frozenset()

    def forget(self, removed: Address) -> None:
        """Note that a node is gone for good."""
        self.gone[removed] = None
        if len(self.gone) > MAX_NODES:
            del self.gone[next(iter(self.gone))]


class Lookout:
    """Finds the nodes of live pods among the instances of one host."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def address(self, state: PodState, spec: NodeSpec) -> Address:
        """Return the address of a node."""
        return node_address(state.pod.address, spec.manager, spec.name)

    def live(self, state: PodState, spec: NodeSpec) -> Instance | None:
        """Return the live instance of a node, if there is one."""
        instance = self._runtime.find(self.address(state, spec))
        return instance if instance is not None and instance.live else None

    def parent(self, state: PodState, spec: NodeSpec) -> Instance | None:
        """Return the live instance that a node belongs under, if there is one."""
        if spec.owner is None:
            return None if state.pod.phase in LEAVING else state.pod
        owner = self.live(state, state.topology[spec.owner])
        return None if owner is None or owner.phase in LEAVING else owner

    def observe(self, state: PodState, spec: NodeSpec) -> Observed:
        """Say how a node is found, for the planner."""
        instance = self.live(state, spec)
        if instance is None or instance.phase in LEAVING:
            return Observed.ABSENT
        if instance.parent is None:
            return Observed.ORPHANED
        if instance.parent is self.parent(state, spec):
            return Observed.ATTACHED
        return Observed.MISPLACED

    def was_removed(self, state: PodState, address: Address) -> bool:
        """Say whether an address was that of a node which the pod has lost for good."""
        if address in state.gone or address in state.leftovers:
            return True
        return any(
            self.address(state, state.declared[name]) == address
            for name in state.stored.removed
            if name in state.declared and name not in state.topology
        )

    def agent_of(self, manager: str) -> type[object] | None:
        """Return the class that a manager runs; ``None`` for an unknown manager."""
        found = self._runtime.managers.get(manager)
        return None if found is None else found.kind.spec.agent


def read_stored(record: Record) -> StoredTopology:
    """Read what is stored of a pod's topology.

    Raises:
        CorruptRecord: it cannot be read.
    """
    try:
        return StoredTopology.from_json(record.body, version=record.version)
    except UnreadableTopology as error:
        raise CorruptRecord(record.address, f"topology: {error.reason}") from error


def log_of(pod: Address, event: str, **fields: str) -> None:
    """Log what happened to a pod, with no word of its state."""
    extra = partition_extra(
        pod.partition, manager=pod.manager, key=str(pod.key), **fields
    )
    log.warning(event, extra=extra)
