from __future__ import annotations

import pytest

from pods import (
    AgentNotFound,
    AgentRef,
    Pod,
    Source,
    eager,
    lazy,
    remove_node,
)
from tests.pods.support import (
    Count,
    Medium,
    Review,
    Reviewer,
    live,
)

__all__: list[str] = []


class Desk(Pod):
    clerk = eager(Reviewer, manager="workers")
    helper = lazy(Reviewer, manager="workers", owner=clerk)


async def test_a_kept_ref_wakes_its_node_in_its_place(medium: Medium) -> None:
    """G4: a node that a message starts is a child of its owner like any other."""
    async with medium.host() as host:
        workers = host.manager("workers", Reviewer)
        desks = host.manager("desks", Desk)
        desk = await Desk.get(desks, "d", partition="acme")
        helper: AgentRef[Reviewer] = await desk.ensure_node(Desk.helper)
        assert await workers.stop(helper.key, partition="acme")

        assert await helper.ask(Review("x")) == 1

        owner = await desk.ensure_node(Desk.clerk)
        assert live(host, helper).parent is live(host, owner)
        assert (await desk.reconcile()).failures == {}
        await desk.stop()
        assert host.statistics().live == 0


async def test_a_kept_ref_to_a_removed_node_finds_nothing(medium: Medium) -> None:
    """G15: whoever still holds a ref does not bring a removed node back."""
    async with medium.host() as host:
        workers = host.manager("workers", Reviewer)
        desks = host.manager("desks", Desk)
        desk = await Desk.get(desks, "d", partition="acme")
        helper = await desk.ensure_node(Desk.helper)
        await helper.ask(Review("x"))

        await desk.mutate([remove_node(Desk.helper)])

        with pytest.raises(AgentNotFound) as caught:
            await helper.ask(Count())
        with pytest.raises(AgentNotFound) as absent:
            await workers.get(helper.key, partition="acme")
        assert type(caught.value) is type(absent.value)
        own = await workers.get(("desks", "d", "my own"), partition="acme")
        assert await own.ask(Count()) == 0
        assert helper.key not in await workers.keys(partition="acme")


async def test_a_node_woken_while_its_pod_sleeps_is_taken_back(medium: Medium) -> None:
    """G10: it lives on alone until the pod thaws, which adopts it with its state."""
    async with medium.host() as host:
        host.manager("workers", Reviewer)
        desks = host.manager("desks", Desk)
        desk = await Desk.get(desks, "d", partition="acme")
        clerk = await desk.ensure_node(Desk.clerk)
        await clerk.ask(Review("x"))
        await desk.stop()

        assert await clerk.ask(Count()) == 1
        alone = live(host, clerk)
        assert alone.parent is None
        await Desk.get(desks, "d", partition="acme")

        assert live(host, clerk) is alone
        results = (await desk.report()).nodes
        assert [r.source for r in results if r.name == "clerk"] == [Source.ADOPTED]
