"""A topology changed by a handler of the pod itself: with the turn, or not at all."""

from __future__ import annotations

import asyncio

import pytest

from persistence import StoreUnavailable, Unit
from pods import (
    Change,
    Durability,
    Host,
    Message,
    MutationRefused,
    Pod,
    PodRef,
    StoreError,
    add_node,
    eager,
    handler,
    lazy,
    remove_node,
)
from tests.pods.support import (
    Medium,
    Review,
    Reviewer,
    answer,
    eventually,
)
from tests.support import Declined

__all__: list[str] = []


class Rewire(Message[tuple[str, ...]]):
    """Mutate once per list of changes, then end as told."""

    changes: tuple[tuple[Change, ...], ...]
    fails: bool = False


class Title(Message[str]):
    pass


class Studio(Pod):
    title: str = "plain"
    editor = eager(Reviewer, manager="workers")
    spare = lazy(Reviewer, manager="workers")

    @handler(raises=(Declined, MutationRefused))
    async def rewire(self, message: Rewire) -> tuple[str, ...]:
        added: list[str] = []
        for changes in message.changes:
            added += (await self.context.mutate(changes)).added
        self.title = "rewired"
        if message.fails:
            raise Declined("no")
        return tuple(added)

    @handler
    def read_title(self, message: Title) -> str:
        return self.title


def helper(name: str) -> tuple[Change, ...]:
    return (add_node(name, eager(Reviewer, manager="workers")),)


async def studio(
    host: Host, *, durability: Durability = Durability.TURN
) -> PodRef[Studio]:
    host.manager("workers", Reviewer)
    studios = host.manager("studios", Studio, durability=durability)
    return await Studio.get(studios, "s1", partition="acme")


async def settled(pod: PodRef[Studio], *live: str) -> None:
    """Wait until nodes are live."""
    await eventually(lambda: all(pod.lookup_node(name) for name in live))


def _refusal(_: Unit) -> StoreError:
    return StoreUnavailable("apply", "the disk is full")


async def test_a_handler_rewires_its_own_pod(medium: Medium) -> None:
    """G15, holds 3: the topology is stored with the state; the nodes start after it."""
    async with medium.killed() as (host, _):
        pod = await studio(host)
        added = await pod.ask(Rewire((helper("one"),)))
        assert added == ("one",)
        assert "one" in await pod.topology()
        await settled(pod, "one")

    async with medium.host() as host:
        pod = await studio(host)

        assert await pod.ask(Title()) == "rewired"
        assert pod.lookup_node("one") is not None


async def test_several_changes_of_one_turn_stand_on_each_other(
    medium: Medium,
) -> None:
    """G15: the second sees what the first has added, and both are one commit."""
    store = medium.store()
    async with medium.host(store) as host:
        pod = await studio(host)
        before = store.calls["apply"]

        added = await pod.ask(
            Rewire((helper("one"), (*helper("two"), remove_node("one")), ()))
        )
        commits = store.calls["apply"] - before
        await settled(pod, "two")

        assert added == ("one", "two")
        assert commits == 1
        assert "one" not in await pod.topology()
        assert (await pod.mutate(helper("three"))).ok

    async with medium.host() as host:
        pod = await studio(host)
        assert set(await pod.topology()) == {"editor", "spare", "two", "three"}


@pytest.mark.parametrize("refused", [False, True])
async def test_a_turn_that_fails_leaves_the_topology_alone(
    medium: Medium, refused: bool
) -> None:
    """Holds 3: neither stored nor in memory, and the pod can be mutated again."""
    store = medium.store()
    async with medium.host(store) as host:
        pod = await studio(host)
        if refused:
            store.refuse = _refusal

        failed = await answer(pod.ask(Rewire((helper("one"),), fails=not refused)))
        store.refuse = lambda _: None
        report = await pod.mutate(helper("two"))

        assert isinstance(failed, StoreUnavailable if refused else Declined)
        assert set(await pod.topology()) == {"editor", "spare", "two"}
        assert report.ok
        assert await pod.ask(Title()) == "plain"
        assert await pod.ask(Rewire((helper("three"),))) == ("three",)


async def test_a_change_that_does_not_fit_is_refused_and_holds_nothing_up(
    medium: Medium,
) -> None:
    """G15: the handler gets the error; the next mutation goes on."""
    async with medium.host() as host:
        pod = await studio(host)

        error = await answer(pod.ask(Rewire((helper("editor"),))))
        report = await pod.mutate(helper("two"))

        assert isinstance(error, MutationRefused)
        assert report.added == ("two",)


async def test_a_handler_waits_for_a_mutation_that_is_under_way(
    medium: Medium,
) -> None:
    """G15: one after the other; neither is lost, and the pod's seat is free."""
    store = medium.store()
    async with medium.host(store) as host:
        pod = await studio(host)
        store.gate.clear()
        async with asyncio.TaskGroup() as group:
            outside = group.create_task(pod.mutate(helper("one")))
            await store.held.wait()
            inside = group.create_task(pod.ask(Rewire((helper("two"),))))
            for _ in range(50):
                await asyncio.sleep(0)
            parked = host.runtime.dispatcher.statistics().parked
            store.gate.set()
        await settled(pod, "one", "two")

        assert parked == 1
        assert outside.result().added == ("one",)
        assert inside.result() == ("two",)
        assert set(await pod.topology()) == {"editor", "spare", "one", "two"}


async def test_a_pod_without_rows_rewires_too(medium: Medium) -> None:
    """G15: with ``Durability.NONE`` it lasts as long as the pod does."""
    async with medium.host() as host:
        pod = await studio(host, durability=Durability.NONE)

        await pod.ask(Rewire((helper("one"),)))
        await settled(pod, "one")

        assert await (await pod.ensure_node("one")).ask(Review()) == 1


async def test_what_a_removed_node_had_is_deleted_after_a_kill(
    medium: Medium,
) -> None:
    """G15: a process that dies between the commit and the removal is made up for."""
    store = medium.store()
    async with medium.killed(store) as (host, _):
        pod = await studio(host)
        spare = await pod.ensure_node(Studio.spare)
        await spare.ask(Review())
        store.refuse = lambda unit: _refusal(unit) if len(unit.operations) > 2 else None
        await pod.ask(Rewire(((remove_node("spare"),),)))

    async with medium.host() as host:
        pod = await studio(host)
        await pod.reconcile()
        await pod.mutate([add_node("spare", lazy(Reviewer, manager="workers"))])
        afresh = await pod.ensure_node("spare")

        assert await afresh.ask(Review()) == 1
