from __future__ import annotations

import asyncio

import pytest

from persistence import StoreError, StoreUnavailable, Unit
from pods import (
    Agent,
    AgentRef,
    NodeState,
    OnParentStop,
    ParentStopped,
    Pod,
    Source,
    eager,
    handler,
    lazy,
    nested,
)
from tests.pods.support import (
    Count,
    Editorial,
    ManualClock,
    Medium,
    Review,
    Reviewer,
    Workspace,
    eventually,
    family,
    live,
    managers,
    spin,
    statements,
    the,
)

__all__: list[str] = []


class Team(Pod):
    """A pod whose nodes outlive it."""

    stayer = eager(Reviewer, manager="workers", on_parent_stop=OnParentStop.CONTINUE)
    leaver = eager(Reviewer, manager="workers")
    below = lazy(Reviewer, manager="workers", owner=stayer)
    room = nested(
        Editorial, manager="editorial_pods", on_parent_stop=OnParentStop.CONTINUE
    )


async def test_stop_in_one_partition_leaves_the_others_live(medium: Medium) -> None:
    """G9: the same key elsewhere keeps its instance, its children and its state."""
    async with medium.host() as host:
        workspaces = managers(host)
        pods = {
            name: await Workspace.get(workspaces, "w1", partition=name)
            for name in ("acme", "acme-corp", "umbrella")
        }
        for pod in pods.values():
            await (await pod.ensure_node(Workspace.reviewer)).ask(Review("x"))
        before = {
            i.address: (i, i.incarnation) for i in host.runtime.registries.instances()
        }

        assert await pods["acme"].stop()

        left = {
            i.address: (i, i.incarnation) for i in host.runtime.registries.instances()
        }
        assert left == {a: i for a, i in before.items() if a.partition != "acme"}
        assert workspaces.lookup("w1", partition="acme") is None
        again = await Workspace.get(workspaces, "w1", partition="acme")
        assert await (await again.ensure_node(Workspace.reviewer)).ask(Count()) == 1


def nobody_looks_around() -> bool:
    """Whether no host looks for mail, and no pod for nodes that are forgotten."""
    looks = ("leftovers", "wake")
    return not any(t.get_name().startswith(looks) for t in asyncio.all_tasks())


async def test_thawing_one_partition_reads_no_row_of_another(medium: Medium) -> None:
    """G9: neither a call of the store nor a statement names another partition."""
    names = ["acme", "acme-corp", "umbrella"]
    async with medium.host() as host:
        workspaces = managers(host)
        for name in names:
            pod = await Workspace.get(workspaces, "w1", partition=name)
            await (await pod.ensure_node(Workspace.reviewer)).ask(Review("x"))
            await pod.stop()

    with statements() as log:
        store = medium.store()
        async with medium.host(store) as host:
            workspaces = managers(host)
            other = await Workspace.get(workspaces, "w1", partition="acme-corp")
            instance = live(host, other)
            incarnation = instance.incarnation
            await eventually(nobody_looks_around)
            log.clear()
            store.named.clear()

            pod = await Workspace.get(workspaces, "w1", partition="acme")
            reviewer = await pod.ensure_node(Workspace.reviewer)
            assert await reviewer.ask(Count()) == 1
            await pod.nodes()
            await pod.stop()

            assert set(store.named) == {"acme"}
            assert not [s for s in log if "acme-corp" in s or "umbrella" in s]
            if medium.name == "sqlite":
                selects = [s for s in log if "SELECT" in s.upper() and "records" in s]
                assert selects
                assert all("'acme'" in s for s in selects)
            assert live(host, other) is instance
            assert instance.incarnation == incarnation


async def test_surviving_children_attach_again(medium: Medium) -> None:
    """G10: the same instances, told as adopted; what stopped with the pod starts."""
    async with medium.host() as host:
        managers(host)
        teams = host.manager("teams", Team)
        pod = await Team.get(teams, "t", partition="acme")
        stayer = await pod.ensure_node(Team.stayer)
        below = await pod.ensure_node(Team.below)
        room = await pod.ensure_node(Team.room)
        writer = await room.ensure_node(Editorial.writer)
        kept = {r.address: live(host, r) for r in (stayer, below, room, writer)}
        incarnations = {a: i.incarnation for a, i in kept.items()}
        await stayer.ask(Review("before"))

        await pod.stop()
        assert {i.address for i in host.runtime.registries.instances()} == set(kept)
        assert live(host, stayer).parent is None
        assert await stayer.ask(Review("alone")) == 2
        again = await Team.get(teams, "t", partition="acme")

        sources = {r.name: r.source for r in (await again.report()).nodes}
        assert sources == {
            "stayer": Source.ADOPTED,
            "leaver": Source.STARTED,
            "room": Source.ADOPTED,
        }
        for ref in (stayer, below, room, writer):
            assert live(host, ref) is kept[ref.address]
            assert live(host, ref).incarnation == incarnations[ref.address]
        assert live(host, stayer).parent is live(host, again)
        assert live(host, room).parent is live(host, again)
        assert live(host, below).parent is live(host, stayer)
        assert await stayer.ask(Count()) == 2


async def test_a_survivor_of_another_partition_is_not_adopted(medium: Medium) -> None:
    """G10: children attach again inside their partition only."""
    async with medium.host() as host:
        managers(host)
        teams = host.manager("teams", Team)
        one = await Team.get(teams, "t", partition="acme")
        two = await Team.get(teams, "t", partition="acme-corp")
        orphan = live(host, await two.ensure_node(Team.stayer))
        await one.stop()
        await two.stop()

        again = await Team.get(teams, "t", partition="acme")

        assert orphan.parent is None
        assert {a.partition for a in family(host, again)} == {"acme"}


async def test_an_eager_orphan_that_notifies_is_told(medium: Medium) -> None:
    """G10: ``OnParentStop.NOTIFY`` sends who is gone, and the child lives on."""
    told: list[ParentStopped] = []

    class Heir(Agent):
        @handler
        def parent_stopped(self, message: ParentStopped) -> None:
            told.append(message)

    class House(Pod):
        heir = eager(Heir, manager="heirs", on_parent_stop=OnParentStop.NOTIFY)

    async with medium.host() as host:
        host.manager("heirs", Heir)
        houses = host.manager("houses", House)
        house = await House.get(houses, "h", partition="acme")
        heir = live(host, await house.ensure_node(House.heir))

        await house.stop()
        await eventually(lambda: told)

        assert told == [ParentStopped("houses", "h")]
        assert heir.live
        again = await House.get(houses, "h", partition="acme")
        assert [r.source for r in (await again.report()).nodes] == [Source.ADOPTED]
        assert live(host, await again.ensure_node(House.heir)) is heir


async def test_stop_returns_when_the_children_have_stopped(medium: Medium) -> None:
    """G9: nothing of the pod is alive any more, at any depth, when it answers."""
    gate = asyncio.Event()
    order: list[str] = []

    class Slow(Agent):
        async def on_stop(self) -> None:
            await gate.wait()
            order.append(str(self.context.key[-1]))

    class Inner(Pod):
        deep = eager(Slow, manager="slow")

        async def on_stop(self) -> None:
            order.append("inner")

    class Outer(Pod):
        inner = nested(Inner, manager="inners")
        top = eager(Slow, manager="slow")

        async def on_stop(self) -> None:
            order.append("outer")

    async with medium.host() as host:
        host.manager("slow", Slow)
        host.manager("inners", Inner)
        outers = host.manager("outers", Outer)
        pod = await Outer.get(outers, "o", partition="acme")
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(pod.stop())
            await spin()
            assert not stopping.done()
            gate.set()

        assert stopping.result() is True
        assert host.statistics().live == 0
        assert set(order) == {"deep", "top", "inner", "outer"}
        assert order.index("deep") < order.index("inner") < order.index("outer")
        assert order[-1] == "outer"
        assert await pod.stop() is False


async def test_a_child_that_cannot_be_saved_fails_the_stop(medium: Medium) -> None:
    """G9: no stop says ok while a state is unsaved; the child is live with it."""

    class Careful(Pod):
        worker = eager(Reviewer, manager="workers")

    def refuse(unit: Unit) -> StoreError | None:
        if "worker" in str(unit.operations[0]):
            return StoreUnavailable("apply", "the disk is full")
        return None

    store = medium.store()
    async with medium.host(store) as host:
        host.manager("workers", Reviewer)
        pods = host.manager("pods", Careful)
        pod = await Careful.get(pods, "p", partition="acme")
        worker = await pod.ensure_node(Careful.worker)
        store.refuse = refuse

        with pytest.raises(StoreUnavailable):
            await pod.stop()

        assert live(host, worker).live
        store.refuse = lambda _: None
        again = await Careful.get(pods, "p", partition="acme")
        assert (await again.report()).ok
        assert await worker.ask(Review("x")) == 1
        assert await again.stop()


async def test_get_right_after_stop_never_fails(medium: Medium) -> None:
    """G8: a get waits for a stop that is under way, and thaws afresh."""
    async with medium.host() as host:
        workspaces = managers(host)
        pod = await Workspace.get(workspaces, "w1", partition="acme")
        for round_ in range(100):
            worker = await pod.ensure_node(Workspace.coordinator)
            assert await worker.ask(Review("x")) == round_ + 1
            async with asyncio.TaskGroup() as group:
                group.create_task(pod.stop())
                getting = group.create_task(
                    Workspace.get(workspaces, "w1", partition="acme")
                )
            pod = getting.result()
            assert (await pod.report()).ok


async def test_a_get_during_a_stop_has_its_nodes_too(medium: Medium) -> None:
    """G8: what ``get`` promises holds also for the one who comes meanwhile."""
    gate = asyncio.Event()

    class Slow(Agent):
        async def on_stop(self) -> None:
            await gate.wait()

    class Holder(Pod):
        slow = eager(Slow, manager="slow")

    async with medium.host() as host:
        host.manager("slow", Slow)
        holders = host.manager("holders", Holder)
        pod = await Holder.get(holders, "h", partition="acme")
        old = live(host, pod)
        async with asyncio.TaskGroup() as group:
            group.create_task(pod.stop())
            await spin()
            getting = group.create_task(Holder.get(holders, "h", partition="acme"))
            await spin()
            assert not getting.done()
            gate.set()

        again = getting.result()
        assert live(host, again) is not old
        assert again.lookup_node(Holder.slow) is not None
        assert (await again.report()).ok


async def test_an_idle_pod_hibernates_with_its_nodes(medium: Medium) -> None:
    """G9: traffic to a node keeps the whole family awake, its absence ends it."""
    clock = ManualClock()
    async with medium.host(clock=clock) as host:
        host.manager("workers", Reviewer, idle_timeout=1)
        host.manager("editorial_pods", Editorial, idle_timeout=1)
        workspaces = host.manager("workspaces", Workspace, idle_timeout=60)
        pod = await Workspace.get(workspaces, "w1", partition="acme")
        other = await Workspace.get(workspaces, "w1", partition="acme-corp")
        coordinator = await pod.ensure_node(Workspace.coordinator)
        for _ in range(5):
            clock.advance(40)
            await spin()
            await coordinator.ask(Review("busy"))
        assert live(host, pod).live
        assert host.runtime.catalog.find(other.address) is None

        clock.advance(200)
        await eventually(lambda: host.statistics().live == 0)

        states = {n.name: n.state for n in await pod.nodes()}
        assert states["coordinator"] is NodeState.RUNNING
        assert await coordinator.ask(Count()) == 5


async def test_refs_to_nodes_outlive_their_pod(medium: Medium) -> None:
    """G10: a message to a sleeping node thaws it; its pod takes it back."""
    async with medium.host() as host:
        workspaces = managers(host)
        pod = await Workspace.get(workspaces, "w1", partition="acme")
        coordinator: AgentRef[Reviewer] = await pod.ensure_node(Workspace.coordinator)
        await coordinator.ask(Review("one"))
        await pod.stop()

        assert await coordinator.ask(Review("two")) == 2
        assert live(host, coordinator).parent is None
        again = await Workspace.get(workspaces, "w1", partition="acme")

        sources = {r.name: r.source for r in (await again.report()).nodes}
        assert sources["coordinator"] is Source.ADOPTED
        assert live(host, coordinator).parent is live(host, again)


async def test_a_node_that_thaws_alone_comes_back_to_its_live_pod(
    medium: Medium,
) -> None:
    """G10: the parent is recalled from the row, inside the partition."""
    async with medium.host() as host:
        workspaces = managers(host)
        pod = await Workspace.get(workspaces, "w1", partition="acme")
        reviewer = await pod.ensure_node(Workspace.reviewer)
        await reviewer.ask(Review("one"))
        await host.manager_named("workers").stop(reviewer.key, partition="acme")

        assert await reviewer.ask(Review("two")) == 2

        coordinator = the(pod.lookup_node(Workspace.coordinator))
        assert live(host, reviewer).parent is live(host, coordinator)


async def test_shutdown_and_restart_restore_the_whole_tree(medium: Medium) -> None:
    """G10: everything is saved on the way down, and found on the way up."""
    async with medium.host() as host:
        workspaces = managers(host)
        for name in ("acme", "umbrella"):
            pod = await Workspace.get(workspaces, "w1", partition=name)
            editorial = await pod.ensure_node(Workspace.editorial)
            writer = await editorial.ensure_node(Editorial.writer)
            for _ in range(3 if name == "acme" else 5):
                await writer.ask(Review("x"))

    async with medium.host() as host:
        workspaces = managers(host)
        for name, count in (("acme", 3), ("umbrella", 5)):
            pod = await Workspace.get(workspaces, "w1", partition=name)
            editorial = await pod.ensure_node(Workspace.editorial)
            writer = await editorial.ensure_node(Editorial.writer)
            assert await writer.ask(Count()) == count
