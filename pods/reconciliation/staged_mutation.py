"""A change of topology that takes effect with a turn of the pod itself, or not at all.

Several of one turn stand on each other, in the order in which they were made. They hold
the pod's place in the line of mutations until the turn has ended and, if it was saved,
until what they decided has been carried out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from persistence import Operation, Record, RecordKind, Save

from ..topology import TOPOLOGY_VERSION, StoredTopology
from .live import NodeLookup, PodState, node_address

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from ..topology import MutationPlan

__all__ = ["StagedMutation", "adopt", "topology_record"]


@attrs.define(eq=False, repr=False)
class StagedMutation:
    """What one call of ``context.mutate`` has decided.

    Attributes:
        state: the pod.
        plan: the topology as it will be.
        place: the pod's place in the line; resolved when the next may go on.
        look: finds nodes.
        carry_out: starts and stops what the turn's rewirings have decided.
        rev: revision of the topology's row after it.
    """

    state: PodState
    plan: MutationPlan
    place: asyncio.Future[None]
    look: NodeLookup
    carry_out: Callable[[PodState, asyncio.Future[None]], None]
    rev: int = 0

    def operations(self) -> tuple[Operation, ...]:
        """Store the topology, a revision after the one before it."""
        state = self.state
        if not state.pod.manager.stored:
            return ()
        self.rev = state.rev + state.staged.index(self) + 1
        return (Save(topology_record(state, self.plan.stored, self.rev)),)

    def committed(self) -> None:
        """Take the topology as the present one; the last of a turn carries it out."""
        state = self.state
        if state.pod.manager.stored:
            state.rev = self.rev
        state.stored = self.plan.stored
        adopt(state, self.plan, self.look)
        state.done.append(self)
        if state.done == state.staged:
            self.carry_out(state, self.place)

    def undone(self) -> None:
        """Forget it; let the next mutation go on if nothing is left."""
        self.state.staged.remove(self)
        if not self.state.staged and not self.place.done():
            self.place.set_result(None)


def topology_record(state: PodState, stored: StoredTopology, rev: int) -> Record:
    """Return the row of a pod's topology."""
    return Record(
        address=state.pod.address,
        kind=RecordKind.TOPOLOGY,
        rev=rev,
        version=TOPOLOGY_VERSION,
        body=stored.to_json(),
    )


def adopt(state: PodState, plan: MutationPlan, look: NodeLookup) -> None:
    """Give a pod the topology that is stored for it now."""
    state.topology, state.problems = plan.topology, plan.problems
    for purge in plan.stored.purging:
        look.removed(node_address(state.pod.address, purge.manager, purge.name))
    for name in plan.added:
        look.added(look.address(state, plan.topology[name]))
