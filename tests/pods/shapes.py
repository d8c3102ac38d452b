"""Topologies without a host: agents and pods that are only declared."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import pytest

from pods.errors import TopologyError
from pods.topology.declaration import read_topology
from pods.topology.node import NodeSpec, eager, lazy, nested
from pods.topology.topology import Topology

__all__ = [
    "Editorial",
    "Other",
    "Pod",
    "Senior",
    "Worker",
    "Workspace",
    "refused",
    "spec",
]


class Worker:
    pass


class Senior(Worker):
    pass


class Other:
    pass


class Pod:
    __topology__: ClassVar[Topology]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.__topology__ = read_topology(cls)

    def get(self) -> None: ...


class Editorial(Pod):
    writer = eager(Worker, manager="workers")


class Workspace(Pod):
    title: str = "untitled"
    coordinator = eager(Worker, manager="workers")
    reviewer = lazy(Worker, manager="workers", owner=coordinator)
    editorial = nested(Editorial, manager="editorial_pods", after=[coordinator])


def spec(name: str, owner: str | None = None, *after: str) -> NodeSpec:
    return NodeSpec(name, Worker, "workers", owner=owner, after=after)


def refused(declare: Callable[[], object]) -> str:
    """Return why a class body is refused."""
    with pytest.raises(TopologyError) as caught:
        declare()
    return str(caught.value)
