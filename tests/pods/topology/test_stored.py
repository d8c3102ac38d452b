from __future__ import annotations

import json

import pytest

from pods.errors import UnreadableTopology
from pods.topology.mutation import add_node, remove_node
from pods.topology.node import eager, lazy
from pods.topology.stored import (
    TOPOLOGY_VERSION,
    Problem,
    ProblemKind,
    StoredTopology,
    effective,
)
from pods.topology.topology import MAX_NODES, Topology
from supervision import OnParentStop
from tests.pods.changes import (
    DECLARED,
    MANAGERS,
    NOTHING,
    Workspace,
    mutate,
    refused,
    stored_node,
    thaw,
)
from tests.pods.shapes import Worker, spec

# Code that changes under stored pods


def test_a_node_newly_declared_in_code_appears_in_stored_pods() -> None:
    """G10: a stored topology hides nothing."""
    stored = mutate(
        add_node("artist", eager(Worker, manager="workers")), remove_node("helper")
    ).stored

    class Release(Workspace):
        printer = eager(Worker, manager="workers", after=[Workspace.coordinator])

    topology, problems = effective(Release.__topology__, stored, MANAGERS.get)

    assert set(topology) == {
        "coordinator",
        "reviewer",
        "editorial",
        "printer",
        "artist",
    }
    assert problems == ()


def test_a_declared_node_counts_before_a_stored_one_of_its_name() -> None:
    """G10: reported; removing it removes both."""
    stored = StoredTopology((stored_node("helper", manager="others"),))

    topology, problems = effective(DECLARED, stored, MANAGERS.get)
    plan = mutate(remove_node("helper"), stored=stored)

    assert topology == DECLARED
    assert problems == (Problem("helper", ProblemKind.SHADOWED),)
    assert str(problems[0]).startswith("Node 'helper' is left out: the class now")
    assert "helper" not in plan.topology
    assert plan.stored.added == ()
    assert plan.problems == ()


def test_what_no_longer_fits_the_code_is_left_out_and_reported() -> None:
    """G10: it never keeps the rest of the pod from starting."""
    stored = StoredTopology(
        (
            stored_node("fine", "coordinator"),
            stored_node("lost", "dropped"),
            stored_node("under_lost", "lost"),
            stored_node("unmanaged", manager="ghosts"),
            stored_node("was_a_pod", pod=True),
            stored_node("is_a_pod", manager="editorial_pods"),
            stored_node("in_a_pod", "editorial"),
            stored_node("round", None, "about"),
            stored_node("about", None, "round"),
        )
    )

    topology, problems = effective(DECLARED, stored, MANAGERS.get)

    assert list(topology) == [*DECLARED, "fine"]
    assert {(p.node, p.kind, p.other) for p in problems} == {
        ("lost", ProblemKind.MISSING, "dropped"),
        ("under_lost", ProblemKind.MISSING, "lost"),
        ("unmanaged", ProblemKind.NO_MANAGER, "ghosts"),
        ("was_a_pod", ProblemKind.KIND_CHANGED, "workers"),
        ("is_a_pod", ProblemKind.KIND_CHANGED, "editorial_pods"),
        ("in_a_pod", ProblemKind.OWNER_IS_POD, "editorial"),
        ("round", ProblemKind.MISSING, "about"),
        ("about", ProblemKind.MISSING, "round"),
    }
    assert len(problems) == 8
    assert "('dropped')" in str(problems[-5])


def test_a_node_left_out_can_be_removed_but_not_linked_to() -> None:
    """G15: a way out for whoever looks after the pod."""
    stored = StoredTopology(
        (stored_node("lost", "dropped"), stored_node("under_lost", "lost"))
    )
    worker = eager(Worker, manager="workers")

    plan = mutate(remove_node("lost"), stored=stored)
    why = refused(add_node("x", worker, owner="lost"), stored=stored)
    taken = refused(add_node("lost", worker), stored=stored)

    assert plan.stored.added == ()
    assert plan.removed == ("under_lost", "lost")
    assert plan.problems == ()
    assert "its link 'lost' is left out" in why
    assert "the name is taken" in taken


def test_a_node_that_gets_back_what_it_requires_counts_as_added() -> None:
    """G15: the report names all that appears."""
    stored = StoredTopology((stored_node("lost", "dropped"),))

    plan = mutate(add_node("dropped", eager(Worker, manager="workers")), stored=stored)

    assert plan.added == ("lost", "dropped")
    assert plan.topology["lost"].owner == "dropped"


def test_a_newly_declared_node_under_a_removed_one_is_reported() -> None:
    """G10: it cannot start without its owner."""
    stored = mutate(remove_node("reviewer")).stored

    class Release(Workspace):
        second = lazy(Worker, manager="workers", owner=Workspace.reviewer)

    topology, problems = effective(Release.__topology__, stored, MANAGERS.get)

    assert "second" not in topology
    assert problems == (Problem("second", ProblemKind.MISSING, "reviewer"),)


def test_declared_nodes_have_the_first_right_to_the_places() -> None:
    """G10: too many together is reported, not raised."""
    full = Topology("Full", tuple(spec(f"n{i}") for i in range(MAX_NODES)))
    stored = StoredTopology((stored_node("artist"),))

    topology, problems = effective(full, stored, MANAGERS.get)

    assert topology == full
    assert problems == (Problem("artist", ProblemKind.TOO_MANY),)


# What is stored


def test_what_becomes_of_an_added_orphan_is_stored() -> None:
    """G15: the policy is the same before and after a restart."""
    artist = lazy(Worker, manager="workers", on_parent_stop=OnParentStop.CONTINUE)
    plan = mutate(add_node("artist", artist))

    topology, _ = effective(DECLARED, thaw(plan.stored), MANAGERS.get)

    assert topology["artist"].on_parent_stop is OnParentStop.CONTINUE
    assert topology == plan.topology


def test_an_empty_difference_costs_nothing() -> None:
    """G10: the declared topology itself."""
    topology, problems = effective(DECLARED, NOTHING, MANAGERS.get)

    assert topology is DECLARED
    assert problems == ()


def test_stored_json_has_one_form() -> None:
    """G15: readable, and the same bytes for the same value."""
    artist = lazy(Worker, manager="workers", on_parent_stop=OnParentStop.NOTIFY)
    stored = mutate(
        add_node("artist", artist, after=["coordinator"]), remove_node("reviewer")
    ).stored

    assert json.loads(stored.to_json()) == {
        "added": [
            {
                "after": ["coordinator"],
                "eager": False,
                "manager": "workers",
                "name": "artist",
                "on_parent_stop": "notify",
                "owner": None,
                "pod": False,
            }
        ],
        "purging": [
            {"manager": "workers", "name": "helper", "pod": False},
            {"manager": "workers", "name": "reviewer", "pod": False},
        ],
        "removed": ["helper", "reviewer"],
    }
    assert thaw(stored) == stored


def body(**changes: object) -> bytes:
    """Return the JSON of a stored topology with one added node, changed."""
    node: dict[str, object] = {
        "after": [],
        "eager": True,
        "manager": "workers",
        "name": "a",
        "on_parent_stop": "stop",
        "owner": None,
        "pod": False,
    }
    whole: dict[str, object] = {"added": [node], "purging": [], "removed": []}
    for name, value in changes.items():
        (node if name in node else whole)[name] = value
    return json.dumps(whole, separators=(",", ":")).encode()


def test_the_form_that_the_next_test_breaks_is_a_good_one() -> None:
    """G15: else it would prove nothing."""
    assert StoredTopology.from_json(body(), version=1).added == (stored_node("a"),)


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b"\xff",
        b" " + body(),
        body() + b" ",
        body(name="A b"),
        body(name=1),
        body(name=None),
        body(manager="A b"),
        body(manager=["workers"]),
        body(owner="A b"),
        body(owner=7),
        body(after=["A b"]),
        body(after="abc"),
        body(after=[1]),
        body(on_parent_stop="never"),
        body(on_parent_stop=None),
        body(eager=1),
        body(eager="true"),
        body(pod=None),
        body(added={}),
        body(added=[None]),
        body(unknown=1),
        body(removed=["A b"]),
        body(removed=["b", "a"]),
        body(removed=["a", "a"]),
        body(purging=[{"manager": "A b", "name": "a", "pod": False}]),
        body(purging=[{"manager": "workers", "name": "A b", "pod": False}]),
        body(purging=[{"manager": "workers", "name": "a"}]),
        body().replace(b'"removed":[]', b'"removed":[],"removed":[]'),
        body().replace(b'"pod":false', b'"pod":false,"extra":0'),
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        StoredTopology((stored_node("a"), stored_node("a"))).to_json(),
    ],
)
def test_anything_but_the_written_form_is_refused(bad: bytes) -> None:
    """G15: fail closed; no field is dropped, none is coerced."""
    with pytest.raises(UnreadableTopology, match="Its bytes are kept"):
        StoredTopology.from_json(bad, version=TOPOLOGY_VERSION)


@pytest.mark.parametrize("version", [0, 2])
def test_another_version_is_refused(version: int) -> None:
    """G15: newer code may mean something else by the same bytes."""
    with pytest.raises(UnreadableTopology, match=f"it has version {version}"):
        StoredTopology.from_json(NOTHING.to_json(), version=version)
