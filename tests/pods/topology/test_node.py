from __future__ import annotations

from collections.abc import Callable

import pytest

from persistence import InvalidName
from pods.errors import InvalidNode
from pods.topology.node import eager, lazy, nested
from tests.pods.shapes import Worker, Workspace


def test_a_node_shows_where_it_was_declared() -> None:
    """G6: errors and logs name it."""
    undeclared = eager(Worker, manager="workers")

    assert repr(Workspace.reviewer) == (
        "<Node Workspace.reviewer: lazy Worker in 'workers'>"
    )
    assert repr(Workspace.editorial) == (
        "<Node Workspace.editorial: eager nested Editorial in 'editorial_pods'>"
    )
    assert repr(undeclared) == "<Node (undeclared): eager Worker in 'workers'>"


def test_two_nodes_with_equal_arguments_are_two_nodes() -> None:
    """G6: a node is an identity."""
    assert eager(Worker, manager="w") != eager(Worker, manager="w")


@pytest.mark.parametrize("declare", [eager, lazy, nested])
def test_arguments_of_a_wrong_type_are_refused_at_once(
    declare: Callable[..., object],
) -> None:
    """G6: without a type checker, too."""
    coordinator = Workspace.coordinator

    with pytest.raises(InvalidNode, match="agent="):
        declare(Worker(), manager="workers")
    with pytest.raises(InvalidNode, match="owner='coordinator'"):
        declare(Worker, manager="workers", owner="coordinator")
    with pytest.raises(InvalidNode, match="after=<Node"):
        declare(Worker, manager="workers", after=coordinator)
    with pytest.raises(InvalidNode, match="after='coordinator'"):
        declare(Worker, manager="workers", after="coordinator")
    with pytest.raises(InvalidNode, match="on_parent_stop='stop'"):
        declare(Worker, manager="workers", on_parent_stop="stop")
    with pytest.raises(InvalidName, match="manager name 'Bad Name'"):
        declare(Worker, manager="Bad Name")


# Reading a class
