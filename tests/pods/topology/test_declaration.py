from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest

from pods.topology.node import Node, NodeSpec, eager, lazy, nested
from pods.topology.topology import topology_of
from supervision import OnParentStop
from tests.pods.shapes import (
    Editorial,
    Other,
    Pod,
    Senior,
    Worker,
    Workspace,
    refused,
)

# Declaring


def test_a_class_body_becomes_a_topology() -> None:
    """G6: node -> agent, manager, eager/lazy/nested, owner, depends-on."""
    topology = Workspace.__topology__

    assert topology.nodes == (
        NodeSpec("coordinator", Worker, "workers"),
        NodeSpec("reviewer", Worker, "workers", eager=False, owner="coordinator"),
        NodeSpec(
            "editorial", Editorial, "editorial_pods", pod=True, after=("coordinator",)
        ),
    )
    assert list(topology) == ["coordinator", "reviewer", "editorial"]
    assert topology["reviewer"].requires == ("coordinator",)
    assert repr(topology) == "<Topology of Workspace: 3 nodes>"


def test_a_nested_node_may_be_lazy() -> None:
    """G6: lazy and nested are two questions."""

    class Lab(Pod):
        editorial = nested(Editorial, manager="editorial_pods", lazy=True)

    assert not Lab.__topology__["editorial"].eager
    assert Lab.__topology__["editorial"].pod


def test_a_subclass_inherits_nodes_and_overrides_them_by_name() -> None:
    """G6: the override keeps the place and the links of the node it replaces."""

    class Mixin:
        helper = lazy(Worker, manager="workers")

    class Studio(Workspace, Mixin):
        coordinator = lazy(Senior, manager="seniors")
        painter = eager(Worker, manager="workers", owner=Workspace.coordinator)

    topology = Studio.__topology__

    assert set(topology) == {*Workspace.__topology__, "helper", "painter"}
    assert topology["coordinator"].agent is Senior
    assert topology["coordinator"].manager == "seniors"
    assert topology["reviewer"].owner == "coordinator"
    assert topology["painter"].owner == "coordinator"
    assert Workspace.__topology__["coordinator"].agent is Worker


def test_a_class_that_a_decorator_builds_anew_keeps_its_nodes() -> None:
    """G6: attrs builds a slotted class a second time, with the same nodes."""

    class Plain(Pod):
        size: int = 0
        worker = eager(Worker, manager="workers")

    slotted = attrs.define(Plain)

    assert slotted is not Plain
    assert slotted.__topology__ == Plain.__topology__


@pytest.mark.parametrize("declare", [eager, lazy])
def test_what_becomes_of_an_orphan_is_declared(
    declare: Callable[..., Node[Worker]],
) -> None:
    """G6: it stops with its parent, unless the declaration says otherwise."""

    class Team(Pod):
        usual = declare(Worker, manager="workers")
        loyal = declare(Worker, manager="workers", on_parent_stop=OnParentStop.CONTINUE)

    assert Team.__topology__["usual"].on_parent_stop is OnParentStop.STOP
    assert Team.__topology__["loyal"].on_parent_stop is OnParentStop.CONTINUE


def test_one_node_under_two_names_is_refused() -> None:
    """G6: two owners, in one class."""

    def declare() -> object:
        class Twice(Pod):
            first = eager(Worker, manager="workers")
            second = first

        return Twice

    assert "Twice.second and Twice.first are one and the same node" in refused(declare)


def test_one_node_in_two_classes_is_refused() -> None:
    """G6: two owners, in two classes."""

    def declare() -> object:
        class Thief(Pod):
            reviewer = Workspace.reviewer

        return Thief

    why = refused(declare)

    assert "Thief.reviewer and Workspace.reviewer are one and the same node" in why


def test_a_node_that_was_put_on_a_class_later_is_refused_in_its_subclasses() -> None:
    """G6: what no class body declared has no name to be found by."""

    class Base(Pod):
        pass

    Base.late = eager(Worker, manager="workers")  # type: ignore[attr-defined]

    def declare() -> object:
        class Sub(Base):
            pass

        return Sub

    assert "Base.late and (undeclared)" in refused(declare)


def test_a_link_to_a_node_of_another_class_is_refused() -> None:
    """G6: unknown names."""

    def declare() -> object:
        class Lost(Pod):
            worker = eager(Worker, manager="workers", owner=Workspace.coordinator)

        return Lost

    why = refused(declare)

    assert "node 'worker' requires <Node Workspace.coordinator: eager Worker" in why


def test_a_name_that_is_given_twice_is_noticed_by_what_the_first_was_linked_to() -> (
    None
):
    """G6: duplicates; Python itself drops the first of two assignments."""

    def declare() -> object:
        class Doubled(Pod):
            boss = eager(Worker, manager="workers")
            worker = eager(Worker, manager="workers", after=[boss])
            boss = eager(Worker, manager="workers")  # noqa: PIE794

        return Doubled

    assert "node 'worker' requires <Node (undeclared)" in refused(declare)


@pytest.mark.parametrize("name", ["Boss", "_boss", "b" * 64, "böss", "__x__"])
def test_a_name_outside_the_set_is_refused(name: str) -> None:
    """G6: node names stand in keys and in telemetry."""

    def declare() -> None:
        type("Named", (Pod,), {name: eager(Worker, manager="workers")})

    assert f"{name!r} is no node name" in refused(declare)


def test_a_node_that_hides_an_attribute_is_refused() -> None:
    """G6: a pod class keeps its methods and its fields."""

    def hide_a_method() -> object:
        class Methods(Pod):
            get = eager(Worker, manager="workers")  # type: ignore[assignment]

        return Methods

    def hide_a_field() -> object:
        class Fields(Workspace):
            title = eager(Worker, manager="workers")  # type: ignore[assignment]

        return Fields

    assert "node 'get' and the attribute 'get' of Pod clash" in refused(hide_a_method)
    assert "node 'title' and the attribute 'title' of Workspace" in refused(
        hide_a_field
    )


def test_an_attribute_that_hides_a_node_is_refused() -> None:
    """G6: a node does not vanish by accident."""

    def hide_by_value() -> object:
        class Values(Workspace):
            reviewer = None  # type: ignore[assignment]

        return Values

    def hide_by_annotation() -> object:
        class Annotations(Workspace):
            reviewer: int  # type: ignore[assignment]

        return Annotations

    assert "the attribute 'reviewer' of Values clash" in refused(hide_by_value)
    assert "the attribute 'reviewer' of Annotations" in refused(hide_by_annotation)


def test_an_annotated_node_is_refused() -> None:
    """G6: attrs would make it a field and take it off the class."""

    def declare() -> object:
        class Annotated(Pod):
            reviewer: Node[Worker] = eager(Worker, manager="workers")

        return Annotated

    why = refused(declare)

    assert "node 'reviewer' has an annotation in Annotated" in why
    assert "Write `reviewer = ...` without it" in why


def test_an_override_by_an_unrelated_class_is_refused() -> None:
    """G6: who asks for ``Workspace.reviewer`` is promised a ``Worker``."""

    def declare() -> object:
        class Wrong(Workspace):
            reviewer = lazy(Other, manager="others")  # type: ignore[arg-type] # pyright: ignore[reportAssignmentType]

        return Wrong

    why = refused(declare)

    assert "Wrong.reviewer overrides Workspace.reviewer" in why
    assert "Other is no subclass of Worker" in why


def test_two_bases_with_one_name_need_a_decision() -> None:
    """G6: duplicates; the order of bases does not decide silently."""

    class One:
        helper = eager(Worker, manager="one")

    class Two:
        helper = eager(Worker, manager="two")

    def declare() -> object:
        class Both(One, Two, Pod):
            pass

        return Both

    class Decided(One, Two, Pod):
        helper = eager(Worker, manager="three")

    assert "Two and One both declare 'helper'" in refused(declare)
    assert Decided.__topology__["helper"].manager == "three"


def test_the_way_of_declaring_must_fit_the_class() -> None:
    """G6: a pod is nested, an agent is not."""

    def nest_an_agent() -> object:
        class Nests(Pod):
            worker = nested(Worker, manager="workers")

        return Nests

    def start_a_pod() -> object:
        class Starts(Pod):
            editorial = lazy(Editorial, manager="editorial_pods")

        return Starts

    assert "class Worker of node 'worker' is not a pod class" in refused(nest_an_agent)
    assert "class Editorial of node 'editorial' is a pod class" in refused(start_a_pod)
    assert topology_of(Worker) is None
    assert topology_of(Pod) is None


def test_a_nested_pod_owns_no_node_of_the_outer_pod() -> None:
    """G6: a pod's children are those that its own class declares."""

    def declare() -> object:
        class Outer(Pod):
            inner = nested(Editorial, manager="editorial_pods")
            worker = eager(Worker, manager="workers", owner=inner)

        return Outer

    assert "node 'worker' has the nested pod 'inner' as its owner" in refused(declare)


def test_a_pod_that_may_contain_itself_is_refused() -> None:
    """G6: a manager may run a subclass of the class that a node names."""

    class Middle(Pod):
        workspace = nested(Workspace, manager="workspaces")
        again = nested(Workspace, manager="workspaces", after=[workspace])

    def nest_a_base() -> object:
        class Direct(Workspace):
            inner = nested(Workspace, manager="workspaces")

        return Direct

    def nest_a_base_deeply() -> object:
        class Deep(Workspace):
            middle = nested(Middle, manager="middles")

        return Deep

    class Sibling(Editorial):
        pass

    class Cousin(Pod):
        first = nested(Sibling, manager="siblings")
        second = nested(Editorial, manager="editorial_pods")

    assert "node 'inner' nests Workspace, a base of Direct" in refused(nest_a_base)
    assert "node 'middle' nests Workspace, a base of Deep" in refused(
        nest_a_base_deeply
    )
    assert set(Cousin.__topology__) == {"first", "second"}
