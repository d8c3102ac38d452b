"""The nodes of a pod, as a class body declares them: ``eager``, ``lazy``, ``nested``.

A ``Node`` is the identity that a user holds (``Workspace.reviewer``); a ``NodeSpec`` is
the same node as a value, with names in place of objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

import attrs

from persistence import check_name
from supervision import OnParentStop

from ..errors import InvalidNode

__all__ = ["Node", "NodeSpec", "eager", "lazy", "nested", "required"]

A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)


@attrs.define(eq=False, repr=False)
class Node(Generic[A_co]):
    """One node of a pod class; make it with ``eager``, ``lazy`` or ``nested``.

    Attributes:
        agent: class of the node's instances, for the type checker too.
        manager: name of the manager that runs them.
        eager: whether the node starts with its pod.
        pod: whether it is a nested pod.
        owner: the node whose child it is; ``None`` for a child of the pod itself.
        after: nodes that must run before it starts.
        on_parent_stop: what becomes of it when its owner, or else the pod, stops.
        name: the name it got in the class body; ``None`` outside of one.
        declared_in: the class that gave the name.
    """

    agent: type[A_co]
    manager: str
    eager: bool
    pod: bool
    owner: Node[object] | None
    after: tuple[Node[object], ...]
    on_parent_stop: OnParentStop = OnParentStop.STOP
    name: str | None = attrs.field(default=None, init=False)
    declared_in: type[object] | None = attrs.field(default=None, init=False)

    def __set_name__(self, owner: type[object], name: str) -> None:
        # The first name stays: a reader of the class body finds the second one there
        # and sees that the node does not agree.
        if self.declared_in is None:
            self.declared_in, self.name = owner, name

    @property
    def label(self) -> str:
        """Where the node was declared, such as ``Workspace.reviewer``."""
        if self.declared_in is None:
            return "(undeclared)"
        return f"{self.declared_in.__name__}.{self.name}"

    def __repr__(self) -> str:
        start = "eager" if self.eager else "lazy"
        kind = f"{start} nested" if self.pod else start
        return f"<Node {self.label}: {kind} {self.agent.__name__} in {self.manager!r}>"


@attrs.frozen
class NodeSpec:
    """What a topology says about one node.

    Attributes:
        name: name of the node in its pod, ``[a-z][a-z0-9_]{0,62}``.
        agent: class of its instances.
        manager: name of the manager that runs them.
        eager: whether it starts with its pod.
        pod: whether it is a nested pod.
        owner: name of the node whose child it is; ``None`` for a child of the pod.
        after: names of the nodes that must run before it starts.
        on_parent_stop: what becomes of it when its parent stops.
    """

    name: str
    agent: type[object]
    manager: str
    eager: bool = True
    pod: bool = False
    owner: str | None = None
    after: tuple[str, ...] = ()
    on_parent_stop: OnParentStop = OnParentStop.STOP

    @property
    def requires(self) -> tuple[str, ...]:
        """Names of the nodes that must run before this one: the owner and ``after``."""
        return required(self.owner, self.after)


def required(owner: str | None, after: tuple[str, ...]) -> tuple[str, ...]:
    """Join an owner and prerequisites, each once."""
    if owner is None or owner in after:
        return after
    return (owner, *after)


def eager(
    agent: type[A],
    *,
    manager: str,
    owner: Node[object] | None = None,
    after: Sequence[Node[object]] = (),
    on_parent_stop: OnParentStop = OnParentStop.STOP,
) -> Node[A]:
    """Declare a node that starts with its pod.

    Args:
        agent: the agent class; a pod class needs ``nested``.
        manager: name of the manager that runs it.
        owner: the node whose child it becomes; by default the pod's own child.
        after: nodes that must run before it starts.
        on_parent_stop: what becomes of it when its owner, or else the pod, stops.

    Raises:
        InvalidNode: an argument is of the wrong type.
        InvalidName: ``manager`` is no name.
    """
    links = _links(owner, after)
    return _node(agent, manager, links, on_parent_stop, starts=True, pod=False)


def lazy(
    agent: type[A],
    *,
    manager: str,
    owner: Node[object] | None = None,
    after: Sequence[Node[object]] = (),
    on_parent_stop: OnParentStop = OnParentStop.STOP,
) -> Node[A]:
    """Declare a node that starts when it is asked for; else like ``eager``.

    Raises:
        InvalidNode: an argument is of the wrong type.
        InvalidName: ``manager`` is no name.
    """
    links = _links(owner, after)
    return _node(agent, manager, links, on_parent_stop, starts=False, pod=False)


def nested(
    pod: type[A],
    *,
    manager: str,
    owner: Node[object] | None = None,
    after: Sequence[Node[object]] = (),
    lazy: bool = False,
    on_parent_stop: OnParentStop = OnParentStop.STOP,
) -> Node[A]:
    """Declare a node that is a pod itself, with a topology of its own.

    Args:
        pod: the pod class.
        manager: name of the manager that runs it.
        owner: the node whose child it becomes; by default the outer pod's own child.
        after: nodes that must run before it starts.
        lazy: start it when it is asked for, not with the outer pod.
        on_parent_stop: what becomes of it when its owner, or else the pod, stops.

    Raises:
        InvalidNode: an argument is of the wrong type.
        InvalidName: ``manager`` is no name.
    """
    links = _links(owner, after)
    return _node(pod, manager, links, on_parent_stop, starts=not lazy, pod=True)


@attrs.frozen
class _Links:
    owner: Node[object] | None
    after: tuple[Node[object], ...]


def _links(owner: Node[object] | None, after: Iterable[Node[object]]) -> _Links:
    _check_owner(owner)
    return _Links(owner, _nodes(after))


def _node(
    agent: type[A],
    manager: str,
    links: _Links,
    on_parent_stop: OnParentStop,
    *,
    starts: bool,
    pod: bool,
) -> Node[A]:
    _check_class(agent)
    _check_policy(on_parent_stop)
    check_name(manager, "manager")
    return Node(agent, manager, starts, pod, links.owner, links.after, on_parent_stop)


# The checks below take ``object``: they are for callers without a type checker.


def _check_class(value: object) -> None:
    if not isinstance(value, type):
        raise InvalidNode("agent", value, "the class, not an instance or a name")


def _check_owner(value: object) -> None:
    if value is not None and not isinstance(value, Node):
        raise InvalidNode("owner", value, "a node that was declared before, or None")


def _check_policy(value: object) -> None:
    if not isinstance(value, OnParentStop):
        raise InvalidNode("on_parent_stop", value, "a member of OnParentStop")


def _nodes(after: Iterable[Node[object]]) -> tuple[Node[object], ...]:
    nodes = tuple(after) if _is_iterable(after) else None
    if nodes is None or not all(_is_node(node) for node in nodes):
        raise InvalidNode("after", after, "a list of nodes that were declared before")
    return nodes


def _is_iterable(value: object) -> bool:
    return isinstance(value, Iterable)


def _is_node(value: object) -> bool:
    return isinstance(value, Node)
