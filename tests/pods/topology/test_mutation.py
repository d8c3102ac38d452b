from __future__ import annotations

import pytest

from persistence import InvalidName
from pods.errors import (
    InvalidNode,
    ManagerMismatch,
    MutationRefused,
    UnknownNode,
    UnreadableTopology,
)
from pods.topology.mutation import add_node, remove_node
from pods.topology.node import NodeSpec, eager, lazy, nested
from pods.topology.stored import (
    MAX_TOPOLOGY_BYTES,
    Purge,
    StoredNode,
    StoredTopology,
    effective,
)
from pods.topology.topology import MAX_NODES, Topology
from tests.pods.changes import (
    DECLARED,
    MANAGERS,
    NOTHING,
    POD,
    Workspace,
    mutate,
    refused,
    stored_node,
    thaw,
)
from tests.pods.shapes import Editorial, Other, Senior, Worker, spec

# Adding


def test_an_added_node_is_in_the_topology_and_in_what_is_stored() -> None:
    """G15: add."""
    plan = mutate(
        add_node("artist", lazy(Senior, manager="seniors"), owner=Workspace.coordinator)
    )

    assert plan.added == ("artist",)
    assert plan.removed == ()
    assert plan.topology["artist"] == NodeSpec(
        "artist", Senior, "seniors", eager=False, owner="coordinator"
    )
    assert list(plan.topology) == [*DECLARED, "artist"]
    assert plan.stored.added == (
        StoredNode("artist", "seniors", False, False, "coordinator", ()),
    )


def test_links_are_given_by_name_or_by_node_in_either_place() -> None:
    """G15: in the node, or in ``add_node``."""
    first = eager(Worker, manager="workers", owner=Workspace.coordinator)
    second = eager(Worker, manager="workers", after=[Workspace.reviewer, first])

    plan = mutate(
        add_node("first", first),
        add_node("second", second, owner="first"),
        add_node("third", eager(Worker, manager="workers"), after=["second", first]),
    )

    assert plan.added == ("first", "second", "third")
    assert plan.topology["first"].owner == "coordinator"
    assert plan.topology["second"].owner == "first"
    assert plan.topology["second"].after == ("reviewer", "first")
    assert plan.topology["third"].after == ("second", "first")


def test_the_class_of_an_added_node_is_that_of_its_manager() -> None:
    """G15: the same before and after a restart, for the class is not stored."""
    plan = mutate(add_node("artist", eager(Worker, manager="seniors")))

    assert plan.topology["artist"].agent is Senior
    assert effective(DECLARED, thaw(plan.stored), MANAGERS.get)[0] == plan.topology


def test_a_nested_pod_can_be_added() -> None:
    """G15: a pod is a node like others."""
    plan = mutate(
        add_node("second", nested(Editorial, manager="editorial_pods", lazy=True))
    )

    assert plan.topology["second"].pod
    assert not plan.topology["second"].eager


def test_an_impossible_addition_is_refused() -> None:
    """G15: before anything is written, with both nodes in the text."""
    worker = eager(Worker, manager="workers")

    taken = refused(add_node("reviewer", worker))
    in_a_pod = refused(add_node("x", worker, owner="editorial"))
    doubled = refused(add_node("x", worker, after=["reviewer", Workspace.reviewer]))
    unmanaged = refused(add_node("x", eager(Worker, manager="ghosts")))
    not_nested = refused(add_node("x", eager(Editorial, manager="editorial_pods")))
    no_pod = refused(add_node("x", nested(Worker, manager="workers")))

    assert "the name is taken" in taken
    assert "its owner 'editorial' is a nested pod" in in_a_pod
    assert "names one node twice" in doubled
    assert "manager 'ghosts' is not registered" in unmanaged
    assert "Editorial of its manager is a pod class" in not_nested
    assert "Worker of its manager is not a pod class" in no_pod


def test_a_manager_of_another_class_is_refused() -> None:
    """G15: as for a declared node."""
    with pytest.raises(ManagerMismatch, match=r"declares Worker, but .* runs Other"):
        mutate(add_node("x", eager(Worker, manager="others")))


def test_an_unknown_link_is_not_found() -> None:
    """G15: a name, a node of another class, the new node itself."""
    worker = eager(Worker, manager="workers")

    for change in (
        add_node("x", worker, owner="ghost"),
        add_node("x", worker, after=[Editorial.writer]),
        add_node("x", worker, owner="x"),
        remove_node("ghost"),
        remove_node(Editorial.writer),
    ):
        with pytest.raises(UnknownNode, match=f"^.PV-E402. {POD} has no node"):
            mutate(change)


def test_wrong_arguments_are_refused_when_the_change_is_made() -> None:
    """G15: without a type checker, too."""
    worker = eager(Worker, manager="workers")
    linked = eager(
        Worker,
        manager="workers",
        owner=Workspace.coordinator,
        after=[Workspace.reviewer],
    )

    with pytest.raises(InvalidName):
        add_node("No Name", worker)
    with pytest.raises(InvalidNode, match="node="):
        add_node("x", Worker)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidNode, match="owner=1"):
        add_node("x", worker, owner=1)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidNode, match="after='reviewer'"):
        add_node("x", worker, after="reviewer")
    with pytest.raises(InvalidNode, match=r"after=\[1\]"):
        add_node("x", worker, after=[1])  # type: ignore[list-item] # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidNode, match="in one place"):
        add_node("x", linked, owner="coordinator")
    with pytest.raises(InvalidNode, match="in one place"):
        add_node("x", linked, after=["reviewer"])
    with pytest.raises(InvalidNode, match="node=1"):
        remove_node(1)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_a_pod_cannot_grow_beyond_its_bounds() -> None:
    """G15: nodes and bytes; the error names the bound."""
    full = Topology("Full", tuple(spec(f"n{i}") for i in range(MAX_NODES)))
    worker = eager(Worker, manager="workers")
    names = ["n" + "x" * 57 + f"{i:05}" for i in range(400)]
    wide = StoredTopology(
        tuple(stored_node(name, None, *names[:i]) for i, name in enumerate(names))
    )

    with pytest.raises(MutationRefused, match=f"MAX_NODES = {MAX_NODES}"):
        mutate(add_node("x", worker), declared=full)
    with pytest.raises(MutationRefused, match="MAX_TOPOLOGY_BYTES = 4194304"):
        mutate(add_node("x", worker), stored=wide)
    with pytest.raises(MutationRefused, match=r"'Workspace\.helper' in"):
        mutate(remove_node(Workspace.helper), stored=wide)
    with pytest.raises(UnreadableTopology, match="larger than MAX_TOPOLOGY_BYTES"):
        StoredTopology.from_json(b" " * (MAX_TOPOLOGY_BYTES + 1), version=1)


# Removing


def test_a_removed_node_takes_what_it_owns_with_it() -> None:
    """G15: the whole subtree, in the order to stop it, and it has to be purged."""
    plan = mutate(remove_node(Workspace.reviewer))

    assert plan.removed == ("helper", "reviewer")
    assert list(plan.topology) == ["coordinator", "editorial"]
    assert plan.stored.removed == {"reviewer", "helper"}
    assert plan.stored.purging == (
        Purge("helper", "workers", pod=False),
        Purge("reviewer", "workers", pod=False),
    )


def test_a_removed_added_node_leaves_nothing_but_its_purge() -> None:
    """G15: no tombstone for a name that no code declares."""
    grown = mutate(add_node("artist", eager(Worker, manager="workers"))).stored

    plan = mutate(remove_node("artist"), stored=grown)

    assert plan.topology == DECLARED
    assert plan.stored == StoredTopology(purging=(Purge("artist", "workers", False),))


def test_a_node_that_another_one_comes_after_is_not_removed() -> None:
    """G15: the text names both; removing both is possible in one call."""
    why = refused(remove_node("coordinator"))

    plan = mutate(remove_node("editorial"), remove_node("coordinator"))

    assert "node 'editorial' stays and comes after 'coordinator'" in why
    assert plan.removed == ("editorial", "helper", "reviewer", "coordinator")
    assert len(plan.topology) == 0
    assert Purge("editorial", "editorial_pods", pod=True) in plan.stored.purging


def test_a_refusal_can_lie_deep_in_the_subtree() -> None:
    """G15: what stays must keep all that it requires."""
    grown = mutate(
        add_node("audit", eager(Worker, manager="workers"), after=["helper"])
    ).stored

    why = refused(remove_node("reviewer"), stored=grown)

    assert "node 'audit' stays and comes after 'helper'" in why


def test_a_removed_node_stays_removed() -> None:
    """G15: and a second removal does not find it."""
    stored = thaw(mutate(remove_node("helper")).stored)

    topology, problems = effective(DECLARED, stored, MANAGERS.get)

    assert "helper" not in topology
    assert problems == ()
    with pytest.raises(UnknownNode):
        mutate(remove_node("helper"), stored=stored)


def test_remove_and_add_in_one_call_is_a_fresh_start() -> None:
    """G15: the old rows are purged, and the new node is not the declared one."""
    plan = mutate(
        remove_node("helper"), add_node("helper", eager(Other, manager="others"))
    )

    assert plan.removed == ("helper",)
    assert plan.added == ("helper",)
    assert plan.topology["helper"] == NodeSpec("helper", Other, "others")
    assert plan.stored.purging == (Purge("helper", "workers", pod=False),)
    assert plan.problems == ()
    assert effective(DECLARED, thaw(plan.stored), MANAGERS.get)[0] == plan.topology


def test_a_replaced_node_can_be_removed_too() -> None:
    """G15: each old instance is purged under the manager that ran it."""
    replaced = mutate(
        remove_node("helper"), add_node("helper", eager(Other, manager="others"))
    ).stored

    plan = mutate(remove_node("helper"), stored=replaced)

    assert "helper" not in plan.topology
    assert {purge.manager for purge in plan.stored.purging} == {"workers", "others"}


def test_adding_a_node_back_as_declared_lets_it_follow_the_code_again() -> None:
    """G15: the tombstone goes, and nothing is stored in its place."""
    gone = mutate(remove_node("helper")).stored
    gone = gone.without_purges(gone.purging)

    plan = mutate(add_node("helper", Workspace.helper), stored=gone)

    assert plan.stored == NOTHING
    assert plan.topology == DECLARED
    assert plan.added == ("helper",)


def test_a_node_that_was_added_and_removed_in_one_call_never_was() -> None:
    """G15: nothing to stop, nothing to purge."""
    artist = eager(Worker, manager="workers")

    plan = mutate(add_node("artist", artist), remove_node(artist))

    assert plan == mutate()
    assert plan.stored == NOTHING


def test_changes_are_applied_in_their_order() -> None:
    """G15: an addition may need an earlier one, and not a later one."""
    first = add_node("first", eager(Worker, manager="workers"))
    second = add_node("second", eager(Worker, manager="workers"), owner="first")

    assert mutate(first, second).added == ("first", "second")
    with pytest.raises(UnknownNode):
        mutate(second, first)


def test_a_finished_purge_is_forgotten_and_the_others_are_not() -> None:
    """G15: a crash in the middle goes on where it was."""
    stored = mutate(remove_node("reviewer")).stored

    left = stored.without_purges([Purge("helper", "workers", pod=False)])

    assert left.purging == (Purge("reviewer", "workers", pod=False),)
    assert left.removed == stored.removed


def test_a_refused_call_changes_nothing_of_what_is_stored() -> None:
    """G15: all changes or none."""
    stored = mutate(add_node("artist", eager(Worker, manager="workers"))).stored
    before = stored.to_json()

    refused(remove_node("artist"), remove_node("coordinator"), stored=stored)

    assert stored.to_json() == before
