"""What to start, and in which order: decided here, done by the reconciler.

A plan is made of *waves*. Every node stands in a later wave than its owner and the
nodes it comes after, so that a wave may start all of its nodes at once. A node's wave
follows from the topology alone; a plan therefore costs what it holds.
"""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .topology import Topology

__all__ = [
    "Action",
    "Observed",
    "Plan",
    "blocked_by",
    "closure",
    "eager_closure",
    "plan",
]


class Observed(enum.Enum):
    """How a node was found before the plan was made."""

    ABSENT = "absent"
    """Not alive, whether it has a stored state or not."""
    ATTACHED = "attached"
    """Alive under the parent that the topology gives it."""
    ORPHANED = "orphaned"
    """Alive without a parent, as after a restart of its pod."""
    MISPLACED = "misplaced"
    """Alive under another parent."""


class Action(enum.Enum):
    """What the reconciler does with a node."""

    START = "start"
    KEEP = "keep"
    ADOPT = "adopt"
    REFUSE = "refuse"


@attrs.frozen
class Plan:
    """Which nodes to bring up, in waves, and what to do with each.

    Attributes:
        waves: names of the nodes; a wave may begin when the one before has ended.
        actions: what to do with each node, in the order of the waves.
    """

    waves: tuple[tuple[str, ...], ...]
    actions: Mapping[str, Action]

    def having(self, action: Action) -> tuple[str, ...]:
        """Return the nodes with an action, in the order of the waves."""
        return tuple(
            n for wave in self.waves for n in wave if self.actions[n] is action
        )


def plan(
    topology: Topology, wanted: Iterable[str], observed: Mapping[str, Observed]
) -> Plan:
    """Plan how to bring nodes up, together with all that they require.

    A node is planned as if every one before it will run. The reconciler leaves out
    what ``blocked_by`` names when one is refused or fails.

    Args:
        topology: the pod's topology.
        wanted: names of nodes in it.
        observed: how the nodes were found; a node that is not in it is absent.

    Raises:
        UnknownNode: a wanted name is not in the topology.
    """
    levels: dict[int, list[str]] = {}
    for name in closure(topology, wanted):
        levels.setdefault(topology.level(name), []).append(name)
    waves = tuple(
        tuple(sorted(levels[level], key=topology.place)) for level in sorted(levels)
    )
    actions = {
        name: _action(observed.get(name, Observed.ABSENT))
        for wave in waves
        for name in wave
    }
    return Plan(waves, MappingProxyType(actions))


def _action(observed: Observed) -> Action:
    match observed:
        case Observed.ABSENT:
            return Action.START
        case Observed.ATTACHED:
            return Action.KEEP
        case Observed.ORPHANED:
            return Action.ADOPT
        case Observed.MISPLACED:
            return Action.REFUSE


def closure(topology: Topology, wanted: Iterable[str]) -> frozenset[str]:
    """Return nodes together with all that they require, at any distance.

    Raises:
        UnknownNode: a wanted name is not in the topology.
    """
    names = {topology.resolve(name).name for name in wanted}
    return frozenset(names | topology.requirements(*names))


def eager_closure(topology: Topology) -> frozenset[str]:
    """Return what starts with the pod: eager nodes, and lazy ones that they require."""
    return closure(topology, (spec.name for spec in topology.nodes if spec.eager))


def blocked_by(topology: Topology, failed: Iterable[str]) -> frozenset[str]:
    """Return the nodes that must stay pending because others did not come up."""
    return frozenset(topology.dependents(*failed))
