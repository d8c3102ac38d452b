from __future__ import annotations

import asyncio

import anyio
import pytest

from persistence import Delete, Save, StoreUnavailable, Unit
from pods import (
    Agent,
    Change,
    Host,
    InvalidNode,
    ManagerMismatch,
    MutationRefused,
    MutationReport,
    Node,
    NodeState,
    Pod,
    PodRef,
    StoreError,
    UnknownNode,
    add_node,
    eager,
    lazy,
    nested,
    remove_node,
)
from supervision import Phase
from tests.pods.support import (
    Boom,
    Count,
    Editorial,
    Medium,
    Review,
    Reviewer,
    Workspace,
    answer,
    eventually,
    family,
    live,
    managers,
    records,
)

__all__: list[str] = []


def _has_topology(unit: Unit) -> bool:
    return any(
        isinstance(o, Save) and o.record.kind.value == "topology"
        for o in unit.operations
    )


def _deletes(unit: Unit) -> bool:
    return any(isinstance(o, Delete) for o in unit.operations)


def _refusal(_: Unit) -> StoreError:
    return StoreUnavailable("apply", "the disk is full")


async def test_an_acknowledged_mutation_survives_a_kill(medium: Medium) -> None:
    """G15: what ``mutate`` has answered is there in the next process."""
    async with medium.killed() as (host, _):
        pod = await Workspace.get(managers(host), "w1", partition="acme")
        report = await pod.mutate(
            [
                add_node("helper", eager(Reviewer, manager="workers")),
                add_node("clerk", lazy(Reviewer, manager="workers"), owner="helper"),
                remove_node("reviewer"),
            ]
        )
        assert report.ok
        assert report.added == ("helper", "clerk")
        assert report.removed == ("reviewer",)
        assert report.started == ("helper",)

    async with medium.host() as host:
        pod = await Workspace.get(managers(host), "w1", partition="acme")

        topology = await pod.topology()

        assert set(topology) == {"coordinator", "editorial", "helper", "clerk"}
        assert topology["clerk"].owner == "helper"
        assert pod.lookup_node("helper") is not None
        with pytest.raises(UnknownNode):
            pod.lookup_node("reviewer")


async def test_a_mutation_is_stored_before_anything_starts_or_stops(
    medium: Medium,
) -> None:
    """G15: while the save is on its way, neither has begun; a kill there undoes it."""
    store = medium.store()
    async with medium.killed(store) as (host, _):
        pod = await Workspace.get(managers(host), "w1", partition="acme")
        reviewer = await pod.ensure_node(Workspace.reviewer)
        instance = live(host, reviewer)
        store.gate.clear()
        async with asyncio.TaskGroup() as group:
            mutating = group.create_task(
                _quietly(
                    pod,
                    add_node("helper", eager(Reviewer, manager="workers")),
                    remove_node("reviewer"),
                )
            )
            await store.held.wait()
            for _ in range(50):
                await asyncio.sleep(0)

            assert live(host, reviewer) is instance
            assert not any(
                "helper" in str(i.address) for i in host.runtime.registries.instances()
            )
            assert "reviewer" in await pod.topology()
            assert not mutating.done()
            store.gone = True
            store.gate.set()
        assert isinstance(mutating.result(), StoreUnavailable)

    async with medium.host() as host:
        pod = await Workspace.get(managers(host), "w1", partition="acme")
        assert set(await pod.topology()) == set(Workspace.__topology__)


async def test_a_mutation_that_cannot_be_stored_changes_nothing(
    medium: Medium,
) -> None:
    """G15: the error reaches the caller, the pod is as it was and mutates again."""
    store = medium.store()
    async with medium.host(store) as host:
        pod = await Workspace.get(managers(host), "w1", partition="acme")
        reviewer = await pod.ensure_node(Workspace.reviewer)
        store.refuse = lambda unit: _refusal(unit) if _has_topology(unit) else None

        with pytest.raises(StoreUnavailable, match="disk is full"):
            await pod.mutate([remove_node("reviewer")])

        assert "reviewer" in await pod.topology()
        assert await reviewer.ask(Review("alive")) == 1
        store.refuse = lambda _: None
        assert (await pod.mutate([remove_node("reviewer")])).removed == ("reviewer",)


async def test_the_owned_subtree_of_a_removed_node_goes_with_it(
    medium: Medium,
) -> None:
    """G15: instances, rows of nodes, and rows of what stands in nested pods."""

    class Firm(Pod):
        chief = eager(Reviewer, manager="workers")
        aide = eager(Reviewer, manager="workers", owner=chief)
        press = nested(Editorial, manager="editorial_pods", owner=chief)
        other = eager(Reviewer, manager="workers")

    async with medium.host() as host:
        host.manager("workers", Reviewer)
        host.manager("editorial_pods", Editorial)
        firms = host.manager("firms", Firm)
        pod = await Firm.get(firms, "f", partition="acme")
        twin = await Firm.get(firms, "f", partition="acme-corp")
        for firm in (pod, twin):
            press = await firm.ensure_node(Firm.press)
            writer = await press.ensure_node(Editorial.checker)
            await writer.ask(Review("stored"))
            for name in ("chief", "aide", "other"):
                await (await firm.ensure_node(name)).tell(Review("stored"))
            for name in ("chief", "aide", "other"):
                assert await (await firm.ensure_node(name)).ask(Review("x")) == 2
        before = family(host, twin)

        report = await pod.mutate([remove_node(Firm.chief)])

        assert report.ok
        assert set(report.removed) == {"chief", "aide", "press"}
        assert set(report.stopped) == {"chief", "aide", "press"}
        assert {a.key[-1] for a in family(host, pod)} == {"other"}
        assert family(host, twin) == before
        assert {i.address.partition for i in host.runtime.registries.instances()} == {
            "acme",
            "acme-corp",
        }
        assert (
            sum(
                1
                for i in host.runtime.registries.instances()
                if i.address.partition == "acme"
            )
            == 2
        )
    async with medium.opened() as opened:
        names = ["workers", "editorial_pods", "firms"]
        left = await records(opened, "acme", manager_names=names)
        assert {a.key if a.manager == "firms" else a.key[-1] for a in left} == {
            "f",
            "other",
        }
        assert len(await records(opened, "acme-corp", manager_names=names)) == 7


async def test_rows_of_a_sleeping_subtree_are_deleted_too(medium: Medium) -> None:
    """G15: nothing leaks that happened not to be live when its node went."""
    async with medium.host() as host:
        workspaces = managers(host)
        pod = await Workspace.get(workspaces, "w1", partition="acme")
        editorial = await pod.ensure_node(Workspace.editorial)
        await (await editorial.ensure_node(Editorial.checker)).ask(Review("stored"))
        await editorial.stop()

        report = await pod.mutate([remove_node(Workspace.editorial)])

        assert report.removed == ("editorial",)
        assert report.ok
    async with medium.opened() as opened:
        left = await records(opened, "acme")
        assert not [a for a in left if "editorial" in str(a)]


async def test_a_node_added_again_begins_afresh(medium: Medium) -> None:
    """G15: the state of a removed node does not come back with its name."""
    async with medium.host() as host:
        workspaces = managers(host)
        pod = await Workspace.get(workspaces, "w1", partition="acme")
        coordinator = await pod.ensure_node(Workspace.coordinator)
        reviewer = await pod.ensure_node(Workspace.reviewer)
        assert await reviewer.ask(Review("one")) == 1
        assert await reviewer.ask(Review("two")) == 2

        await pod.mutate([remove_node("reviewer")])
        await pod.mutate(
            [
                add_node(
                    "reviewer", lazy(Reviewer, manager="workers"), owner="coordinator"
                )
            ]
        )
        again = await pod.ensure_node("reviewer")

        assert await again.ask(Count()) == 0
        assert live(host, again).parent is live(host, coordinator)
        report = await pod.mutate(
            [
                remove_node("reviewer"),
                add_node("reviewer", eager(Reviewer, manager="workers")),
            ]
        )
        assert report.added == report.removed == report.started == ("reviewer",)
    async with medium.host() as host:
        pod = await Workspace.get(managers(host), "w1", partition="acme")
        fresh = await pod.ensure_node("reviewer")
        assert await fresh.ask(Count()) == 0


async def test_a_purge_that_a_kill_interrupted_is_finished_later(
    medium: Medium,
) -> None:
    """G15: removed is removed, although the process ended before the rows were gone."""
    store = medium.store()
    async with medium.killed(store) as (host, _):
        pod = await Workspace.get(managers(host), "w1", partition="acme")
        reviewer = await pod.ensure_node(Workspace.reviewer)
        await reviewer.ask(Review("stored"))
        store.refuse = lambda unit: _refusal(unit) if _deletes(unit) else None
        with pytest.raises(StoreError):
            await pod.mutate([remove_node("reviewer")])
    async with medium.opened() as opened:
        assert [a for a in await records(opened, "acme") if a.key[-1] == "reviewer"]

    async with medium.host() as host:
        pod = await Workspace.get(managers(host), "w1", partition="acme")

        assert "reviewer" not in await pod.topology()
        await pod.mutate(
            [
                add_node(
                    "reviewer", lazy(Reviewer, manager="workers"), owner="coordinator"
                )
            ]
        )
        again = await pod.ensure_node("reviewer")
        assert await again.ask(Count()) == 0
    async with medium.opened() as opened:
        found = [a for a in await records(opened, "acme") if a.key[-1] == "reviewer"]
        assert len(found) == 1


async def test_a_purge_is_done_when_the_pod_thaws_without_another_mutation(
    medium: Medium,
) -> None:
    """G15: a removed node leaves no row behind."""
    store = medium.store()
    async with medium.killed(store) as (host, _):
        pod = await Workspace.get(managers(host), "w1", partition="acme")
        await (await pod.ensure_node(Workspace.reviewer)).ask(Review("stored"))
        store.refuse = lambda unit: _refusal(unit) if _deletes(unit) else None
        with pytest.raises(StoreError):
            await pod.mutate([remove_node("reviewer")])

    async with medium.host() as host:
        await Workspace.get(managers(host), "w1", partition="acme")
    async with medium.opened() as opened:
        assert not [a for a in await records(opened, "acme") if a.key[-1] == "reviewer"]


async def test_a_pod_answers_while_it_mutates(medium: Medium) -> None:
    """G15: the mutation does not stand in the pod's own mailbox."""
    release = asyncio.Event()

    class Slow(Agent):
        async def on_start(self) -> None:
            await release.wait()

    async with medium.host() as host:
        host.manager("slow", Slow)
        pod = await Workspace.get(managers(host), "w1", partition="acme")
        async with asyncio.TaskGroup() as group:
            mutating = group.create_task(
                pod.mutate([add_node("slow", eager(Slow, manager="slow"))])
            )
            await eventually(
                lambda: any(
                    i.manager.name == "slow"
                    for i in host.runtime.registries.instances()
                )
            )

            assert await pod.ask(Count()) == len("untitled")
            assert await pod.ask(Review("renamed")) == len("renamed")
            assert "slow" in await pod.topology()
            assert not mutating.done()
            release.set()

        assert mutating.result().started == ("slow",)


async def test_a_cancelled_mutation_is_finished_all_the_same(medium: Medium) -> None:
    """G15: whoever leaves half-way leaves nothing half done, and blocks nobody."""
    store = medium.store()
    async with medium.host(store) as host:
        pod = await Workspace.get(managers(host), "w1", partition="acme")
        store.gate.clear()
        async with anyio.create_task_group() as group:
            group.start_soon(
                pod.mutate, [add_node("helper", eager(Reviewer, manager="workers"))]
            )
            await store.held.wait()
            group.cancel_scope.cancel()
        store.gate.set()

        report = await pod.mutate(
            [add_node("next", eager(Reviewer, manager="workers"))]
        )

        assert report.ok
        assert {"helper", "next"} <= set(await pod.topology())
        assert pod.lookup_node("helper") is not None
        assert pod.lookup_node("next") is not None


async def test_a_mutation_cancelled_in_the_line_blocks_nobody(medium: Medium) -> None:
    """G15: no lock outlives the caller that waited for its turn."""
    store = medium.store()
    async with medium.host(store) as host:
        pod = await Workspace.get(managers(host), "w1", partition="acme")
        store.gate.clear()
        async with asyncio.TaskGroup() as first:
            first.create_task(_add(pod, "one"))
            await store.held.wait()
            async with anyio.create_task_group() as second:
                second.start_soon(_add, pod, "two")
                await asyncio.sleep(0)
                second.cancel_scope.cancel()
            last = first.create_task(_add(pod, "three"))
            await asyncio.sleep(0)
            store.gate.set()

        assert last.done()
        assert {"one", "two", "three"} <= set(await pod.topology())


async def test_concurrent_mutations_happen_one_after_the_other(
    medium: Medium,
) -> None:
    """G15: each sees what the one before has done; none is lost."""
    async with medium.host() as host:
        workspaces = managers(host)
        pod = await Workspace.get(workspaces, "w1", partition="acme")
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_add(pod, f"n{n}")) for n in range(20)]
            same = [group.create_task(_quietly(pod, _lazy("twice"))) for _ in range(5)]

        assert {f"n{n}" for n in range(20)} <= set(await pod.topology())
        assert all(task.done() for task in tasks)
        refused = [t.result() for t in same if isinstance(t.result(), Exception)]
        assert len(refused) == 4
        assert all(isinstance(error, MutationRefused) for error in refused)
    async with medium.host() as host:
        pod = await Workspace.get(managers(host), "w1", partition="acme")
        assert len(await pod.topology()) == 3 + 20 + 1


async def test_a_mutation_that_does_not_fit_changes_nothing(medium: Medium) -> None:
    """G15: all of it or nothing, whichever of the changes is wrong."""

    class Impostor(Agent):
        pass

    store = medium.store()
    async with medium.host(store) as host:
        pod = await Workspace.get(managers(host), "w1", partition="acme")
        host.manager("impostors", Impostor)
        before = store.calls["apply"]
        good = add_node("good", eager(Reviewer, manager="workers"))
        for wrong, kind in (
            (add_node("coordinator", _worker()), MutationRefused),
            (add_node("x", eager(Reviewer, manager="nobody")), MutationRefused),
            (add_node("x", eager(Reviewer, manager="impostors")), ManagerMismatch),
            (add_node("x", _worker(), owner="nobody"), UnknownNode),
            (add_node("x", _worker(), owner="editorial"), MutationRefused),
            (remove_node("nobody"), UnknownNode),
            (remove_node("coordinator"), MutationRefused),
        ):
            with pytest.raises(kind):
                await pod.mutate([good, wrong])

            assert set(await pod.topology()) == set(Workspace.__topology__)
        assert store.calls["apply"] == before
        assert pod.lookup_node(Workspace.coordinator) is not None


@pytest.mark.parametrize("wrong", [None, "reviewer", [None], ["reviewer"], [3], 7])
async def test_what_is_no_change_is_refused_by_a_typed_error(
    medium: Medium, wrong: object
) -> None:
    """G15: no internal error reaches a caller, and nothing is wedged afterwards."""
    async with medium.host() as host:
        pod = await Workspace.get(managers(host), "w1", partition="acme")

        with pytest.raises((InvalidNode, MutationRefused)):
            await pod.mutate(wrong)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

        assert (await _add(pod, "after")).added == ("after",)


async def test_an_empty_mutation_does_nothing(medium: Medium) -> None:
    """G15: and it writes nothing."""
    store = medium.store()
    async with medium.host(store) as host:
        pod = await Workspace.get(managers(host), "w1", partition="acme")
        before = store.calls["apply"]

        report = await pod.mutate([])

        assert report.ok
        assert not report.added
        assert store.calls["apply"] == before


async def test_a_mutation_may_not_nest_a_pod_in_itself(medium: Medium) -> None:
    """G6: recursion of pod classes is refused at run time, too, at any distance."""
    async with medium.host() as host:
        pod = await Workspace.get(managers(host), "w1", partition="acme")
        editorial = await pod.ensure_node(Workspace.editorial)

        for target in (pod, editorial):
            with pytest.raises(MutationRefused, match="Workspace"):
                await target.mutate(
                    [add_node("loop", nested(Workspace, manager="workspaces"))]
                )
        with pytest.raises(MutationRefused, match="Editorial"):
            await editorial.mutate(
                [
                    add_node(
                        "loop", nested(Editorial, manager="editorial_pods", lazy=True)
                    )
                ]
            )

        assert "loop" not in await editorial.topology()


async def test_a_pod_whose_parent_sleeps_refuses_recursion_too(
    medium: Medium,
) -> None:
    """G6: what is above counts although it is not live."""

    class Leaf(Pod):
        pass

    class Trunk(Pod):
        pass

    async with medium.host() as host:
        host.manager("leaves", Leaf)
        trunks = host.manager("trunks", Trunk)
        trunk = await Trunk.get(trunks, "t", partition="acme")
        await trunk.mutate([add_node("leaf", nested(Leaf, manager="leaves"))])
        leaf = await trunk.ensure_node("leaf")
        assert isinstance(leaf, PodRef)
        loop = add_node("loop", nested(Trunk, manager="trunks", lazy=True))
        with pytest.raises(MutationRefused, match="Trunk"):
            await leaf.mutate([loop])
        await trunk.stop()

        with pytest.raises(MutationRefused, match="Trunk"):
            await leaf.mutate([loop])


async def test_a_mutation_whose_node_fails_reports_it(medium: Medium) -> None:
    """G15: added and stored, not started, with the reason; the others are up."""

    class Fragile(Agent):
        async def on_start(self) -> None:
            raise ConnectionError("no network")

    async with medium.host() as host:
        host.manager("fragile", Fragile)
        pod = await Workspace.get(managers(host), "w1", partition="acme")

        report = await pod.mutate(
            [
                add_node("fragile", eager(Fragile, manager="fragile")),
                add_node("child", eager(Reviewer, manager="workers"), owner="fragile"),
                add_node("sturdy", eager(Reviewer, manager="workers")),
            ]
        )

        assert not report.ok
        assert report.added == ("fragile", "child", "sturdy")
        assert report.started == ("sturdy",)
        assert "no network" in report.failures["fragile"].text
        assert "fragile" in await pod.topology()


async def test_mutations_of_a_stopped_pod_thaw_it(medium: Medium) -> None:
    """G15: a handle is good for as long as its host."""
    async with medium.host() as host:
        pod = await Workspace.get(managers(host), "w1", partition="acme")
        await pod.stop()

        await _add(pod, "late")

        assert pod.lookup_node("late") is not None
        await pod.stop()
        assert "late" in await pod.topology()


async def test_a_crash_of_the_pod_keeps_its_topology(medium: Medium) -> None:
    """G15: a restart in the same process does not go back to what the class says."""
    async with medium.host() as host:
        pod = await Workspace.get(managers(host), "w1", partition="acme")
        await _add(pod, "helper")
        await pod.mutate([remove_node("reviewer")])

        with pytest.raises(RuntimeError, match="boom"):
            await pod.ask(Boom())

        assert set(await pod.topology()) == {"coordinator", "editorial", "helper"}


async def test_stop_beside_a_mutation_loses_neither(medium: Medium) -> None:
    """G15: the mutation is whole or refused, and no node outlives its pod."""
    store = medium.store()
    async with medium.host(store) as host:
        pod = await Workspace.get(managers(host), "w1", partition="acme")
        async with asyncio.TaskGroup() as group:
            mutating = group.create_task(_quietly(pod, _eager("helper")))
            group.create_task(pod.stop())
        await eventually(lambda: not _settling(host))

        stored = "helper" in await pod.topology()

        assert stored or isinstance(mutating.result(), Exception)
        below = {a.key[-1] for a in family(host, pod)}
        assert ("helper" in below) == stored
        everybody = {i.address for i in host.runtime.registries.instances()}
        assert everybody == family(host, pod) | {pod.address}


async def test_mutating_one_partition_writes_in_no_other(medium: Medium) -> None:
    """G9: the same pod key elsewhere keeps its topology and its rows."""
    store = medium.store()
    async with medium.host(store) as host:
        workspaces = managers(host)
        pod = await Workspace.get(workspaces, "w1", partition="acme")
        twin = await Workspace.get(workspaces, "w1", partition="acme-corp")
        store.named.clear()

        await _add(pod, "helper")
        await pod.mutate([remove_node("editorial")])

        assert set(store.named) == {"acme"}
        assert set(await twin.topology()) == set(Workspace.__topology__)


async def test_removed_nodes_are_absent_in_nodes(medium: Medium) -> None:
    """G15: the snapshot shows the pod as it is now."""
    async with medium.host() as host:
        pod = await Workspace.get(managers(host), "w1", partition="acme")
        await _add(pod, "helper")
        await pod.mutate([remove_node("editorial")])

        nodes = await pod.nodes()

        assert [n.name for n in nodes] == ["coordinator", "reviewer", "helper"]
        assert nodes[-1].state is NodeState.RUNNING


def _worker() -> Node[Reviewer]:
    return eager(Reviewer, manager="workers")


def _eager(name: str) -> Change:
    return add_node(name, eager(Reviewer, manager="workers"))


def _lazy(name: str) -> Change:
    return add_node(name, lazy(Reviewer, manager="workers"))


async def _add(pod: PodRef[Pod], name: str) -> MutationReport:
    return await pod.mutate([_eager(name)])


async def _quietly(
    pod: PodRef[Pod], *changes: Change
) -> MutationReport | BaseException:
    return await answer(pod.mutate(changes))


def _settling(host: Host) -> bool:
    settled = {Phase.IDLE, Phase.STOPPED}
    return any(i.phase not in settled for i in host.runtime.registries.instances())
