from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pods.errors import UnknownNode
from pods.topology.node import NodeSpec
from pods.topology.planner import (
    Action,
    Observed,
    blocked_by,
    closure,
    eager_closure,
    plan,
)
from pods.topology.topology import Topology


class Worker:
    pass


def spec(
    name: str, owner: str | None = None, *after: str, eager: bool = True
) -> NodeSpec:
    return NodeSpec(name, Worker, "workers", eager=eager, owner=owner, after=after)


TEAM = Topology(
    "Team",
    (
        spec("archive", eager=False),
        spec("lead"),
        spec("writer", "lead"),
        spec("reviewer", "lead", "writer", eager=False),
        spec("press", None, "archive"),
        spec("fan", "reviewer", eager=False),
    ),
)


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    size = draw(st.integers(1, 15))
    specs: list[NodeSpec] = []
    for i in range(size):
        earlier = [f"n{j}" for j in range(i)]
        owner = draw(st.sampled_from([None, *earlier]))
        after = (
            draw(st.lists(st.sampled_from(earlier), max_size=4, unique=True))
            if (earlier)
            else []
        )
        specs.append(spec(f"n{i}", owner, *after, eager=draw(st.booleans())))
    return Topology("Random", tuple(draw(st.permutations(specs))))


def test_eager_nodes_start_in_waves() -> None:
    """G8: a node starts after its owner and the nodes it comes after."""
    planned = plan(TEAM, eager_closure(TEAM), {})

    assert planned.waves == (("archive", "lead"), ("writer", "press"))
    assert planned.having(Action.START) == ("archive", "lead", "writer", "press")


def test_a_lazy_node_that_an_eager_one_requires_starts_too() -> None:
    """G8: the eager closure."""
    assert eager_closure(TEAM) == {"archive", "lead", "writer", "press"}


def test_a_lazy_node_starts_with_its_owners_and_prerequisites() -> None:
    """G8: and with nothing else."""
    planned = plan(TEAM, ["fan"], {})

    assert planned.waves == (("lead",), ("writer",), ("reviewer",), ("fan",))


def test_what_was_found_decides_what_is_done() -> None:
    """G10: survivors are kept or adopted; G11: a foreign child is refused."""
    observed = {
        "lead": Observed.ATTACHED,
        "writer": Observed.ORPHANED,
        "reviewer": Observed.MISPLACED,
        "fan": Observed.ABSENT,
        "press": Observed.MISPLACED,
    }

    planned = plan(TEAM, ["fan"], observed)

    assert planned.actions == {
        "lead": Action.KEEP,
        "writer": Action.ADOPT,
        "reviewer": Action.REFUSE,
        "fan": Action.START,
    }
    assert planned.having(Action.REFUSE) == ("reviewer",)


def test_what_depends_on_a_failed_node_stays_pending() -> None:
    """G8: a node never starts without what it requires."""
    assert blocked_by(TEAM, ["lead"]) == {"writer", "reviewer", "fan"}
    assert blocked_by(TEAM, ["archive", "writer"]) == {"press", "reviewer", "fan"}
    assert blocked_by(TEAM, ["fan"]) == frozenset()
    assert blocked_by(TEAM, []) == frozenset()


def test_a_name_that_is_no_node_is_refused() -> None:
    """G8: before anything starts."""
    with pytest.raises(UnknownNode, match="Team has no node 'ghost'"):
        plan(TEAM, ["lead", "ghost"], {})


def test_an_empty_wish_is_an_empty_plan() -> None:
    """G8: a pod may have no nodes."""
    empty = Topology("Empty")

    planned = plan(empty, eager_closure(empty), {})

    assert planned.waves == ()
    assert planned.actions == {}


@given(topologies(), st.data())
def test_what_a_node_requires_lies_in_an_earlier_wave(
    topology: Topology, data: st.DataObject
) -> None:
    """G8: for every topology and every wish."""
    wanted = data.draw(st.sets(st.sampled_from(sorted(topology))))

    planned = plan(topology, wanted, {})

    wave_of = {name: i for i, wave in enumerate(planned.waves) for name in wave}
    assert set(wave_of) == closure(topology, wanted) == set(planned.actions)
    assert wanted <= set(wave_of)
    assert sum(len(wave) for wave in planned.waves) == len(wave_of)
    assert all(planned.waves)
    for name, wave in wave_of.items():
        earlier = [wave_of[other] for other in topology[name].requires]
        assert wave == max(earlier, default=-1) + 1


@given(topologies(), st.data())
def test_a_plan_holds_nothing_that_was_not_needed(
    topology: Topology, data: st.DataObject
) -> None:
    """G8: each node was wanted, or is required by one that was."""
    wanted = data.draw(st.sets(st.sampled_from(sorted(topology))))

    planned = closure(topology, wanted)

    for name in planned - wanted:
        assert any(name in topology.requirements(other) for other in wanted)


@given(topologies(), st.data())
def test_blocked_nodes_are_those_that_require_a_failed_one(
    topology: Topology, data: st.DataObject
) -> None:
    """G8: neither more nor fewer."""
    failed = data.draw(st.sets(st.sampled_from(sorted(topology))))

    blocked = blocked_by(topology, failed)

    assert blocked == {
        name
        for name in topology
        if name not in failed and topology.requirements(name) & failed
    }
