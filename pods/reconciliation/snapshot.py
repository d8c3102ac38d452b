"""The state of a pod's nodes at one moment, as values."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import attrs

from supervision.extending import Phase

if TYPE_CHECKING:
    from persistence import Address

    from ..topology import NodeSpec

__all__ = ["STATE_OF", "NodeSnapshot", "NodeState"]


class NodeState(enum.Enum):
    """Where a node is in its life, as its pod sees it."""

    ABSENT = "absent"
    """It was never started, or nothing of it is stored."""
    PENDING = "pending"
    """It waits for an owner or a prerequisite that is not running."""
    STARTING = "starting"
    RUNNING = "running"
    HIBERNATING = "hibernating"
    HIBERNATED = "hibernated"
    STOPPING = "stopping"
    STOPPED = "stopped"
    BACKING_OFF = "backing_off"
    """It failed and will be started again after a pause."""
    QUARANTINED = "quarantined"
    """It may not start until an operator releases it."""
    MISPLACED = "misplaced"
    """It is alive under another parent."""


STATE_OF = {
    Phase.STARTING: NodeState.STARTING,
    Phase.IDLE: NodeState.RUNNING,
    Phase.READY: NodeState.RUNNING,
    Phase.RUNNING: NodeState.RUNNING,
    Phase.COMMITTING: NodeState.RUNNING,
    Phase.BACKING_OFF: NodeState.BACKING_OFF,
    Phase.STOPPING: NodeState.HIBERNATING,
    Phase.STOPPED: NodeState.HIBERNATED,
}
"""The state of a node whose instance is in a phase."""


@attrs.frozen(kw_only=True)
class NodeSnapshot:
    """One node of a pod at one moment.

    Attributes:
        name: name of the node.
        manager: name of the manager that runs it.
        eager: whether it starts with its pod.
        pod: whether it is a nested pod.
        owner: name of the node that owns it; ``None`` for a child of the pod.
        after: names of the nodes that must run before it.
        address: identity of its instance.
        state: where it is in its life.
        reason: why it is quarantined, misplaced, pending or backing off.
        incarnation: number of its live agent object; ``None`` when it has none.
    """

    name: str
    manager: str
    eager: bool
    pod: bool
    owner: str | None
    after: tuple[str, ...]
    address: Address
    state: NodeState
    reason: str | None = None
    incarnation: int | None = None

    @classmethod
    def of(
        cls,
        spec: NodeSpec,
        address: Address,
        state: NodeState,
        reason: str | None = None,
        incarnation: int | None = None,
    ) -> NodeSnapshot:
        """Make the snapshot of a node from what its topology says of it."""
        return cls(
            name=spec.name,
            manager=spec.manager,
            eager=spec.eager,
            pod=spec.pod,
            owner=spec.owner,
            after=spec.after,
            address=address,
            state=state,
            reason=reason,
            incarnation=incarnation,
        )
