"""Errors of the topology layer.

```
PodsError                          (the root, in persistence)
├── TopologyError       PV-E401  ValueError    a pod class declares what cannot be run
├── UnknownNode         PV-E402  LookupError   the pod has no such node
├── ManagerMismatch     PV-E403  TypeError     the manager runs another agent class
├── NodeMisplaced       PV-E404  RuntimeError  the node is alive under another parent
├── MutationRefused     PV-E405  ValueError    a change that would break the topology
├── NotInPod            PV-E406  LookupError   the agent belongs to no such pod
├── InvalidNode         PV-E407  TypeError     eager(), lazy() or nested() misused
├── UnreadableTopology  PV-E408  ValueError    a stored topology that makes no sense
└── PodMismatch         PV-E409  TypeError     a manager or handle of another pod class
```

``PackageConflict`` (PV-E400, an ``ImportError``) stands in ``_ownership``: it must be
there before any other package is.
"""

from __future__ import annotations

import attrs

from persistence import Address, PodsError, shorten

__all__ = [
    "InvalidNode",
    "ManagerMismatch",
    "MutationRefused",
    "NodeMisplaced",
    "NotInPod",
    "PodMismatch",
    "TopologyError",
    "UnknownNode",
    "UnreadableTopology",
]

_SHOWN_NAMES = 8


@attrs.define(slots=False, eq=False, repr=False)
class TopologyError(PodsError, ValueError):
    """A pod class declares a topology that cannot be run.

    Attributes:
        pod: name of the pod class.
        problem: what is wrong, with the names of the nodes in it.
        advice: what to do next, a sentence.
    """

    code = "PV-E401"
    pod: str
    problem: str
    advice: str

    def text(self) -> str:
        return f"The topology of {self.pod} is refused: {self.problem}. {self.advice}"


@attrs.define(slots=False, eq=False, repr=False)
class UnknownNode(PodsError, LookupError):
    """The pod has no node of that name.

    Attributes:
        pod: address of the pod, or the name of its class where no pod is running.
        node: the name that was asked for.
        known: the first few names that exist.
        total: how many exist.
    """

    code = "PV-E402"
    pod: Address | str
    node: str
    known: tuple[str, ...]
    total: int

    def text(self) -> str:
        return (
            f"{self.pod} has no node {shorten(self.node)}. "
            f"It has {_some(self.known, self.total)}; use one of them, or add the node."
        )


@attrs.define(slots=False, eq=False, repr=False)
class ManagerMismatch(PodsError, TypeError):
    """A node names a manager that runs another agent class.

    Attributes:
        node: name of the node.
        manager: name of the manager that the node names.
        declared: name of the agent class that the node declares.
        found: name of the agent class that the manager runs.
    """

    code = "PV-E403"
    node: str
    manager: str
    declared: str
    found: str

    def text(self) -> str:
        return (
            f"Node {self.node!r} declares {self.declared}, but its manager "
            f"{self.manager!r} runs {self.found}. Name a manager that runs "
            f"{self.declared} or a subclass of it."
        )


@attrs.define(slots=False, eq=False, repr=False)
class NodeMisplaced(PodsError, RuntimeError):
    """A node is alive under another parent than its topology says.

    Attributes:
        node: name of the node.
        address: address of the live instance.
        found: the parent that it has.
        wanted: the parent that it should have.
    """

    code = "PV-E404"
    node: str
    address: Address
    found: Address | None
    wanted: Address

    def text(self) -> str:
        return (
            f"Node {self.node!r} ({self.address}) is alive under {self.found}, not "
            f"under {self.wanted}. It was left as it is; stop it, then reconcile."
        )


@attrs.define(slots=False, eq=False, repr=False)
class MutationRefused(PodsError, ValueError):
    """A change that would leave the pod with a broken topology; nothing was changed.

    Attributes:
        pod: address of the pod.
        node: name of the node that the change is about.
        reason: why it is refused, with the name of any other node in it.
        advice: what to do next, a sentence.
    """

    code = "PV-E405"
    pod: Address
    node: str
    reason: str
    advice: str

    def text(self) -> str:
        return (
            f"The change of node {self.node!r} in {self.pod} is refused: "
            f"{self.reason}. Nothing was changed. {self.advice}"
        )


@attrs.define(slots=False, eq=False, repr=False)
class NotInPod(PodsError, LookupError):
    """The agent belongs to no pod of the class that was asked for.

    Attributes:
        address: address of the agent.
        pod: name of the pod class.
    """

    code = "PV-E406"
    address: Address
    pod: str

    def text(self) -> str:
        return (
            f"{self.address} is in no pod of class {self.pod}. "
            f"Start it as a node of one, with ensure_node()."
        )


@attrs.define(slots=False, eq=False, repr=False)
class InvalidNode(PodsError, TypeError):
    """An argument of ``eager()``, ``lazy()``, ``nested()`` or a change is of no use.

    Attributes:
        argument: name of the argument.
        value: what was given.
        wanted: what it should be.
    """

    code = "PV-E407"
    argument: str
    value: object
    wanted: str

    def text(self) -> str:
        return (
            f"{self.argument}={shorten(self.value)} makes no node. Give {self.wanted}."
        )


@attrs.define(slots=False, eq=False, repr=False)
class UnreadableTopology(PodsError, ValueError):
    """The stored topology of a pod has a shape that podvisor never writes.

    Attributes:
        reason: what is wrong with it.
    """

    code = "PV-E408"
    reason: str

    def text(self) -> str:
        return (
            f"The stored topology cannot be read: {self.reason}. "
            "Its bytes are kept; look at them, then release or discard the pod."
        )


@attrs.define(slots=False, eq=False, repr=False)
class PodMismatch(PodsError, TypeError):
    """``Pod.get`` was given something that hosts no pods of its class.

    Attributes:
        pod: name of the pod class.
        given: what was given, in words.
    """

    code = "PV-E409"
    pod: str
    given: str

    def text(self) -> str:
        return (
            f"{self.pod}.get() was given {self.given}. Give it the InstanceManager "
            f"that host.manager(name, {self.pod}) returned."
        )


def _some(names: tuple[str, ...], total: int) -> str:
    if not total:
        return "no nodes"
    shown = ", ".join(repr(name) for name in names[:_SHOWN_NAMES])
    hidden = total - min(len(names), _SHOWN_NAMES)
    return f"{shown} and {hidden} more" if hidden else shown
