"""What is stored of a pod's topology, and what becomes of it over changing code.

Stored is the difference to the pod's class: nodes added to it, declared nodes removed
from it for good, and what a removal has still to delete. A node that is newly declared
in code therefore appears in every stored pod, too. What no longer fits the code is left
out and reported as a ``Problem``; it never keeps the rest of a pod from starting.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import attrs
import msgspec

from persistence import InvalidName, check_name
from supervision import OnParentStop

from ..errors import UnreadableTopology
from .node import NodeSpec, required
from .topology import MAX_NODES, Topology, topology_of

__all__ = [
    "MAX_TOPOLOGY_BYTES",
    "TOPOLOGY_VERSION",
    "AgentOfManager",
    "Problem",
    "ProblemKind",
    "Purge",
    "StoredNode",
    "StoredTopology",
    "effective",
]

TOPOLOGY_VERSION = 1
"""Schema version of a stored topology; belongs into ``Record.version``."""

MAX_TOPOLOGY_BYTES = 4 * 1024 * 1024
"""Largest stored topology, in bytes."""

AgentOfManager: TypeAlias = Callable[[str], type[object] | None]
"""Says which class a manager runs; ``None`` for an unknown manager."""


@attrs.frozen
class StoredNode:
    """An added node as it is stored: without its class, which its manager knows."""

    name: str
    manager: str
    eager: bool
    pod: bool
    owner: str | None
    after: tuple[str, ...]
    on_parent_stop: OnParentStop = OnParentStop.STOP

    @property
    def requires(self) -> tuple[str, ...]:
        """Names of the nodes that must run before this one: the owner and ``after``."""
        return required(self.owner, self.after)

    @classmethod
    def of(cls, spec: NodeSpec) -> StoredNode:
        """Leave the class of a node away."""
        return cls(
            spec.name,
            spec.manager,
            spec.eager,
            spec.pod,
            spec.owner,
            spec.after,
            spec.on_parent_stop,
        )

    def with_class(self, agent: type[object]) -> NodeSpec:
        """Put the class back."""
        return NodeSpec(
            self.name,
            agent,
            self.manager,
            eager=self.eager,
            pod=self.pod,
            owner=self.owner,
            after=self.after,
            on_parent_stop=self.on_parent_stop,
        )


@attrs.frozen
class Purge:
    """A removed node whose instance and rows have still to be deleted.

    The manager is kept because it is a part of the address, and because the node may be
    gone from the code, or be there again under another manager.
    """

    name: str
    manager: str
    pod: bool


@attrs.frozen
class StoredTopology:
    """What the topology record of a pod holds: the difference to its class.

    A node may stand in ``purging`` and be added again. Delete the old one first and
    save the record without the purge; start the new one after that, for a crash
    between the two must not delete what the new one has stored.

    Attributes:
        added: added nodes, in the order of their addition.
        removed: names of declared nodes that were removed for good.
        purging: what has still to be deleted, owned nodes before their owners.
    """

    added: tuple[StoredNode, ...] = ()
    removed: frozenset[str] = frozenset()
    purging: tuple[Purge, ...] = ()

    def without_purges(self, done: Iterable[Purge]) -> StoredTopology:
        """Return what is left to be stored when some deletions are done."""
        gone = frozenset(done)
        left = tuple(purge for purge in self.purging if purge not in gone)
        return attrs.evolve(self, purging=left)

    def to_json(self) -> bytes:
        """Return the one JSON form of this value."""
        return msgspec.json.encode(self, order="deterministic")

    @classmethod
    def from_json(cls, body: bytes, *, version: int) -> StoredTopology:
        """Read a value back from exactly what ``to_json`` wrote.

        Args:
            body: the JSON.
            version: the schema version that was stored with it.

        Raises:
            UnreadableTopology: another version, larger than ``MAX_TOPOLOGY_BYTES``,
                not in the form of ``to_json``, or with impossible names.
        """
        if version != TOPOLOGY_VERSION:
            reason = f"it has version {version}, this release {TOPOLOGY_VERSION}"
            raise UnreadableTopology(reason)
        if len(body) > MAX_TOPOLOGY_BYTES:
            reason = f"it is larger than MAX_TOPOLOGY_BYTES = {MAX_TOPOLOGY_BYTES}"
            raise UnreadableTopology(reason)
        try:
            stored = msgspec.json.decode(body, type=cls)
            _check_names(stored)
        except (msgspec.MsgspecError, InvalidName, RecursionError) as error:
            raise UnreadableTopology(str(error)) from error
        # Finds unknown fields, doubled keys and everything else that decoding forgives.
        if stored.to_json() != body:
            raise UnreadableTopology("it is not in the form that podvisor writes")
        if len({node.name for node in stored.added}) < len(stored.added):
            raise UnreadableTopology("two added nodes have one name")
        return stored


def _check_names(stored: StoredTopology) -> None:
    for node in stored.added:
        check_name(node.manager, "manager")
        for name in (node.name, *node.requires):
            check_name(name, "node")
    for purge in stored.purging:
        check_name(purge.manager, "manager")
        check_name(purge.name, "node")
    for name in stored.removed:
        check_name(name, "node")


class ProblemKind(enum.Enum):
    """Why a stored or declared node is left out of a pod's topology."""

    SHADOWED = "the class now declares a node of its name, which counts instead"
    NO_MANAGER = "its manager is not registered with the host"
    KIND_CHANGED = "its manager now runs a pod where there was none, or none any more"
    MISSING = "it requires a node that is not there"
    OWNER_IS_POD = "its owner is a nested pod now"
    UNDECLARED = "its class does not declare it any more, and what it stored is kept"
    TOO_MANY = "the pod has as many nodes as it may have"


@attrs.frozen
class Problem:
    """A node that is left out, and why.

    Attributes:
        node: name of the node.
        kind: why it is left out.
        other: the manager or the node that the reason is about, if there is one.
    """

    node: str
    kind: ProblemKind
    other: str | None = None

    def __str__(self) -> str:
        about = "" if self.other is None else f" ({self.other!r})"
        return f"Node {self.node!r} is left out: {self.kind.value}{about}."


def effective(
    declared: Topology, stored: StoredTopology, agent_of_manager: AgentOfManager
) -> tuple[Topology, tuple[Problem, ...]]:
    """Lay the stored difference over what the code declares now.

    A node is there if all that it requires is there. A declared node counts before a
    stored one of the same name, unless the declared one was removed for good.

    Returns:
        The topology of the pod, and every node that is left out of it.
    """
    if not (stored.added or stored.removed):
        return declared, ()
    kept = [spec for spec in declared.nodes if spec.name not in stored.removed]
    added: list[NodeSpec] = []
    problems: list[Problem] = []
    for node in stored.added:
        found = _bring_back(node, declared, stored, agent_of_manager)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            added.append(found)
    standing: dict[str, NodeSpec] = {}
    problems += _stand(kept, standing)
    problems += _stand(added, standing)
    nodes = [spec for spec in (*kept, *added) if spec.name in standing]
    return declared.with_nodes(nodes), tuple(problems)


def _bring_back(
    node: StoredNode,
    declared: Topology,
    stored: StoredTopology,
    agent_of_manager: AgentOfManager,
) -> NodeSpec | Problem:
    if node.name in declared and node.name not in stored.removed:
        return Problem(node.name, ProblemKind.SHADOWED)
    agent = agent_of_manager(node.manager)
    if agent is None:
        return Problem(node.name, ProblemKind.NO_MANAGER, node.manager)
    if node.pod != (topology_of(agent) is not None):
        return Problem(node.name, ProblemKind.KIND_CHANGED, node.manager)
    return node.with_class(agent)


def _stand(specs: Sequence[NodeSpec], standing: dict[str, NodeSpec]) -> list[Problem]:
    """Add nodes to those that stand, each after all that it requires.

    Returns:
        Why the others do not stand.
    """
    missing: dict[str, int] = {}
    waiting: dict[str, list[NodeSpec]] = {}
    for spec in specs:
        lacking = [name for name in spec.requires if name not in standing]
        missing[spec.name] = len(lacking)
        for name in lacking:
            waiting.setdefault(name, []).append(spec)
    refused: dict[str, Problem] = {}
    ready = deque(spec for spec in specs if missing[spec.name] == 0)
    while ready:
        spec = ready.popleft()
        if (problem := _refusal(spec, standing)) is not None:
            refused[spec.name] = problem
            continue
        standing[spec.name] = spec
        for other in waiting.get(spec.name, ()):
            missing[other.name] -= 1
            if missing[other.name] == 0:
                ready.append(other)
    left = (spec for spec in specs if spec.name not in standing)
    return [refused.get(spec.name) or _lack(spec, standing) for spec in left]


def _lack(spec: NodeSpec, standing: dict[str, NodeSpec]) -> Problem:
    first = next(name for name in spec.requires if name not in standing)
    return Problem(spec.name, ProblemKind.MISSING, first)


def _refusal(spec: NodeSpec, standing: dict[str, NodeSpec]) -> Problem | None:
    if len(standing) >= MAX_NODES:
        return Problem(spec.name, ProblemKind.TOO_MANY)
    if spec.owner is not None and standing[spec.owner].pod:
        return Problem(spec.name, ProblemKind.OWNER_IS_POD, spec.owner)
    return None
