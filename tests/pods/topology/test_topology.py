from __future__ import annotations

import sys
from collections.abc import Callable
from graphlib import CycleError, TopologicalSorter
from types import FrameType
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence import Address, PodsError
from pods.errors import (
    InvalidNode,
    ManagerMismatch,
    MutationRefused,
    NodeMisplaced,
    NotInPod,
    PodMismatch,
    TopologyError,
    UnknownNode,
    UnreadableTopology,
)
from pods.topology.node import NodeSpec, eager
from pods.topology.topology import MAX_NODES, Topology, check

if TYPE_CHECKING:
    from _typeshed import TraceFunction
from tests.pods.shapes import Other, Pod, Senior, Worker, Workspace, spec

# Checking values


@pytest.mark.parametrize(
    ("specs", "words"),
    [
        ([spec("a", "b"), spec("b", "a")], ["'a' -> 'b' -> 'a'", "circle"]),
        ([spec("a", None, "b"), spec("b", None, "a")], ["'a' -> 'b' -> 'a'"]),
        (
            [spec("a", "b"), spec("b", None, "c"), spec("c", "a"), spec("d", "a")],
            ["'a' -> 'b' -> 'c' -> 'a'"],
        ),
        ([spec("d", "a"), spec("a", "b"), spec("b", "a")], ["'a' -> 'b' -> 'a'"]),
        ([spec("a", "a")], ["'a' is its own owner="]),
        ([spec("a", None, "a")], ["'a' is its own owner="]),
        ([spec("a", "b")], ["'a' requires 'b', which is no node"]),
        ([spec("a", None, "b")], ["'a' requires 'b', which is no node"]),
        ([spec("a"), spec("a")], ["two nodes are named 'a'"]),
        ([spec("a"), spec("b", None, "a", "a")], ["'b' names 'a' twice"]),
    ],
)
def test_nodes_that_make_no_topology_are_refused(
    specs: list[NodeSpec], words: list[str]
) -> None:
    """G6: cycles (mixed ones too), self links, unknown names, duplicates."""
    with pytest.raises(TopologyError) as caught:
        check("Workspace", specs)

    assert all(word in str(caught.value) for word in words)
    assert "The topology of Workspace is refused" in str(caught.value)


def test_a_long_circle_does_not_flood_the_error() -> None:
    """G6: 5,000 nodes in a circle, found without recursion."""
    size = 5_000
    circle = [spec(f"n{i}", None, f"n{(i + 1) % size}") for i in range(size)]

    with pytest.raises(TopologyError, match=r"'n7' and 4993 more") as caught:
        check("Workspace", circle)

    assert len(str(caught.value)) < 300


def test_a_pod_has_at_most_max_nodes() -> None:
    """G6: bounded, and the error names the bound."""
    full = [spec(f"n{i}") for i in range(MAX_NODES)]

    check("Workspace", full)
    with pytest.raises(TopologyError, match=f"MAX_NODES = {MAX_NODES}"):
        check("Workspace", [*full, spec("one_more")])


def test_an_owner_that_is_named_in_after_too_counts_once() -> None:
    """G6: to say it twice is no mistake."""
    topology = Topology("Workspace", (spec("a"), spec("b", "a", "a")))

    assert topology["b"].requires == ("a",)
    assert topology.level("b") == 1
    assert topology.dependents("a") == ("b",)


Edges = list[tuple[int, int]]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, Edges]:
    size = draw(st.integers(1, 12))
    ends = st.integers(0, size - 1)
    return size, draw(st.lists(st.tuples(ends, ends), max_size=30, unique=True))


@given(graphs())
def test_exactly_the_graphs_without_a_circle_are_accepted(
    graph: tuple[int, Edges],
) -> None:
    """G6: compared with the sorter of the standard library."""
    size, edges = graph
    before: dict[int, list[int]] = {node: [] for node in range(size)}
    for node, other in edges:
        before[node].append(other)
    specs = [
        # One edge in three is an owner, so that circles are mixed.
        spec(f"n{i}", f"n{to[0]}", *(f"n{other}" for other in to[1:]))
        if to and i % 3 == 0
        else spec(f"n{i}", None, *(f"n{other}" for other in to))
        for i, to in before.items()
    ]
    try:
        TopologicalSorter(before).prepare()
    except CycleError:
        with pytest.raises(TopologyError):
            check("Workspace", specs)
    else:
        assert set(check("Workspace", specs)) == {f"n{i}" for i in range(size)}


# Asking


def test_relations_are_answered_by_name() -> None:
    """G6: owners, owned, the subtree that goes with a node, requirements."""
    topology = Topology(
        "Workspace",
        (
            spec("top"),
            spec("mid", "top"),
            spec("low", "mid"),
            spec("side", "top"),
            spec("late", None, "low"),
            spec("later", "side", "late"),
        ),
    )

    assert topology.owners_of("low") == ("mid", "top")
    assert topology.owners_of("top") == ()
    assert topology.owned_by("top") == ("mid", "side")
    assert topology.owned_by("low") == ()
    assert topology.subtree("top") == ("top", "mid", "side", "low", "later")
    assert topology.subtree("late") == ("late",)
    assert topology.requirements("later") == {"side", "top", "late", "low", "mid"}
    assert topology.requirements("top") == frozenset()
    assert topology.dependents("mid") == ("low", "late", "later")
    assert [topology.level(name) for name in topology] == [0, 1, 2, 1, 3, 4]
    assert topology.place("low") == 2


def test_a_topology_is_a_value() -> None:
    """G6: equal by what it says, usable as a key."""
    one = Topology("Workspace", (spec("a"), spec("b", "a")))
    same = Topology("Workspace", (spec("a"), spec("b", "a")))

    assert one == same
    assert hash(one) == hash(same)
    assert one != Topology("Workspace", (spec("a"), spec("b")))


def test_a_node_is_found_by_object_and_by_name() -> None:
    """G8: ``Workspace.reviewer`` and ``"reviewer"`` are the same node."""
    topology = Workspace.__topology__

    assert topology.resolve(Workspace.reviewer).name == "reviewer"
    assert topology.resolve("reviewer") is topology.resolve(Workspace.reviewer)


def test_an_overridden_node_stands_for_the_one_that_overrides_it() -> None:
    """G8: code that was written for the base class works on the subclass."""

    class Studio(Workspace):
        coordinator = eager(Senior, manager="seniors")

    found = Studio.__topology__.resolve(Workspace.coordinator)

    assert found.agent is Senior


def test_a_node_of_another_pod_class_is_not_found_by_its_name() -> None:
    """G8: an equal name is not enough."""

    class Studio(Pod):
        coordinator = eager(Worker, manager="workers")

    with pytest.raises(UnknownNode, match=r"Workspace has no node 'Studio\.coord"):
        Workspace.__topology__.resolve(Studio.coordinator)


def test_an_unknown_name_is_answered_with_some_that_exist() -> None:
    """G8: where, what, and what to do next; bounded."""
    pod = Address("acme", "workspaces", "workspace-123")
    many = Topology("Workspace", tuple(spec(f"n{i}") for i in range(100)))

    with pytest.raises(UnknownNode) as caught:
        many.resolve("revewer", at=pod)
    with pytest.raises(UnknownNode) as in_an_empty_pod:
        Topology("Empty").resolve("x")
    with pytest.raises(UnknownNode) as in_a_small_pod:
        Workspace.__topology__.resolve("x")

    assert f"{pod} has no node 'revewer'" in str(caught.value)
    assert "'n7' and 92 more" in str(caught.value)
    assert "It has no nodes" in str(in_an_empty_pod.value)
    assert "'coordinator', 'reviewer', 'editorial';" in str(in_a_small_pod.value)


def test_a_node_does_not_stand_for_another_class_under_its_name() -> None:
    """G15: a removed node whose name was given to another class is gone."""
    others = NodeSpec("reviewer", Other, "others", eager=False)
    topology = Workspace.__topology__.with_nodes([others])

    with pytest.raises(UnknownNode):
        topology.resolve(Workspace.reviewer)

    assert topology.resolve("reviewer") == others


def company(size: int) -> tuple[NodeSpec, ...]:
    """A tenth of the nodes own the rest: 10 own 90, which own 900."""
    tops = max(size // 100, 1)
    mids = size // 10 - tops
    specs = [spec(f"top{i}") for i in range(tops)]
    specs += [spec(f"mid{i}", f"top{i % tops}") for i in range(mids)]
    lows = size - tops - mids
    specs += [spec(f"low{i}", f"mid{i % mids}", "top0") for i in range(lows)]
    return tuple(specs)


def steps(work: Callable[[], object]) -> int:
    """Count the lines that some work executes: the same in every run."""
    count = 0

    def trace(_: FrameType, event: str, __: object) -> TraceFunction:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def test_building_and_asking_are_linear() -> None:
    """G8: 1,000 nodes take about ten times the steps of 100, not a hundred times."""

    def build_and_ask(specs: tuple[NodeSpec, ...]) -> Callable[[], object]:
        def work() -> None:
            topology = Topology("Workspace", specs)
            for name in topology:
                topology.resolve(name)
                topology.level(name)
                topology.owned_by(name)
                topology.owners_of(name)
            topology.subtree("top0")
            topology.dependents("top0")
            topology.requirements(*topology)
            topology.to_mermaid()

        return work

    small = steps(build_and_ask(company(100)))
    large = steps(build_and_ask(company(1_000)))

    assert small > 1_000
    assert large / small <= 12


def test_one_look_up_does_not_depend_on_the_size_of_the_pod() -> None:
    """G8: the answer for one node costs the same in a pod of 100 and of 1,000."""

    def look_up(size: int) -> int:
        topology = Topology("Workspace", company(size))
        return steps(lambda: (topology.resolve("low0"), topology.requirements("low0")))

    assert look_up(1_000) == look_up(100)


def test_every_error_says_what_where_and_what_next() -> None:
    """G6: a code, the facts, a next step, and the builtin that fits."""
    pod = Address("acme", "workspaces", "w")
    node = Address("acme", "workers", ("workspaces", "w", "reviewer"))
    errors: list[tuple[PodsError, type[Exception], str]] = [
        (TopologyError("W", "it is bad", "Mend it."), ValueError, "Mend it."),
        (UnknownNode(pod, "x", (), 0), LookupError, str(pod)),
        (ManagerMismatch("a", "m", "A", "B"), TypeError, "runs B"),
        (NodeMisplaced("a", node, pod, pod), RuntimeError, str(node)),
        (MutationRefused(pod, "a", "so", "Do."), ValueError, "Nothing was changed"),
        (NotInPod(node, "Workspace"), LookupError, "Workspace"),
        (InvalidNode("owner", 1, "a node"), TypeError, "owner=1"),
        (UnreadableTopology("it is torn"), ValueError, "it is torn"),
        (PodMismatch("Workspace", "a list"), TypeError, "given a list"),
    ]

    for error, builtin, words in errors:
        assert isinstance(error, builtin)
        assert words in str(error)
    codes = [error.code for error, _, _ in errors]
    assert codes == [f"PV-E40{i}" for i in range(1, len(errors) + 1)]
