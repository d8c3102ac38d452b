"""A pod whose topology is changed, without a host."""

from __future__ import annotations

import pytest

from persistence import Address
from pods.errors import MutationRefused
from pods.topology.mutation import Change, MutationPlan, apply_changes
from pods.topology.node import eager, lazy, nested
from pods.topology.stored import TOPOLOGY_VERSION, StoredNode, StoredTopology
from pods.topology.topology import Topology
from tests.pods.shapes import Editorial, Other, Pod, Senior, Worker

__all__ = [
    "DECLARED",
    "MANAGERS",
    "NOTHING",
    "POD",
    "Workspace",
    "mutate",
    "refused",
    "stored_node",
    "thaw",
]

POD = Address("acme", "workspaces", "workspace-123")
NOTHING = StoredTopology()


class Workspace(Pod):
    coordinator = eager(Worker, manager="workers")
    reviewer = lazy(Worker, manager="workers", owner=coordinator)
    helper = lazy(Worker, manager="workers", owner=reviewer)
    editorial = nested(Editorial, manager="editorial_pods", after=[coordinator])


DECLARED = Workspace.__topology__
MANAGERS: dict[str, type[object]] = {
    "workers": Worker,
    "seniors": Senior,
    "others": Other,
    "editorial_pods": Editorial,
}


def mutate(
    *changes: Change, stored: StoredTopology = NOTHING, declared: Topology = DECLARED
) -> MutationPlan:
    return apply_changes(declared, stored, changes, MANAGERS.get, at=POD)


def thaw(stored: StoredTopology) -> StoredTopology:
    return StoredTopology.from_json(stored.to_json(), version=TOPOLOGY_VERSION)


def stored_node(
    name: str,
    owner: str | None = None,
    *after: str,
    manager: str = "workers",
    pod: bool = False,
) -> StoredNode:
    return StoredNode(name, manager, eager=True, pod=pod, owner=owner, after=after)


def refused(*changes: Change, stored: StoredTopology = NOTHING) -> str:
    """Return why changes are refused."""
    with pytest.raises(MutationRefused) as caught:
        mutate(*changes, stored=stored)
    text = str(caught.value)
    assert str(POD) in text
    assert "Nothing was changed." in text
    return text
