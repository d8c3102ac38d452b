from __future__ import annotations

import asyncio

import pytest

from persistence import Address, Record, RecordKind, Save, Unit
from pods import (
    Agent,
    NodeState,
    OnParentStop,
    Pod,
    Quarantined,
    RestartPolicy,
    StaleRevision,
    StartFailed,
    add_node,
    eager,
    handler,
    lazy,
)
from tests.pods.support import (
    Boom,
    Count,
    Editorial,
    ManualClock,
    Medium,
    Review,
    Reviewer,
    Workspace,
    answer,
    eventually,
    family,
    live,
    managers,
    spin,
    the,
)

__all__: list[str] = []


async def test_a_crashed_eager_node_comes_back_by_itself(medium: Medium) -> None:
    """G16: with the state of its last turn, under the same parent, without a get."""
    async with medium.host() as host:
        pod = await Workspace.get(managers(host), "w1", partition="acme")
        coordinator = await pod.ensure_node(Workspace.coordinator)
        reviewer = await pod.ensure_node(Workspace.reviewer)
        await coordinator.ask(Review("one"))
        before = live(host, coordinator).incarnation
        child = live(host, reviewer)

        with pytest.raises(RuntimeError, match="boom"):
            await coordinator.ask(Boom())
        await eventually(lambda: live(host, coordinator).incarnation > before)

        instance = live(host, coordinator)
        assert instance.parent is live(host, pod)
        assert live(host, reviewer) is child
        assert child.parent is instance
        assert await coordinator.ask(Count()) == 1
        states = {n.name: n.state for n in await pod.nodes()}
        assert states["coordinator"] is NodeState.RUNNING


async def test_a_crashed_pod_comes_back_by_itself_with_its_nodes(
    medium: Medium,
) -> None:
    """G16: its nodes are not disturbed, and it still knows them."""
    async with medium.host() as host:
        pod = await Workspace.get(managers(host), "w1", partition="acme")
        await pod.mutate([add_node("helper", eager(Reviewer, manager="workers"))])
        nodes = {i.address: i for i in host.runtime.registries.instances()}
        before = live(host, pod).incarnation

        with pytest.raises(RuntimeError, match="boom"):
            await pod.ask(Boom())
        await eventually(lambda: live(host, pod).incarnation > before)
        await spin()

        assert {i.address: i for i in host.runtime.registries.instances()} == nodes
        assert all(i.parent is not None for a, i in nodes.items() if a != pod.address)
        assert (await pod.reconcile()).ok
        assert "helper" in await pod.topology()


async def test_a_tell_that_crashes_heals_with_nobody_waiting(medium: Medium) -> None:
    """G16: no asker is needed to bring a node back."""
    async with medium.host() as host:
        pod = await Workspace.get(managers(host), "w1", partition="acme")
        coordinator = the(pod.lookup_node(Workspace.coordinator))
        first = live(host, coordinator).incarnation

        await coordinator.tell(Boom())
        await eventually(lambda: live(host, coordinator).incarnation > first)

        await eventually(lambda: live(host, coordinator).phase.value == "idle")
        assert pod.lookup_node(Workspace.coordinator) is not None


async def test_a_crash_loop_of_one_node_ends_in_its_own_quarantine(
    medium: Medium,
) -> None:
    """P3: four crashes, or a thousand, of one tenant disturb nobody else's node."""
    clock = ManualClock()
    async with medium.host(clock=clock) as host:
        host.manager("workers", Reviewer, restart=RestartPolicy(max_restarts=3))
        host.manager("editorial_pods", Editorial)
        workspaces = host.manager("workspaces", Workspace)
        pod = await Workspace.get(workspaces, "w1", partition="acme")
        twin = await Workspace.get(workspaces, "w1", partition="acme-corp")
        coordinator = await pod.ensure_node(Workspace.coordinator)
        other = await pod.ensure_node(Workspace.editorial)
        kept = {
            i.address: (i, i.incarnation)
            for i in host.runtime.registries.instances()
            if i.address.partition == "acme-corp" or i.address == other.address
        }

        for _ in range(4):
            await answer(coordinator.ask(Boom()))
            clock.advance(5)
            await spin()
        await eventually(lambda: pod.lookup_node(Workspace.coordinator) is None)

        with pytest.raises(Quarantined):
            await pod.ensure_node(Workspace.coordinator)
        nodes = {n.name: n for n in await pod.nodes()}
        assert nodes["coordinator"].state is NodeState.QUARANTINED
        assert "crashed 4 times" in the(nodes["coordinator"].reason)
        assert {
            i.address: (i, i.incarnation)
            for i in host.runtime.registries.instances()
            if i.address in kept
        } == kept
        report = await (
            await Workspace.get(workspaces, "w1", partition="acme")
        ).reconcile()
        assert report.failed == ("coordinator",)
        assert (await twin.reconcile()).ok

        await host.manager_named("workers").release(
            coordinator.key, partition="acme", actor="operator", reason="mended"
        )
        assert (await pod.reconcile()).ok


async def test_children_of_a_quarantined_pod_do_not_leak(medium: Medium) -> None:
    """P3: what stops with its pod stops also when the pod is quarantined."""
    clock = ManualClock()
    async with medium.host(clock=clock) as host:
        host.manager("workers", Reviewer)
        host.manager("editorial_pods", Editorial)
        workspaces = host.manager(
            "workspaces", Workspace, restart=RestartPolicy(max_restarts=0)
        )
        pod = await Workspace.get(workspaces, "w1", partition="acme")
        twin = await Workspace.get(workspaces, "w1", partition="umbrella")
        worker = await pod.ensure_node(Workspace.coordinator)
        await worker.ask(Review("kept"))

        await answer(pod.ask(Boom()))
        await eventually(
            lambda: (
                {i.address.partition for i in host.runtime.registries.instances()}
                == {"umbrella"}
            )
        )

        with pytest.raises(Quarantined):
            await Workspace.get(workspaces, "w1", partition="acme")
        assert len(family(host, twin)) == 3
        await workspaces.release("w1", partition="acme", actor="op", reason="mended")
        again = await Workspace.get(workspaces, "w1", partition="acme")
        assert (await again.report()).ok
        assert await (await again.ensure_node(Workspace.coordinator)).ask(Count()) == 1


async def test_survivors_of_a_quarantined_pod_attach_again(medium: Medium) -> None:
    """G10: a child that continues is adopted by the pod when it is released."""

    class House(Pod):
        guest = eager(Reviewer, manager="workers", on_parent_stop=OnParentStop.CONTINUE)

        @handler
        def boom(self, message: Boom) -> None:
            raise RuntimeError("boom")

    async with medium.host() as host:
        host.manager("workers", Reviewer)
        houses = host.manager("houses", House, restart=RestartPolicy(max_restarts=0))
        house = await House.get(houses, "h", partition="acme")
        guest = live(host, await house.ensure_node(House.guest))
        await answer(house.ask(Boom()))
        await eventually(lambda: host.runtime.catalog.find(house.address) is None)
        assert guest.live

        await houses.release("h", partition="acme", actor="op", reason="mended")
        again = await House.get(houses, "h", partition="acme")

        assert live(host, await again.ensure_node(House.guest)) is guest
        assert guest.parent is live(host, again)


async def test_an_eager_node_that_is_fenced_comes_back(medium: Medium) -> None:
    """G16: a node that lost its copy to a newer row is thawed from that row."""
    store = medium.store()
    async with medium.host(store) as host:
        pod = await Workspace.get(managers(host), "w1", partition="acme")
        coordinator = await pod.ensure_node(Workspace.coordinator)
        await coordinator.ask(Review("one"))
        old = live(host, coordinator)
        hits = [True]

        def fence(unit: Unit) -> StaleRevision | None:
            if not hits or "coordinator" not in str(unit.operations[0]):
                return None
            hits.clear()
            return StaleRevision(coordinator.address, 1)

        store.refuse = fence
        with pytest.raises(StaleRevision):
            await coordinator.ask(Review("two"))
        await eventually(lambda: pod.lookup_node(Workspace.coordinator) is not None)

        assert live(host, coordinator) is not old
        assert live(host, coordinator).parent is live(host, pod)
        assert await coordinator.ask(Review("two")) == 2


async def test_the_owned_nodes_of_a_fenced_node_come_back_with_it(
    medium: Medium,
) -> None:
    """G16: eager nodes below a node that was dropped are healed, too."""

    class Chain(Pod):
        top = eager(Reviewer, manager="workers")
        low = eager(Reviewer, manager="workers", owner=top)

    store = medium.store()
    async with medium.host(store) as host:
        host.manager("workers", Reviewer)
        chains = host.manager("chains", Chain)
        pod = await Chain.get(chains, "c", partition="acme")
        top = await pod.ensure_node(Chain.top)
        store.refuse = lambda unit: (
            StaleRevision(top.address, 0)
            if "'top'" in str(unit.operations[0])
            else None
        )
        with pytest.raises(StaleRevision):
            await top.ask(Review("one"))
        store.refuse = lambda _: None

        await eventually(
            lambda: (
                pod.lookup_node(Chain.top) is not None
                and pod.lookup_node(Chain.low) is not None
                and live(host, the(pod.lookup_node(Chain.low))).parent
                is live(host, the(pod.lookup_node(Chain.top)))
            )
        )


async def test_a_pod_that_fails_to_start_heals(medium: Medium) -> None:
    """G16: a get says why at once; the restart policy goes on without it."""
    broken = [True]

    class Late(Pod):
        worker = eager(Reviewer, manager="workers")

        async def on_start(self) -> None:
            if broken[0]:
                raise ConnectionError("no network")

    clock = ManualClock()
    async with medium.host(clock=clock) as host:
        host.manager("workers", Reviewer)
        lates = host.manager("lates", Late)
        with pytest.raises(StartFailed, match="no network"):
            await Late.get(lates, "l", partition="acme")
        broken[0] = False
        clock.advance(10)
        await eventually(lambda: host.statistics().live == 2)

        pod = the(lates.lookup("l", partition="acme"))

        assert (await pod.report()).ok


TOPOLOGIES = [
    b"",
    b"{}",
    b"null",
    b"[1, 2",
    b'{"added":[],"purging":[],"removed":["../x"]}',
    b'{"added":[{"name":"Bad Name"}],"purging":[],"removed":[]}',
    b'{"added":[],"purging":[],"removed":[],"more":1}',
    b"\xff\xfe",
]


@pytest.mark.parametrize("number", range(len(TOPOLOGIES)))
async def test_a_topology_that_makes_no_sense_quarantines_its_pod(
    medium: Medium, number: int
) -> None:
    """P2: only that pod, with the reason; its bytes stay, nothing starts afresh."""
    body = TOPOLOGIES[number]
    address = Address("acme", "workspaces", "w1")
    async with medium.opened() as store:
        (claim,) = await store.claim(["acme"])
        record = Record(address, RecordKind.TOPOLOGY, 1, 1, body)
        (refused,) = await store.apply([Unit("acme", claim.epoch, (Save(record),))])
        assert refused is None

    async with medium.host() as host:
        workspaces = managers(host)
        with pytest.raises(Quarantined):
            await Workspace.get(workspaces, "w1", partition="acme")
        other = await Workspace.get(workspaces, "w2", partition="acme")
        twin = await Workspace.get(workspaces, "w1", partition="acme-corp")

        assert (await other.report()).ok
        assert (await twin.report()).ok
        (mark,) = await workspaces.quarantined(partition="acme")
        assert mark.address == address
        with pytest.raises(Quarantined):
            await Workspace.get(workspaces, "w1", partition="acme")
    async with medium.opened() as store:
        (rows,) = await store.load("workspaces", ["w1"], partition="acme")
        assert isinstance(rows, tuple)
        assert [(r.kind, r.body) for r in rows] == [(RecordKind.TOPOLOGY, body)]


@pytest.mark.parametrize("kind", list(RecordKind), ids=lambda k: k.value)
async def test_a_row_with_other_bytes_quarantines_its_pod_only(
    medium: Medium, kind: RecordKind
) -> None:
    """P2: state or topology; its nodes stay as they are, other tenants serve."""
    async with medium.host() as host:
        workspaces = managers(host)
        for partition in ("acme", "acme-corp"):
            pod = await Workspace.get(workspaces, "w1", partition=partition)
            await pod.mutate([add_node("helper", eager(Reviewer, manager="workers"))])
            await (await pod.ensure_node("helper")).ask(Review("x"))
    medium.spoil(Address("acme", "workspaces", "w1"), kind)

    async with medium.host() as host:
        workspaces = managers(host)
        with pytest.raises(Quarantined, match="release"):
            await Workspace.get(workspaces, "w1", partition="acme")

        twin = await Workspace.get(workspaces, "w1", partition="acme-corp")
        assert twin.lookup_node("helper") is not None
        worker = await host.manager_named("workers").get(
            ("workspaces", "w1", "helper"), partition="acme"
        )
        assert await worker.ask(Count()) == 1
    async with medium.host() as host:
        workspaces = managers(host)
        with pytest.raises(Quarantined):
            await Workspace.get(workspaces, "w1", partition="acme")


async def test_a_corrupt_node_is_quarantined_alone(medium: Medium) -> None:
    """P2: its pod is up and names it."""
    async with medium.host() as host:
        pod = await Workspace.get(managers(host), "w1", partition="acme")
        coordinator = await pod.ensure_node(Workspace.coordinator)
        await coordinator.ask(Review("x"))
    medium.spoil(coordinator.address, RecordKind.STATE)

    async with medium.host() as host:
        workspaces = managers(host)
        pod = await Workspace.get(workspaces, "w1", partition="acme")

        report = await pod.report()
        assert report.failures["coordinator"].error == "Quarantined"
        assert report.pending == ("editorial",)
        nodes = {n.name: n for n in await pod.nodes()}
        assert nodes["coordinator"].state is NodeState.QUARANTINED
        assert await pod.ask(Count()) == len("untitled")
        with pytest.raises(Quarantined):
            await pod.ensure_node(Workspace.coordinator)
        twin = await Workspace.get(workspaces, "w1", partition="acme-corp")
        assert (await twin.report()).ok


async def test_nodes_shows_a_corrupt_row_that_nobody_has_touched(
    medium: Medium,
) -> None:
    """P2: a lazy node with an unusable row is shown as such, not as absent."""
    async with medium.host() as host:
        pod = await Workspace.get(managers(host), "w1", partition="acme")
        reviewer = await pod.ensure_node(Workspace.reviewer)
        await reviewer.ask(Review("x"))
    medium.spoil(reviewer.address, RecordKind.STATE)

    async with medium.host() as host:
        pod = await Workspace.get(managers(host), "w1", partition="acme")

        states = {n.name: n.state for n in await pod.nodes()}

        # Memory keeps no checksum: what is wrong with the bytes shows when they thaw.
        in_memory = medium.name == "memory"
        shown = NodeState.HIBERNATED if in_memory else NodeState.QUARANTINED
        assert states["reviewer"] is shown
        assert states["coordinator"] is NodeState.RUNNING
        with pytest.raises(Quarantined):
            await pod.ensure_node(Workspace.reviewer)
        states = {n.name: n.state for n in await pod.nodes()}
        assert states["reviewer"] is NodeState.QUARANTINED


async def test_a_slow_node_delays_only_its_own_pod(medium: Medium) -> None:
    """P1: while one tenant's node starts, other pods are got and served."""
    gate = asyncio.Event()

    class Slow(Agent):
        async def on_start(self) -> None:
            if self.context.partition == "acme":
                await gate.wait()

    class Heavy(Pod):
        slow = eager(Slow, manager="slow")
        quick = lazy(Reviewer, manager="workers")

        @handler
        def count(self, message: Count) -> int:
            return 1

    async with medium.host() as host:
        host.manager("workers", Reviewer)
        host.manager("slow", Slow)
        heavies = host.manager("heavies", Heavy)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(Heavy.get(heavies, "h", partition="acme"))
            await spin()

            for name in ("acme-corp", "umbrella"):
                pod = await Heavy.get(heavies, "h", partition=name)
                quick = await pod.ensure_node(Heavy.quick)
                assert await quick.ask(Review("x")) == 1
            own = the(heavies.lookup("h", partition="acme"))
            assert await own.ask(Count()) == 1
            assert not waiting.done()
            gate.set()
