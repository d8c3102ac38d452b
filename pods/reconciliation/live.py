"""One live pod: its topology, and where its nodes stand."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import attrs

from persistence import Address, CorruptRecord, InvalidName, Record, check_name
from supervision import AgentNotFound
from supervision.extending import HostServices, Instance, Phase, partition_extra

from ..errors import UnreadableTopology
from ..topology import (
    MAX_NODES,
    AgentOfManager,
    Observed,
    Problem,
    StoredTopology,
    Topology,
    effective,
)
from .reports import ReconcileReport

if TYPE_CHECKING:
    from ..topology import Node, NodeSpec
    from .staged_mutation import StagedMutation

__all__ = [
    "LEAVING",
    "EffectiveTopology",
    "NodeLookup",
    "PodState",
    "log_of",
    "name_of",
    "node_address",
    "pod_of",
    "read_stored",
    "stands_in",
]

log = logging.getLogger("podvisor.pods")

LEAVING = frozenset({Phase.STOPPING, Phase.STOPPED})
"""Phases in which an instance takes no children any more."""


def node_address(pod: Address, manager: str, name: str) -> Address:
    """Return the address of a node: its key is (pod manager, pod key, node name)."""
    return Address(pod.partition, manager, (pod.manager, pod.key, name))


def pod_of(node: Address) -> Address | None:
    """Return the pod that a node's key names; ``None`` for a key of another form."""
    match node.key:
        case (str(manager), pod_key, str()):
            return Address(node.partition, manager, pod_key)
        case _:
            return None


def name_of(node: Address) -> str:
    """Return the name of a node, from its address."""
    key = node.key
    return str(key[-1]) if isinstance(key, tuple) else key


def stands_in(pod: Address, parent: Address | None) -> bool:
    """Return whether a parent is the pod itself or one of its nodes."""
    return parent is not None and (parent == pod or pod_of(parent) == pod)


@attrs.frozen
class EffectiveTopology:
    """What is known of a pod's topology, be it live or not.

    Attributes:
        pod: the pod.
        declared: the topology of its class.
        stored: the difference that is stored.
        topology: both together.
        problems: nodes that are left out of it.
    """

    pod: Address
    declared: Topology
    stored: StoredTopology
    topology: Topology
    problems: tuple[Problem, ...]

    @classmethod
    def of(
        cls,
        pod: Address,
        declared: Topology,
        record: Record | None,
        agent_of_manager: AgentOfManager,
    ) -> EffectiveTopology:
        """Lay what is stored of a pod's topology over what its class declares.

        Raises:
            CorruptRecord: it cannot be read.
        """
        stored = StoredTopology() if record is None else read_stored(record)
        topology, problems = effective(declared, stored, agent_of_manager)
        return cls(pod, declared, stored, topology, problems)


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
        healing: set when a reconciliation of the host's own has ended; ``None`` while
            none is under way.
        again: another one is due when it ends.
        staged: what a turn of the pod that goes on has decided, in order.
        done: those of them that are durable.
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
    staged: list[StagedMutation] = attrs.field(factory=list["StagedMutation"])
    done: list[StagedMutation] = attrs.field(factory=list["StagedMutation"])

    @property
    def effective(self) -> EffectiveTopology:
        """What is known of its topology now."""
        return EffectiveTopology(
            self.pod.address, self.declared, self.stored, self.topology, self.problems
        )


class NodeLookup:
    """Finds the nodes of pods among the instances of one host.

    It remembers nodes that were removed, the latest ``MAX_NODES`` of each partition:
    a ref that is still held does not bring one back.
    """

    def __init__(self, services: HostServices) -> None:
        self._services = services
        self._gone: dict[str, dict[Address, None]] = {}

    def removed(self, address: Address) -> None:
        """Record that a node is gone for good."""
        gone = self._gone.setdefault(address.partition, {})
        gone[address] = None
        if len(gone) > MAX_NODES:
            del gone[next(iter(gone))]

    def added(self, address: Address) -> None:
        """Record that a node is there, for the first time or again."""
        self._gone.get(address.partition, {}).pop(address, None)

    def address(self, state: PodState, spec: NodeSpec) -> Address:
        """Return the address of a node."""
        return node_address(state.pod.address, spec.manager, spec.name)

    def live(self, state: PodState, spec: NodeSpec) -> Instance | None:
        """Return the live instance of a node, if there is one."""
        instance = self._services.find(self.address(state, spec))
        return instance if instance is not None and instance.live else None

    def awake(
        self, pod: Address, declared: Topology, node: Node[object] | str
    ) -> Instance | None:
        """Return the instance of a node that lives while its pod does not.

        What was added to the pod only its row knows: of a name that is not declared,
        the live one counts that has the pod, or another of its nodes, as its parent.

        Raises:
            UnknownNode: it is not declared, and no name that a node could have.
        """
        agent: type[object] = object
        home: str | None = None
        if isinstance(node, str) and node not in declared and _is_name(node):
            name = node
        else:
            spec = declared.resolve(node, at=pod)
            name, agent, home = spec.name, spec.agent, spec.manager
        for manager in self._services.managers.values():
            instance = self._services.find(node_address(pod, manager.name, name))
            if instance is None or not instance.live:
                continue
            if manager.name == home or (
                stands_in(pod, instance.parent_address)
                and issubclass(manager.spec.agent, agent)
            ):
                return instance
        return None

    def parent(self, state: PodState, spec: NodeSpec) -> Instance | None:
        """Return the live instance that a node belongs under, if there is one."""
        if spec.owner is None:
            return None if state.pod.phase in LEAVING else state.pod
        owner = self.live(state, state.topology[spec.owner])
        return None if owner is None or owner.phase in LEAVING else owner

    def observe(self, state: PodState, spec: NodeSpec) -> Observed:
        """Return how a node is found, for the planner."""
        instance = self.live(state, spec)
        if instance is None or instance.phase in LEAVING:
            return Observed.ABSENT
        if instance.parent is None:
            return Observed.ORPHANED
        if instance.parent is self.parent(state, spec):
            return Observed.ATTACHED
        return Observed.MISPLACED

    def node(self, effective: EffectiveTopology, address: Address) -> NodeSpec | None:
        """Return what a topology says of an address that is named after its pod.

        Returns:
            ``None``: a key of the user's own that looks like a node's.

        Raises:
            AgentNotFound: it was a node of the pod, and was removed.
        """
        name, manager = name_of(address), address.manager
        spec = effective.topology.get(name)
        if spec is not None and spec.manager == manager:
            return spec
        declared = effective.declared.get(name)
        if (
            address in self._gone.get(address.partition, ())
            or any(
                (p.name, p.manager) == (name, manager) for p in effective.stored.purging
            )
            or (
                name in effective.stored.removed
                and declared is not None
                and declared.manager == manager
            )
        ):
            raise AgentNotFound(manager, address.key)
        return None

    def agent_of(self, manager: str) -> type[object] | None:
        """Return the class that a manager runs; ``None`` for an unknown manager."""
        found = self._services.managers.get(manager)
        return None if found is None else found.spec.agent


def _is_name(text: object) -> bool:
    # Takes an object: it is for callers without a type checker.
    if not isinstance(text, str):
        return False
    try:
        check_name(text, "node")
    except InvalidName:
        return False
    return True


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
