from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from pods import (
    AgentNotFound,
    AgentRef,
    Message,
    Pod,
    PodRef,
    Source,
    eager,
    handler,
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


Touch = Callable[[PodRef["Carrier"]], Awaitable[object]]


class Carry(Message[None]):
    target: PodRef[Carrier]
    touch: Touch


class Carrier(Pod):
    clerk = eager(Reviewer, manager="workers")

    @handler(raises=(AgentNotFound,))
    async def carry(self, message: Carry) -> None:
        await message.touch(message.target)


async def ensure(pod: PodRef[Carrier]) -> object:
    return await pod.ensure_node(Carrier.clerk)


async def mutate(pod: PodRef[Carrier]) -> object:
    return await pod.mutate([])


async def discard(pod: PodRef[Carrier]) -> None:
    await pod.discard_node("clerk", actor="ann", reason="curious")


async def look_up(pod: PodRef[Carrier]) -> object:
    return pod.lookup_node(Carrier.clerk)


@pytest.mark.parametrize(
    "touch",
    [
        PodRef[Carrier].nodes,
        PodRef[Carrier].topology,
        PodRef[Carrier].reconcile,
        PodRef[Carrier].report,
        PodRef[Carrier].problems,
        PodRef[Carrier].to_mermaid,
        PodRef[Carrier].stop,
        ensure,
        mutate,
        discard,
        look_up,
    ],
)
async def test_a_foreign_pod_in_a_message_leads_nowhere(
    medium: Medium, touch: Touch
) -> None:
    """Holds 9: a handler looks at no pod of another partition, and stops none."""
    async with medium.host() as host:
        host.manager("workers", Reviewer)
        carriers = host.manager("carriers", Carrier)
        foreign = await carriers.get("far", partition="globex")
        carrier = await carriers.get("near", partition="acme")

        with pytest.raises(AgentNotFound):
            await carrier.ask(Carry(foreign, touch))

        assert foreign.lookup_node(Carrier.clerk) is not None
