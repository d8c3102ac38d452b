"""How a pod class is read: its nodes, those of its bases, and what may not stand there.

The names of a class body become a checked ``Topology``. A declaration that cannot be
run fails here, when the class is made, with the names of the nodes that do not fit.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, TypeGuard

from ..errors import TopologyError
from .node import Node, NodeSpec
from .topology import Topology, topology_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["read_topology"]


def read_topology(cls: type[object]) -> Topology:
    """Read the nodes that a class body and those of its bases declare.

    An inherited node keeps its place; a subclass may override it by name with a node
    of the same agent class or a subclass of it.

    Raises:
        TopologyError: the declaration cannot be run; the text names the nodes.
    """
    declared: dict[str, list[tuple[type[object], Node[object]]]] = {}
    others: dict[str, type[object]] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            if _is_node(value):
                _check_binding(cls, base, name, value)
                declared.setdefault(name, []).append((base, value))
            else:
                others.setdefault(name, base)
        for name in inspect.get_annotations(base):
            others.setdefault(name, base)
    for name, found in declared.items():
        _check_attribute(cls, name, others.get(name))
        _check_overriding(cls, name, found)
    names = {node: name for name, found in declared.items() for _, node in found}
    specs = [_spec(cls, name, found[-1][1], names) for name, found in declared.items()]
    topology = Topology(cls.__name__, tuple(specs), names)
    _check_nesting(cls, topology)
    return topology


def _is_node(value: object) -> TypeGuard[Node[object]]:
    return isinstance(value, Node)


def _check_binding(
    cls: type[object], base: type[object], name: str, node: Node[object]
) -> None:
    if node.name != name or not _same_class(node.declared_in, base):
        problem = f"{base.__name__}.{name} and {node.label} are one and the same node"
        advice = "Give each name a node of its own, declared in the class body."
        raise TopologyError(cls.__name__, problem, advice)


def _same_class(first: type[object] | None, second: type[object]) -> bool:
    # A class decorator may build the class anew; the node still knows the first one.
    return first is not None and (
        (first.__module__, first.__qualname__)
        == (second.__module__, second.__qualname__)
    )


def _check_attribute(cls: type[object], name: str, other: type[object] | None) -> None:
    if other is None:
        return
    if _is_node(vars(other).get(name)):
        problem = f"node {name!r} has an annotation in {other.__name__}"
        advice = f"Write `{name} = ...` without it; with it, {name} is a field."
    else:
        problem = f"node {name!r} and the attribute {name!r} of {other.__name__} clash"
        advice = "Rename one of them."
    raise TopologyError(cls.__name__, problem, advice)


def _check_overriding(
    cls: type[object], name: str, found: Sequence[tuple[type[object], Node[object]]]
) -> None:
    winner, node = found[-1]
    for base, hidden in found[:-1]:
        if not issubclass(winner, base):
            problem = f"{base.__name__} and {winner.__name__} both declare {name!r}"
            advice = f"Declare {name!r} in {cls.__name__} too, to say which one counts."
            raise TopologyError(cls.__name__, problem, advice)
        if not issubclass(node.agent, hidden.agent):
            problem = (
                f"{node.label} overrides {hidden.label}, but {node.agent.__name__} "
                f"is no subclass of {hidden.agent.__name__}"
            )
            advice = "Choose another name, or a subclass: typed callers rely on it."
            raise TopologyError(cls.__name__, problem, advice)


def _spec(
    cls: type[object], name: str, node: Node[object], names: Mapping[Node[object], str]
) -> NodeSpec:
    def named(other: Node[object]) -> str:
        if other in names:
            return names[other]
        problem = f"node {name!r} requires {other!r}, which is no node of it"
        advice = "Declare that node in this class, once, or inherit it."
        raise TopologyError(cls.__name__, problem, advice)

    return NodeSpec(
        name,
        node.agent,
        node.manager,
        eager=node.eager,
        pod=node.pod,
        owner=None if node.owner is None else named(node.owner),
        after=tuple(named(other) for other in node.after),
        on_parent_stop=node.on_parent_stop,
    )


def _check_nesting(cls: type[object], topology: Topology) -> None:
    """Refuse a pod that may contain itself without end.

    A manager may run a subclass of the pod class that a node names, so a nested base
    of this class may turn out to be this class again.
    """
    todo = [(spec.agent, spec.name) for spec in topology.nodes if spec.pod]
    seen: set[type[object]] = set()
    while todo:
        pod, through = todo.pop()
        if pod in seen:
            continue
        seen.add(pod)
        if issubclass(cls, pod):
            problem = f"node {through!r} nests {pod.__name__}, a base of {cls.__name__}"
            advice = f"Nest a class that {cls.__name__} does not inherit from."
            raise TopologyError(cls.__name__, problem, advice)
        inner = topology_of(pod)
        if inner is not None:
            todo += [(spec.agent, through) for spec in inner.nodes if spec.pod]
