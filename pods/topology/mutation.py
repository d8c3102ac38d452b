"""Changes of a running pod's topology, decided before anything is written or stopped.

``apply_changes`` says what has to be stored, what appears and what goes; it changes
nothing itself. Either all changes of a call are possible, in their order, or none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TypeAlias

import attrs

from persistence import Address, check_name

from ..errors import InvalidNode, ManagerMismatch, MutationRefused, UnknownNode
from .node import Node
from .stored import (
    MAX_TOPOLOGY_BYTES,
    AgentOfManager,
    Problem,
    Purge,
    StoredNode,
    StoredTopology,
    effective,
)
from .topology import MAX_NODES, Topology, topology_of

__all__ = [
    "AddNode",
    "Change",
    "MutationPlan",
    "RemoveNode",
    "add_node",
    "apply_changes",
    "remove_node",
]

_SHOWN = 8


@attrs.frozen
class AddNode:
    """The wish to add a node; make it with ``add_node``."""

    name: str
    node: Node[object]
    owner: str | Node[object] | None = None
    after: tuple[str | Node[object], ...] = ()


@attrs.frozen
class RemoveNode:
    """The wish to remove a node and all that it owns; make it with ``remove_node``."""

    node: str | Node[object]


Change: TypeAlias = AddNode | RemoveNode


def add_node(
    name: str,
    node: Node[object],
    *,
    owner: str | Node[object] | None = None,
    after: Sequence[str | Node[object]] = (),
) -> AddNode:
    """Ask for a new node in a running pod.

    Args:
        name: its name in the pod, ``[a-z][a-z0-9_]{0,62}``.
        node: what it is: ``eager(...)``, ``lazy(...)`` or ``nested(...)``.
        owner: the node whose child it becomes, if ``node`` does not say it.
        after: nodes that must run before it starts, if ``node`` does not say it.

    Raises:
        InvalidName: ``name`` is no node name.
        InvalidNode: ``node``, ``owner`` or ``after`` is of the wrong type, or the
            owner or the prerequisites are given in both places.
    """
    check_name(name, "node")
    _check_node(node)
    if owner is not None and not _are_nodes((owner,)):
        raise InvalidNode("owner", owner, "a node or the name of a node, or None")
    if isinstance(after, str) or not _is_iterable(after) or not _are_nodes(after):
        raise InvalidNode("after", after, "nodes or names of nodes, in a list")
    if owner is not None and node.owner is not None:
        raise InvalidNode("owner", owner, "it in one place: add_node() or the node")
    if after and node.after:
        raise InvalidNode("after", after, "it in one place: add_node() or the node")
    return AddNode(name, node, owner or node.owner, tuple(after) or node.after)


def remove_node(node: str | Node[object]) -> RemoveNode:
    """Ask to remove a node for good: its instance, its state, and all that it owns.

    Raises:
        InvalidNode: ``node`` is neither a name nor a node.
    """
    if not _are_nodes((node,)):
        raise InvalidNode("node", node, "the name of a node, or a declared node")
    return RemoveNode(node)


def _check_node(node: object) -> None:
    if not isinstance(node, Node):
        raise InvalidNode("node", node, "what eager(), lazy() or nested() returns")


def _is_iterable(value: object) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, Node)


def _are_nodes(values: Iterable[object]) -> bool:
    return all(isinstance(value, str | Node) for value in values)


@attrs.frozen
class MutationPlan:
    """What follows from a list of changes.

    Attributes:
        stored: what to save before the changes are acknowledged.
        topology: the topology of the pod from then on.
        added: names of the nodes that appear, in the order of the topology.
        removed: names of the nodes that go, each before all that it requires: the
            order to stop them in. A node that is removed and added is in both.
        problems: nodes that the topology leaves out, as ``effective`` says.
    """

    stored: StoredTopology
    topology: Topology
    added: tuple[str, ...]
    removed: tuple[str, ...]
    problems: tuple[Problem, ...]


def apply_changes(
    declared: Topology,
    stored: StoredTopology,
    changes: Sequence[Change],
    agent_of_manager: AgentOfManager,
    *,
    at: Address,
) -> MutationPlan:
    """Decide what a list of changes, in their order, makes of a pod's topology.

    Args:
        declared: the topology of the pod's class.
        stored: what is stored of the pod now.
        changes: the changes; removing a name and adding it again is a fresh start.
        agent_of_manager: says which class a manager runs.
        at: address of the pod, for errors.

    Raises:
        UnknownNode: a change names a node that is not there.
        MutationRefused: a name is taken, a link or manager unknown, a node that stays
            would lose what it requires, or the pod would grow beyond its bounds.
        ManagerMismatch: the manager of a new node runs another class.
    """
    draft = _Draft.of(declared, stored, agent_of_manager, at)
    for change in changes:
        match change:
            case AddNode():
                draft.add(change)
            case RemoveNode():
                draft.remove(change)
    result = draft.result()
    size = len(result.to_json())
    if size > MAX_TOPOLOGY_BYTES:
        reason = f"the stored topology would have {size} bytes, more than "
        reason += f"MAX_TOPOLOGY_BYTES = {MAX_TOPOLOGY_BYTES}"
        name = _name_in(changes[-1])
        raise MutationRefused(at, name, reason, "Put the nodes into a nested pod.")
    topology, problems = effective(declared, result, agent_of_manager)
    # Not only what was asked for appears: an added node may be what another, which was
    # left out until now, requires.
    before = draft.current
    added = tuple(n for n in topology if n in draft.fresh or n not in before)
    return MutationPlan(result, topology, added, tuple(draft.gone), problems)


def _name_in(change: Change) -> str:
    node = change.name if isinstance(change, AddNode) else change.node
    return node if isinstance(node, str) else node.label


@attrs.define(eq=False)
class _Draft:
    """The topology of a pod while changes are applied to it.

    ``nodes`` also has those that ``effective`` leaves out, so that they can be removed;
    ``usable`` are the ones that a new node may be linked to; ``waiting`` has for each
    node those that require it; ``fresh`` and ``gone`` are this call's doing.
    """

    declared: Topology
    current: Topology
    agent_of_manager: AgentOfManager
    at: Address
    nodes: dict[str, StoredNode]
    usable: set[str]
    added: dict[str, StoredNode]
    tombstones: set[str]
    purging: dict[Purge, None]
    waiting: dict[str, dict[str, None]] = attrs.field(
        factory=dict[str, dict[str, None]]
    )
    aliases: dict[Node[object], str] = attrs.field(factory=dict[Node[object], str])
    fresh: dict[str, None] = attrs.field(factory=dict[str, None])
    gone: dict[str, None] = attrs.field(factory=dict[str, None])

    @classmethod
    def of(
        cls,
        declared: Topology,
        stored: StoredTopology,
        agent_of_manager: AgentOfManager,
        at: Address,
    ) -> _Draft:
        current, _ = effective(declared, stored, agent_of_manager)
        added = {node.name: node for node in stored.added}
        kept = {
            spec.name: StoredNode.of(spec)
            for spec in declared.nodes
            if spec.name not in stored.removed
        }
        draft = cls(
            declared=declared,
            current=current,
            agent_of_manager=agent_of_manager,
            at=at,
            nodes={**added, **kept},
            usable=set(current),
            added=added,
            tombstones=set(stored.removed),
            purging=dict.fromkeys(stored.purging),
        )
        for node in draft.nodes.values():
            draft._link(node)
        return draft

    def result(self) -> StoredTopology:
        return StoredTopology(
            tuple(self.added.values()), frozenset(self.tombstones), tuple(self.purging)
        )

    def add(self, change: AddNode) -> None:
        name = change.name
        if name in self.nodes:
            raise self._refusal(name, "the name is taken", "Remove that node first.")
        if len(self.nodes) >= MAX_NODES:
            reason = f"the pod has MAX_NODES = {MAX_NODES} nodes"
            raise self._refusal(name, reason, "Put nodes into a nested pod.")
        self._check_manager(name, change.node)
        node = StoredNode(
            name,
            change.node.manager,
            change.node.eager,
            change.node.pod,
            None if change.owner is None else self._linked(name, change.owner),
            tuple(self._linked(name, other) for other in change.after),
            change.node.on_parent_stop,
        )
        self._check_links(node)
        spec = self.declared.get(name)
        if spec is not None and StoredNode.of(spec) == node:
            # As declared: from now on the node follows the code again.
            self.tombstones.discard(name)
        else:
            self.added[name] = node
        self.nodes[name] = node
        self._link(node)
        self.usable.add(name)
        self.fresh[name] = None
        self.aliases[change.node] = name

    def remove(self, change: RemoveNode) -> None:
        name = self._named(change.node)
        going = self._subtree(name)
        for node in going:
            for other in self.waiting.get(node, ()):
                if other not in going:
                    reason = f"node {other!r} stays and comes after {node!r}"
                    advice = f"Remove {other!r} first; one call may remove both."
                    raise self._refusal(name, reason, advice)
        for node in self._stopping_order(name):
            self._drop(node)

    def _drop(self, name: str) -> None:
        node = self.nodes.pop(name)
        for other in node.requires:
            self.waiting[other].pop(name)
        self.added.pop(name, None)
        if name in self.declared:
            self.tombstones.add(name)
        if name in self.fresh:
            # Added by an earlier change of this call: it has never run.
            del self.fresh[name]
        else:
            self.gone[name] = None
            self.purging[Purge(name, node.manager, node.pod)] = None

    def _link(self, node: StoredNode) -> None:
        for other in node.requires:
            self.waiting.setdefault(other, {})[node.name] = None

    def _subtree(self, name: str) -> dict[str, None]:
        found = {name: None}
        todo = [name]
        while todo:
            owner = todo.pop()
            for other in self.waiting.get(owner, ()):
                if self.nodes[other].owner == owner and other not in found:
                    found[other] = None
                    todo.append(other)
        return found

    def _stopping_order(self, name: str) -> list[str]:
        """Return a node and all that require it, each behind those that require it."""
        order: dict[str, None] = {}
        opened: set[str] = set()
        todo = [name]
        while todo:
            node = todo[-1]
            if node in opened:
                order[todo.pop()] = None
                continue
            opened.add(node)
            todo += [n for n in self.waiting.get(node, ()) if n not in opened]
        return list(order)

    def _named(self, node: str | Node[object]) -> str:
        """Return the name of a node that can be removed."""
        if isinstance(node, str):
            name = node
        elif node in self.aliases:
            name = self.aliases[node]
        else:
            name = self.current.resolve(node, at=self.at).name
        if name not in self.nodes:
            known = tuple(islice(self.nodes, _SHOWN))
            raise UnknownNode(self.at, name, known, len(self.nodes))
        return name

    def _linked(self, name: str, other: str | Node[object]) -> str:
        """Return the name of a node that a new one may be linked to."""
        found = self._named(other)
        if found not in self.usable:
            reason = f"its link {found!r} is left out of the topology now"
            raise self._refusal(name, reason, "Choose another one.")
        return found

    def _check_links(self, node: StoredNode) -> None:
        if len(set(node.after)) < len(node.after):
            reason = "it names one node twice in after="
            raise self._refusal(node.name, reason, "Name it once.")
        if node.owner is not None and self.nodes[node.owner].pod:
            reason = f"its owner {node.owner!r} is a nested pod"
            raise self._refusal(node.name, reason, "Use after= for a nested pod.")

    def _check_manager(self, name: str, node: Node[object]) -> None:
        found = self.agent_of_manager(node.manager)
        if found is None:
            reason = f"its manager {node.manager!r} is not registered with the host"
            advice = f"Call host.manager({node.manager!r}, ...) at the start."
            raise self._refusal(name, reason, advice)
        if not issubclass(found, node.agent):
            declared = node.agent.__name__
            raise ManagerMismatch(name, node.manager, declared, found.__name__)
        if node.pod != (topology_of(found) is not None):
            kind = "not a pod class" if node.pod else "a pod class"
            reason = f"the class {found.__name__} of its manager is {kind}"
            advice = "Use nested() for a pod class, eager() or lazy() for another."
            raise self._refusal(name, reason, advice)

    def _refusal(self, name: str, reason: str, advice: str) -> MutationRefused:
        return MutationRefused(self.at, name, reason, advice)
