"""The mistakes of the closest systems, as far as pods could make them again."""

from __future__ import annotations

import asyncio

import pytest

from persistence import Key
from pods import (
    NodeState,
    Pod,
    PodRef,
    add_node,
    eager,
    lazy,
    remove_node,
)
from tests.pods.support import (
    Count,
    Medium,
    Review,
    Reviewer,
    answer,
    family,
    live,
    managers,
)
from tests.support import eventually

__all__: list[str] = []


class Before(Pod):
    """A pod as the last release declared it."""

    desk = eager(Reviewer, manager="workers")
    chair = eager(Reviewer, manager="workers")


class After(Pod):
    """The same pod with a node more, and one less."""

    desk = eager(Reviewer, manager="workers")
    lamp = eager(Reviewer, manager="workers")


async def test_a_stored_topology_does_not_hide_a_new_node(medium: Medium) -> None:
    """G15: what the code declares now is there, beside what ``mutate`` has changed."""
    async with medium.host() as host:
        host.manager("workers", Reviewer)
        rooms = host.manager("rooms", Before)
        room = await Before.get(rooms, "r", partition="acme")
        await room.mutate([add_node("plant", eager(Reviewer, manager="workers"))])
        await (await room.ensure_node("plant")).ask(Review("x"))

    async with medium.host() as host:
        host.manager("workers", Reviewer)
        rooms_now = host.manager("rooms", After)
        again = await After.get(rooms_now, "r", partition="acme")

        states = {node.name: node.state for node in await again.nodes()}
        assert states == dict.fromkeys(("desk", "lamp", "plant"), NodeState.RUNNING)
        assert await (await again.ensure_node("plant")).ask(Count()) == 1


async def test_a_removed_declared_node_stays_removed(medium: Medium) -> None:
    """G15: neither a restart nor a reconcile brings it back, with or without state."""
    async with medium.host() as host:
        host.manager("workers", Reviewer)
        rooms = host.manager("rooms", Before)
        room = await Before.get(rooms, "r", partition="acme")
        await (await room.ensure_node(Before.chair)).ask(Review("x"))
        await room.mutate([remove_node(Before.chair)])
        assert "chair" not in (await room.reconcile()).completed

    async with medium.host() as host:
        host.manager("workers", Reviewer)
        rooms = host.manager("rooms", Before)
        room = await Before.get(rooms, "r", partition="acme")
        assert set(await room.topology()) == {"desk"}
        back = eager(Reviewer, manager="workers")
        await room.mutate([add_node("chair", back)])
        chair = await room.ensure_node("chair")
        assert await chair.ask(Count()) == 0


async def test_two_pod_managers_share_no_children(medium: Medium) -> None:
    """G5: the same pod key under two managers is two pods with their own nodes."""
    async with medium.host() as host:
        host.manager("workers", Reviewer)
        one = host.manager("one", Before)
        two = host.manager("two", Before)
        first = await Before.get(one, "r", partition="acme")
        second = await Before.get(two, "r", partition="acme")
        await (await first.ensure_node(Before.desk)).ask(Review("x"))

        assert not family(host, first) & family(host, second)
        assert await (await second.ensure_node(Before.desk)).ask(Count()) == 0
        await first.stop()
        assert len(family(host, second)) == 2


async def test_a_tuple_key_does_not_forge_the_node_of_another_pod(
    medium: Medium,
) -> None:
    """G5: pod ("r", "desk") and node "desk" of pod "r" are different things."""
    async with medium.host() as host:
        host.manager("workers", Reviewer)
        rooms = host.manager("rooms", Before)
        keys: list[Key] = [
            "r",
            ("r",),
            ("r", "desk"),
            ("rooms", "r"),
            ("rooms", "r", "desk"),
        ]
        pods = [await Before.get(rooms, key, partition="acme") for key in keys]
        for number, pod in enumerate(pods):
            for _ in range(number):
                await (await pod.ensure_node(Before.desk)).ask(Review("x"))

        counts = [await (await p.ensure_node(Before.desk)).ask(Count()) for p in pods]

        assert counts == list(range(len(keys)))
        nodes = [node.address for pod in pods for node in await pod.nodes()]
        assert len(set(nodes)) == len(nodes) == 10


async def test_a_kill_in_a_mutation_refuses_no_later_one(medium: Medium) -> None:
    """G15: there is no stored flag that a dead process could leave behind."""
    store = medium.store()
    async with medium.killed(store) as (host, _):
        host.manager("workers", Reviewer)
        rooms = host.manager("rooms", Before)
        room = await Before.get(rooms, "r", partition="acme")
        await room.mutate([add_node("first", lazy(Reviewer, manager="workers"))])
        store.gate.clear()
        async with asyncio.TaskGroup() as group:
            group.create_task(_add_quietly(room, "lost"))
            await store.held.wait()
            store.gone = True
            store.gate.set()

    async with medium.host() as host:
        host.manager("workers", Reviewer)
        rooms = host.manager("rooms", Before)
        room = await Before.get(rooms, "r", partition="acme")
        await room.mutate([add_node("next", lazy(Reviewer, manager="workers"))])
        assert set(await room.topology()) == {"desk", "chair", "first", "next"}


async def test_stopping_a_pod_in_a_mutation_leaks_no_worker(medium: Medium) -> None:
    """G15: what a mutation has started belongs to the pod, or does not run."""
    async with medium.host() as host:
        pod = await managers(host).get("w1", partition="acme")
        for number in range(20):
            async with asyncio.TaskGroup() as group:
                group.create_task(_add_quietly(pod, f"n{number}"))
                for _ in range(number):
                    await asyncio.sleep(0)
                group.create_task(pod.stop())
            await pod.reconcile()
            below = family(host, pod) | {pod.address}
            assert {i.address for i in host.runtime.registries.instances()} == below

        await pod.stop()
        assert host.statistics().live == 0


async def test_a_stop_then_get_storm_leaves_one_pod(medium: Medium) -> None:
    """G8: stop and get from many sides end in one pod whose nodes are its own."""
    async with medium.host() as host:
        workspaces = managers(host)
        pod = await workspaces.get("w1", partition="acme")
        for _ in range(10):
            async with asyncio.TaskGroup() as group:
                for _ in range(5):
                    group.create_task(pod.stop())
                    group.create_task(workspaces.get("w1", partition="acme"))
        pod = await workspaces.get("w1", partition="acme")
        await pod.reconcile()

        everybody = {i.address for i in host.runtime.registries.instances()}
        assert everybody == family(host, pod) | {pod.address}
        assert (await pod.reconcile()).ok


async def test_a_foreign_pod_with_the_same_nodes_is_never_healed_or_drawn(
    medium: Medium,
) -> None:
    """G7: names, states and drawings of one tenant say nothing of another's."""
    async with medium.host() as host:
        workspaces = managers(host)
        pod = await workspaces.get("w1", partition="acme")
        twin = await workspaces.get("w1", partition="acme-corp")
        drawn = await twin.to_mermaid()
        nodes = await twin.nodes()

        await pod.mutate([add_node("plant", eager(Reviewer, manager="workers"))])
        await pod.stop()

        assert await twin.to_mermaid() == drawn
        assert await twin.nodes() == nodes
        assert all(node.address.partition == "acme-corp" for node in nodes)


@pytest.mark.parametrize("rounds", [300])
async def test_stop_followed_at_once_by_get_never_fails(
    medium: Medium, rounds: int
) -> None:
    """G8: fifteen of three hundred failed elsewhere; here none."""
    async with medium.host() as host:
        host.manager("workers", Reviewer)
        rooms = host.manager("rooms", Before)
        room = await Before.get(rooms, "r", partition="acme")
        for _ in range(rounds):
            await room.stop()
            room = await Before.get(rooms, "r", partition="acme")
            assert room.lookup_node(Before.desk) is not None
        await eventually(lambda: live(host, room).live)


async def _add_quietly(pod: PodRef[Pod], name: str) -> None:
    await answer(pod.mutate([add_node(name, eager(Reviewer, manager="workers"))]))
