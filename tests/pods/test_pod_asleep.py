"""What a pod's nodes know, and who finds them, while the pod itself hibernates."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import attrs
import pytest

from persistence import Address, Key, Loaded
from pods import (
    Agent,
    AgentNotFound,
    AgentRef,
    Host,
    InstanceManager,
    Message,
    OnParentStop,
    Pod,
    PodRef,
    UnknownNode,
    add_node,
    eager,
    handler,
    lazy,
    nested,
    remove_node,
)
from tests.pods.support import (
    Count,
    ManualClock,
    Medium,
    Review,
    Reviewer,
    WatchedStore,
    answer,
    eventually,
    live,
    records,
    spin,
    the,
)

__all__: list[str] = []


class Above(Message[tuple[str, ...]]):
    """Where the one that is asked stands: manager and key of each ancestor."""


class Rooms(Message[tuple[Key, ...]]):
    """The keys of the pods that it stands in."""


class Hire(Message[AgentRef[Agent]]):
    key: Key


class Later(Message[None]):
    """Ask yourself for a review in a minute."""


class Clerk(Agent):
    reviewed: int = 0

    @handler
    def above(self, message: Above) -> tuple[str, ...]:
        return tuple(
            f"{ref.address.manager}/{ref.key!r}" for ref in self.context.ancestors
        )

    @handler
    def rooms(self, message: Rooms) -> tuple[Key, ...]:
        return Room.of(self.context).key, House.of(self.context).key

    @handler
    async def hire(self, message: Hire) -> AgentRef[Agent]:
        return await self.context.spawn("clerks", message.key)

    @handler
    def later(self, message: Later) -> None:
        self.context.schedule(Review(), after=60)

    @handler
    def review(self, message: Review) -> int:
        self.reviewed += 1
        return self.reviewed

    @handler
    def count(self, message: Count) -> int:
        return self.reviewed


class Room(Pod):
    boss = eager(Clerk, manager="clerks")
    clerk = lazy(Clerk, manager="clerks", owner=boss)


class House(Pod):
    room = nested(Room, manager="rooms")


class Shop(Pod):
    """The release that declares less than ``Room`` does."""

    boss = eager(Clerk, manager="clerks")


ROOM = ("houses", "h", "room")
BOSS = (*("rooms", ROOM), "boss")


def houses(host: Host) -> InstanceManager[House]:
    host.manager("clerks", Clerk)
    host.manager("rooms", Room)
    return host.manager("houses", House)


def shops(host: Host, pod: type[Room | Shop] = Room) -> InstanceManager[Room | Shop]:
    host.manager("clerks", Clerk)
    host.manager("reviewers", Reviewer)
    return host.manager("shops", pod)


async def shop(host: Host, pod: type[Room | Shop] = Room) -> PodRef[Agent]:
    found = await shops(host, pod).get("s", partition="acme")
    assert isinstance(found, PodRef)
    return found


async def test_an_added_node_is_looked_up_while_its_pod_sleeps() -> None:
    """G15: it is not live then, which is no error; a node that was woken is found."""
    async with Medium.memory().host() as host:
        pod = await shop(host)
        await pod.mutate([add_node("added", lazy(Reviewer, manager="reviewers"))])
        added = await pod.ensure_node("added")
        await added.ask(Review())
        await pod.stop()

        asleep = [pod.lookup_node(name) for name in ("added", "boss", "never")]
        await added.ask(Review())
        woken = pod.lookup_node("added")
        impossible = await answer(_looked_up(pod, "No Name"))

    assert asleep == [None, None, None]
    assert woken == added
    assert isinstance(impossible, UnknownNode)


async def _looked_up(pod: PodRef[Agent], name: str) -> AgentRef[Agent] | None:
    return pod.lookup_node(name)


async def test_nobody_is_taken_for_a_node_of_a_pod_that_sleeps() -> None:
    """G5: a key of the user's own that looks like a node's is none."""
    async with Medium.memory().host() as host:
        pod = await shop(host)
        await pod.stop()
        own = host.manager_named("reviewers")

        await own.get(("shops", "s", "added"), partition="acme")
        await own.get(("shops", "s", "boss"), partition="acme")

        assert [pod.lookup_node(name) for name in ("added", "boss")] == [None, None]


async def test_a_node_knows_where_it_stands_while_its_pod_sleeps(
    medium: Medium,
) -> None:
    """G4: at every depth, and what it has hired itself knows it, too."""
    async with medium.host() as host:
        house = await House.get(houses(host), "h", partition="acme")
        room = await house.ensure_node(House.room)
        clerk = await room.ensure_node(Room.clerk)
        helper = await clerk.ask(Hire("helper"))
        awake = [await one.ask(Above()) for one in (clerk, helper)]
        await house.stop()
        assert host.statistics().live == 0

        alone = [await one.ask(Above()) for one in (clerk, helper)]
        rooms = [await one.ask(Rooms()) for one in (clerk, helper)]

        assert host.runtime.catalog.find(room.address) is None

    assert awake == alone
    assert alone[0] == (f"clerks/{BOSS!r}", f"rooms/{ROOM!r}", "houses/'h'")
    assert alone[1] == (f"clerks/{clerk.key!r}", *alone[0])
    assert rooms == [(ROOM, "h")] * 2


async def test_a_survivor_of_a_pod_knows_where_it_stood() -> None:
    """G10: who lives on when its pod hibernates has no row read for that."""

    class Team(Pod):
        stayer = eager(Clerk, manager="clerks", on_parent_stop=OnParentStop.CONTINUE)

    class Firm(Pod):
        team = nested(Team, manager="teams")

    store = Medium.memory().store()
    async with Medium.memory().host(store) as host:
        host.manager("clerks", Clerk)
        host.manager("teams", Team)
        firm = await Firm.get(host.manager("firms", Firm), "f", partition="acme")
        team = await firm.ensure_node(Firm.team)
        stayer = await team.ensure_node(Team.stayer)
        await firm.stop()
        loaded = store.keys_loaded

        above = await stayer.ask(Above())

        assert host.runtime.catalog.find(team.address) is None
        assert store.keys_loaded == loaded
    assert above == ("teams/('firms', 'f', 'team')", "firms/'f'")


@pytest.mark.parametrize("woken", [False, True], ids=["asleep", "woken"])
async def test_a_node_that_begins_while_its_pod_sleeps_is_its_owners(
    medium: Medium, woken: bool
) -> None:
    """G4: its row names the parent that the topology gives it, live or not."""
    async with medium.host() as host:
        pod = await shop(host)
        boss = await pod.ensure_node("boss")
        await pod.stop()
        if woken:
            await boss.ask(Count())

        clerk = clerk_of(host)
        await clerk.ask(Review())

        owner = live(host, boss) if woken else None
        assert live(host, clerk).parent is owner
    async with medium.opened() as store:
        rows = await records(store, "acme", manager_names=["clerks"])

    assert [row.parent for row in rows[clerk.address]] == [boss.address]


async def test_a_removed_node_stays_away_while_its_pod_sleeps(medium: Medium) -> None:
    """G15: whoever still holds a ref does not bring it back, declared or added."""
    async with medium.host() as host:
        pod = await shop(host)
        await pod.mutate([add_node("added", lazy(Reviewer, manager="reviewers"))])
        refs = [await pod.ensure_node(name) for name in ("added", "clerk")]
        for ref in refs:
            await ref.ask(Review())
        await pod.mutate([remove_node("added"), remove_node("clerk")])
        await pod.stop()

        found = [await answer(ref.ask(Count())) for ref in refs]
        looked_up = pod.lookup_node("clerk")
        await pod.mutate([add_node("added", lazy(Reviewer, manager="reviewers"))])
        await pod.stop()
        again = await refs[0].ask(Count())

    assert [type(one) for one in found] == [AgentNotFound] * 2
    assert looked_up is None
    assert again == 0


async def test_a_timer_does_not_wake_what_the_code_has_forgotten(
    medium: Medium,
) -> None:
    """G10: though its pod sleeps; the timer waits for a release that declares it."""
    clock = ManualClock()
    async with medium.host(clock=clock) as host:
        clerk = await (await shop(host)).ensure_node("clerk")
        await clerk.ask(Review())
        await clerk.ask(Later())

    async with medium.host(clock=clock) as host:
        shops(host, Shop)
        clock.advance(61)
        await spin(200)
        woken = await answer(clerk_of(host).ask(Count()))
        assert host.statistics().live == 0
    async with medium.host(clock=clock) as host:
        shops(host)
        clock.advance(400)
        count = await clerk_of(host).ask(Count())
        while count < 2:
            await asyncio.sleep(0)
            count = await clerk_of(host).ask(Count())

    assert isinstance(woken, AgentNotFound)
    assert (woken.manager, woken.key) == ("clerks", ("shops", "s", "clerk"))


def clerk_of(host: Host) -> AgentRef[Agent]:
    """Return a ref that was made without looking at anything."""
    address = Address("acme", "clerks", ("shops", "s", "clerk"))
    return host.runtime.catalog.ref(address)


async def test_a_key_like_that_of_a_node_is_no_leftover(medium: Medium) -> None:
    """G5: what the user has started under it is found after every thaw of the pod."""
    async with medium.host() as host:
        await shop(host)
        reviewers = host.manager_named("reviewers")
        own = await reviewers.get(("shops", "s", "own"), partition="acme")
        await own.ask(Review())

    async with medium.host() as host:
        pod = await shop(host)
        problems = await pod.problems()
        reviewers = host.manager_named("reviewers")
        own = await reviewers.get(("shops", "s", "own"), partition="acme")
        counts = [await own.ask(Count())]
        await pod.stop()
        await reviewers.stop(own.key, partition="acme")
        counts.append(await own.ask(Count()))

    assert problems == ()
    assert counts == [1, 1]


@attrs.define(eq=False, repr=False)
class SlowToRead(WatchedStore):
    """Holds a load of a shop until it is told to go on; ``slow`` counts down to it."""

    slow: int = 0
    reading: asyncio.Event = attrs.field(factory=asyncio.Event)
    go_on: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def load(
        self, manager: str, keys: Sequence[Key], *, partition: str
    ) -> list[Loaded]:
        if manager == "shops" and self.slow:
            self.slow -= 1
            if not self.slow:
                self.reading.set()
                await self.go_on.wait()
        return await super().load(manager, keys, partition=partition)


async def test_a_pod_may_wake_while_its_node_looks_for_it() -> None:
    """G10: who looks finds the live pod, and is its child like any other."""
    medium = Medium.memory()
    store = SlowToRead(medium.make())
    async with medium.host(store) as host:
        pod = await shop(host)
        boss = await pod.ensure_node("boss")
        await boss.ask(Review())
        await pod.stop()
        pods = host.manager_named("shops")
        store.slow = 1
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(boss.ask(Above()))
            await store.reading.wait()
            getting = group.create_task(pods.get("s", partition="acme"))
            await spin()
            store.go_on.set()

        assert getting.result() == pod
        assert asking.result() == ("shops/'s'",)
        assert live(host, boss).parent is live(host, pod)


@pytest.mark.parametrize("held", [1, 2], ids=["the pod", "what is above it"])
async def test_who_is_adopted_while_it_looks_for_its_pod_stays_so(held: int) -> None:
    """G11: it has a live parent by then, and needs to know of no other."""
    medium = Medium.memory()
    store = SlowToRead(medium.make())
    async with medium.host(store) as host:
        pod = await shop(host)
        boss = await pod.ensure_node("boss")
        await boss.ask(Review())
        await pod.stop()
        if held == 1:  # the parent that the topology gives is live then
            await boss.ask(Count())
        loner = await host.manager_named("clerks").get("loner", partition="acme")
        clerk = clerk_of(host)
        store.slow = held
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(clerk.ask(Above()))
            await store.reading.wait()
            hiring = group.create_task(loner.ask(Hire(clerk.key)))
            await spin()
            store.go_on.set()

        assert hiring.result() == clerk
        assert asking.result() == ("clerks/'loner'",)
        assert the(live(host, clerk).family).above == ()


async def test_a_survivor_that_leaves_while_its_pod_wakes_comes_back() -> None:
    """G10: it hibernates by itself, which nobody has asked for, and is eager."""
    gates = {"on_start": asyncio.Event(), "on_stop": asyncio.Event()}
    gates["on_start"].set()
    waiting: list[str] = []

    class Slow(Agent):
        async def on_start(self) -> None:
            waiting.append("on_start")
            await gates["on_start"].wait()

    class Stayer(Agent):
        async def on_stop(self) -> None:
            waiting.append("on_stop")
            await gates["on_stop"].wait()

    class Firm(Pod):
        slow = eager(Slow, manager="slow")
        stayer = eager(Stayer, manager="stayers", on_parent_stop=OnParentStop.CONTINUE)

    async with Medium.memory().host() as host:
        host.manager("slow", Slow)
        stayers = host.manager("stayers", Stayer)
        firms = host.manager("firms", Firm)
        pod = await Firm.get(firms, "f", partition="acme")
        stayer = await pod.ensure_node(Firm.stayer)
        await pod.stop()
        gates["on_start"].clear()
        waiting.clear()
        async with asyncio.TaskGroup() as group:
            group.create_task(stayers.stop(stayer.key, partition="acme"))
            await eventually(lambda: waiting == ["on_stop"])
            group.create_task(Firm.get(firms, "f", partition="acme"))
            await eventually(lambda: waiting == ["on_stop", "on_start"])
            gates["on_stop"].set()
            await eventually(lambda: host.runtime.catalog.find(stayer.address) is None)
            gates["on_start"].set()

        assert (await pod.report()).failures == {}
        assert live(host, stayer).parent is live(host, pod)
