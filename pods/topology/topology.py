"""The topology of a pod: its nodes, their owners, and what starts after what.

A ``Topology`` is a value that was checked when it was made, so code that holds one
need not look for cycles or unknown names again. Building costs one pass over nodes and
edges; every question costs what its answer holds. Nothing here recurses per node.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import attrs

from persistence import Address, InvalidName, check_name

from ..errors import InvalidNode, TopologyError, UnknownNode
from .node import Node, NodeSpec

__all__ = ["MAX_NODES", "Topology", "check", "topology_of"]

MAX_NODES = 10_000
"""Most nodes that one pod may have, declared and added ones together."""

_SHOWN = 8


@attrs.frozen
class _Index:
    """What a topology looks up, each by the name of a node."""

    specs: Mapping[str, NodeSpec]
    levels: Mapping[str, int]
    places: Mapping[str, int]
    owned: Mapping[str, list[str]]
    waiting: Mapping[str, list[str]]

    @classmethod
    def of(cls, levels: Mapping[str, int], nodes: Sequence[NodeSpec]) -> _Index:
        owned: dict[str, list[str]] = {}
        for spec in nodes:
            if spec.owner is not None:
                owned.setdefault(spec.owner, []).append(spec.name)
        return cls(
            specs={spec.name: spec for spec in nodes},
            levels=levels,
            places={spec.name: place for place, spec in enumerate(nodes)},
            owned=owned,
            waiting=_waiting_for(nodes),
        )


@attrs.frozen(repr=False)
class Topology(Mapping[str, NodeSpec]):
    """The nodes of a pod by name, in the order of their declaration.

    Attributes:
        pod: name of the pod class, for errors.
        nodes: every node, in order.

    Raises:
        TopologyError: the nodes make no topology; see ``check``.
    """

    pod: str
    nodes: tuple[NodeSpec, ...] = ()
    _names: Mapping[Node[object], str] = attrs.field(
        factory=dict[Node[object], str], eq=False
    )
    _index: _Index = attrs.field(init=False, eq=False)

    def __attrs_post_init__(self) -> None:
        # Derived once, so that no question has to search.
        index = _Index.of(check(self.pod, self.nodes), self.nodes)
        object.__setattr__(self, "_index", index)

    def __repr__(self) -> str:
        return f"<Topology of {self.pod}: {len(self)} nodes>"

    def __getitem__(self, name: str) -> NodeSpec:
        return self._index.specs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._index.specs)

    def __len__(self) -> int:
        return len(self._index.specs)

    def resolve(
        self, node: Node[object] | str, *, at: Address | None = None
    ) -> NodeSpec:
        """Return what this topology says about a node.

        A ``Node`` counts if this class or a base of it declared it, and if its name
        still stands for its agent class: an overriding node does, one that replaced a
        removed node may not.

        Args:
            node: the declared node, or a name.
            at: address of the pod, for the error.

        Raises:
            UnknownNode: there is no such node here.
            InvalidNode: it is neither a node nor a name.
        """
        agent: type[object] = object
        _check_asked(node)
        if isinstance(node, str):
            name = label = node
        else:
            name, label, agent = self._names.get(node, ""), node.label, node.agent
        spec = self.get(name)
        if spec is None or not issubclass(spec.agent, agent):
            known = tuple(islice(self, _SHOWN))
            raise UnknownNode(at or self.pod, label, known, len(self))
        return spec

    def with_nodes(self, nodes: Iterable[NodeSpec]) -> Topology:
        """Return the topology of the same pod class with other nodes.

        Raises:
            TopologyError: the nodes make no topology.
        """
        return Topology(self.pod, tuple(nodes), self._names)

    def level(self, name: str) -> int:
        """Return how many waves must come before a node: 0 if it requires nothing."""
        return self._index.levels[name]

    def place(self, name: str) -> int:
        """Return the position of a node in the order of declaration, from 0."""
        return self._index.places[name]

    def owned_by(self, name: str) -> tuple[str, ...]:
        """Return the nodes that a node owns directly."""
        return tuple(self._index.owned.get(name, ()))

    def owners_of(self, name: str) -> tuple[str, ...]:
        """Return the owner of a node, the owner's owner, and so on to the top."""
        owners: list[str] = []
        owner = self[name].owner
        while owner is not None:
            owners.append(owner)
            owner = self[owner].owner
        return tuple(owners)

    def subtree(self, name: str) -> tuple[str, ...]:
        """Return a node and all that it owns, at any depth, each owner before its own.

        This is what goes when the node is removed.
        """
        return (name, *_reach(self._index.owned, (name,)))

    def requirements(self, *names: str) -> frozenset[str]:
        """Return what must run before any of the given nodes, at any distance."""
        found: set[str] = set()
        todo = list(names)
        while todo:
            new = [name for name in self[todo.pop()].requires if name not in found]
            found.update(new)
            todo.extend(new)
        return frozenset(found)

    def dependents(self, *names: str) -> tuple[str, ...]:
        """Return all other nodes that cannot run without one of the given ones."""
        return tuple(_reach(self._index.waiting, names))

    def to_mermaid(self, states: Mapping[str, str] | None = None) -> str:
        """Draw the topology as a Mermaid flowchart; the same topology, the same text.

        An eager node has a solid border, a lazy one a dashed border, a nested pod a
        double one. A solid arrow goes from an owner to what it owns, a dotted one from
        a node to those that start after it.

        Args:
            states: the state of each node by name, such as ``"running"``, to colour
                the nodes and to add a legend; names that are no nodes are left out.
        """
        lines = ["flowchart TD"]
        lines += [f"    {_shape(spec)}" for spec in self.nodes]
        for spec in self.nodes:
            if spec.owner is not None:
                lines.append(f"    n_{spec.owner} --> n_{spec.name}")
            lines += [f"    n_{before} -.-> n_{spec.name}" for before in spec.after]
        lazy = [spec.name for spec in self.nodes if not spec.eager]
        if lazy:
            lines.append("    classDef lazy stroke-dasharray: 5 5")
            lines.append(f"    class {_ids(lazy)} lazy")
        lines += _paint(self, states or {})
        return "\n".join(lines) + "\n"


def _check_asked(node: object) -> None:
    # Takes an object: it is for callers without a type checker.
    if not isinstance(node, str | Node):
        raise InvalidNode("node", node, "the name of a node, or a declared node")


def check(pod: str, nodes: Sequence[NodeSpec]) -> dict[str, int]:
    """Check that nodes make a topology, and return the wave of each, from 0.

    Raises:
        TopologyError: there are too many nodes, a name is invalid or given twice, a
            link is unknown, doubled or leads to the node itself, a nested pod owns
            a node, a node and its class disagree whether it is a pod, or owners and
            ``after`` go round in a circle.
    """
    if len(nodes) > MAX_NODES:
        problem = f"it has {len(nodes)} nodes, more than MAX_NODES = {MAX_NODES}"
        raise TopologyError(pod, problem, "Put some of them into a nested pod.")
    by_name: dict[str, NodeSpec] = {}
    for spec in nodes:
        _check_node(pod, spec)
        if spec.name in by_name:
            problem = f"two nodes are named {spec.name!r}"
            raise TopologyError(pod, problem, "Rename one of them.")
        by_name[spec.name] = spec
    for spec in nodes:
        _check_links(pod, spec, by_name)
    levels = _levels(by_name)
    if len(levels) < len(by_name):
        circle = _circle(by_name, levels)
        shown = " -> ".join(repr(name) for name in circle[:_SHOWN])
        more = f" and {len(circle) - _SHOWN} more" if len(circle) > _SHOWN else ""
        problem = f"each of {shown}{more} requires the next, in a circle"
        raise TopologyError(pod, problem, "Take one owner= or after= of them away.")
    return levels


def _check_node(pod: str, spec: NodeSpec) -> None:
    try:
        check_name(spec.name, "node")
    except InvalidName as error:
        advice = "Use 1 to 63 of a-z, 0-9, '_', beginning with a letter."
        raise TopologyError(pod, f"{spec.name!r} is no node name", advice) from error
    is_pod = topology_of(spec.agent) is not None
    if spec.pod == is_pod:
        return
    kind = "a pod class" if is_pod else "not a pod class"
    problem = f"the class {spec.agent.__name__} of node {spec.name!r} is {kind}"
    advice = "nested()" if is_pod else "eager() or lazy()"
    raise TopologyError(pod, problem, f"Declare it with {advice}.")


def _check_links(pod: str, spec: NodeSpec, nodes: Mapping[str, NodeSpec]) -> None:
    for other in spec.requires:
        if other == spec.name:
            problem = f"node {spec.name!r} is its own owner= or after="
            raise TopologyError(pod, problem, "Link it to another node, or to none.")
        if other not in nodes:
            problem = f"node {spec.name!r} requires {other!r}, which is no node of it"
            raise TopologyError(pod, problem, f"Declare {other!r}, or drop the link.")
    if len(set(spec.after)) < len(spec.after):
        twice = Counter(spec.after).most_common(1)[0][0]
        problem = f"node {spec.name!r} names {twice!r} twice in after="
        raise TopologyError(pod, problem, "Name it once.")
    if spec.owner is not None and nodes[spec.owner].pod:
        problem = f"node {spec.name!r} has the nested pod {spec.owner!r} as its owner"
        advice = "A pod owns what its own class declares: declare it there, or use "
        raise TopologyError(pod, problem, f"{advice}after=.")


def _levels(nodes: Mapping[str, NodeSpec]) -> dict[str, int]:
    """Return the wave of each node; one in or behind a circle is missing (Kahn)."""
    missing = {name: len(spec.requires) for name, spec in nodes.items()}
    waiting = _waiting_for(nodes.values())
    levels = {name: 0 for name, count in missing.items() if count == 0}
    ready = deque(levels)
    while ready:
        done = ready.popleft()
        for name in waiting.get(done, ()):
            missing[name] -= 1
            if missing[name] == 0:
                # The last requirement to be done stands in the highest wave.
                levels[name] = levels[done] + 1
                ready.append(name)
    return levels


def _waiting_for(nodes: Iterable[NodeSpec]) -> dict[str, list[str]]:
    """Return for each required node the nodes that require it directly."""
    waiting: dict[str, list[str]] = {}
    for spec in nodes:
        for name in spec.requires:
            waiting.setdefault(name, []).append(spec.name)
    return waiting


def _circle(nodes: Mapping[str, NodeSpec], levels: Mapping[str, int]) -> list[str]:
    """Walk from a node without a wave along its requirements until one comes twice."""
    name = next(name for name in nodes if name not in levels)
    path: dict[str, None] = {}
    while name not in path:
        path[name] = None
        name = next(other for other in nodes[name].requires if other not in levels)
    walked = list(path)
    return [*walked[walked.index(name) :], name]


def _reach(links: Mapping[str, list[str]], start: Sequence[str]) -> list[str]:
    """Return what can be reached from ``start``, without it, nearest first."""
    seen = set(start)
    found: list[str] = []
    todo = deque(start)
    while todo:
        for name in links.get(todo.popleft(), ()):
            if name not in seen:
                seen.add(name)
                found.append(name)
                todo.append(name)
    return found


def topology_of(agent: type[object]) -> Topology | None:
    """Return the topology of a pod class; ``None`` for any other class."""
    topology: object = getattr(agent, "__topology__", None)
    return topology if isinstance(topology, Topology) else None


# Drawing

_GREY = "#eaeef2"
_COLOURS = {
    "running": "#aceebb",
    "starting": "#b6e3ff",
    "hibernating": "#d8b9ff",
    "hibernated": "#d8b9ff",
    "pending": "#fae17d",
    "backing_off": "#fae17d",
    "misplaced": "#ffb77c",
    "quarantined": "#ffaba8",
}


def _shape(spec: NodeSpec) -> str:
    text = f'"{spec.name}<br/>{spec.manager}"'
    return f"n_{spec.name}[[{text}]]" if spec.pod else f"n_{spec.name}[{text}]"


def _ids(names: Iterable[str]) -> str:
    # With the prefix no name is a word of Mermaid's own, as "end" is.
    return ",".join(f"n_{name}" for name in names)


def _paint(topology: Topology, states: Mapping[str, str]) -> list[str]:
    painted: dict[str, list[str]] = {}
    for name in topology:
        if name in states:
            painted.setdefault(check_name(states[name], "state"), []).append(name)
    if not painted:
        return []
    lines = ["    subgraph legend"]
    lines += [f'        l_{state}["{state}"]' for state in sorted(painted)]
    lines.append("    end")
    for state in sorted(painted):
        colour = _COLOURS.get(state, _GREY)
        lines.append(f"    classDef s_{state} fill:{colour},color:#1f2328")
        lines.append(f"    class l_{state},{_ids(painted[state])} s_{state}")
    return lines
