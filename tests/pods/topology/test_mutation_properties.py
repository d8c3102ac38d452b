from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pods.errors import MutationRefused, UnknownNode
from pods.topology.mutation import Change, add_node, remove_node
from pods.topology.node import NodeSpec, eager
from pods.topology.stored import effective
from pods.topology.topology import Topology
from tests.pods.changes import MANAGERS, NOTHING, mutate, thaw
from tests.pods.shapes import Worker, spec


@st.composite
def declarations(draw: st.DrawFn) -> Topology:
    size = draw(st.integers(0, 10))
    return Topology("Random", tuple(draw_spec(draw, f"n{i}", i) for i in range(size)))


def draw_spec(draw: st.DrawFn, name: str, earlier: int) -> NodeSpec:
    names = [f"n{j}" for j in range(earlier)]
    owner = draw(st.sampled_from([None, *names]))
    if not names:
        return spec(name, owner)
    after = draw(st.lists(st.sampled_from(names), max_size=3, unique=True))
    return spec(name, owner, *after)


names = st.sampled_from([f"n{i}" for i in range(8)] + [f"x{i}" for i in range(4)])


@st.composite
def additions(draw: st.DrawFn) -> Change:
    worker = eager(Worker, manager="workers")
    after = draw(st.lists(names, max_size=2, unique=True))
    return add_node(draw(names), worker, owner=draw(st.none() | names), after=after)


changes = st.lists(additions() | names.map(remove_node), max_size=12)


@given(declarations(), st.lists(changes, max_size=3))
def test_what_was_acknowledged_is_what_is_thawed(
    declared: Topology, calls: Sequence[Sequence[Change]]
) -> None:
    """G15: the topology after the call is the topology after a restart."""
    stored = NOTHING
    topology = declared
    for call in calls:
        for change in call:
            try:
                plan = mutate(change, stored=stored, declared=declared)
            except (MutationRefused, UnknownNode):
                continue
            again, problems = effective(declared, thaw(plan.stored), MANAGERS.get)
            assert again == plan.topology
            assert problems == plan.problems == ()
            assert set(plan.topology) == (set(topology) - set(plan.removed)) | set(
                plan.added
            )
            stored, topology = plan.stored, plan.topology


@given(declarations(), changes)
def test_one_call_does_what_its_changes_do_one_by_one(
    declared: Topology, call: Sequence[Change]
) -> None:
    """G15: in their order."""
    stored = NOTHING
    possible: list[Change] = []
    for change in call:
        try:
            stored = mutate(change, stored=stored, declared=declared).stored
        except (MutationRefused, UnknownNode):
            continue
        possible.append(change)

    at_once = mutate(*possible, declared=declared)

    assert at_once.stored.added == stored.added
    assert at_once.stored.removed == stored.removed
    assert set(at_once.stored.purging) <= set(stored.purging)


@given(declarations(), st.data())
def test_a_removal_takes_exactly_the_subtree(
    declared: Topology, data: st.DataObject
) -> None:
    """G15: and each node is stopped before what it requires."""
    if not declared:
        return
    name = data.draw(st.sampled_from(list(declared)))
    subtree = set(declared.subtree(name))
    blocked = set(declared.dependents(name, *subtree)) - subtree
    direct = {n for n in blocked if set(declared[n].requires) & subtree}

    if direct:
        with pytest.raises(MutationRefused):
            mutate(remove_node(name), declared=declared)
        return
    plan = mutate(remove_node(name), declared=declared)

    assert set(plan.removed) == subtree
    assert len(plan.removed) == len(subtree)
    assert list(plan.topology) == [n for n in declared if n not in subtree]
    for i, node in enumerate(plan.removed):
        assert not set(declared[node].requires) & set(plan.removed[:i])
