from __future__ import annotations

import asyncio

import pytest

from persistence import Address, Key, StoreUnavailable
from supervision import (
    Agent,
    AgentNotFound,
    AgentRef,
    Durability,
    Host,
    LineageRefused,
    Message,
    OnParentStop,
    ParentStopped,
    RestartPolicy,
    handler,
)
from supervision.agents.family import attach_child
from tests.persistence.doubles import FaultyStore
from tests.support import (
    Add,
    Crash,
    MakeStore,
    answer,
    eventually,
    explode,
    home_of,
    offline,
)

__all__: list[str] = []


class Spawn(Message[AgentRef["Parent"]]):
    key: Key
    on_parent_stop: OnParentStop = OnParentStop.STOP


class Adopt(Message[AgentRef["Parent"]]):
    key: Key
    on_parent_stop: OnParentStop = OnParentStop.STOP


class Kin(Message[tuple[Key, ...]]):
    """The keys of the parent and the ancestors, then of the children."""


class Up(Message[Key | None]):
    pass


class Left(Message[tuple[str, ...]]):
    pass


class Parent(Agent):
    n: int = 0
    left: tuple[str, ...] = ()

    @handler(raises=(LineageRefused,))
    async def spawn(self, message: Spawn) -> AgentRef[Agent]:
        manager = home_of(self.context.ref("parents", "any"))
        return await self.context.spawn(
            manager, message.key, on_parent_stop=message.on_parent_stop
        )

    @handler(raises=(LineageRefused, AgentNotFound))
    async def adopt(self, message: Adopt) -> AgentRef[Agent]:
        manager = home_of(self.context.ref("parents", "any"))
        return await self.context.adopt(
            manager, message.key, on_parent_stop=message.on_parent_stop
        )

    @handler
    def add(self, message: Add) -> int:
        self.n += message.n
        return self.n

    @handler
    def ensure_family(self, message: Kin) -> tuple[Key, ...]:
        return tuple(ref.key for ref in self.context.children)

    @handler
    def up(self, message: Up) -> Key | None:
        parent = self.context.parent
        ancestors = self.context.ancestors
        assert ancestors[:1] == (() if parent is None else (parent,))
        return None if parent is None else parent.key

    @handler
    def orphaned(self, message: ParentStopped) -> None:
        self.left = (*self.left, f"{message.manager}/{message.key!r}")

    @handler
    def who_left(self, message: Left) -> tuple[str, ...]:
        return self.left

    @handler
    def crash(self, message: Crash) -> None:
        explode(message.kind)


async def test_a_spawned_child_lives_in_the_partition_of_its_parent(
    host: Host,
) -> None:
    """Holds 9: no call names a partition, and none is needed."""
    parents = host.manager("parents", Parent)
    root = await parents.get("root", partition="acme")

    child = await root.ask(Spawn("child"))
    grandchild = await child.ask(Spawn("grandchild"))

    assert child.address == Address("acme", "parents", "child")
    assert await root.ask(Kin()) == ("child",)
    assert await grandchild.ask(Up()) == "child"
    assert await root.ask(Up()) is None
    assert parents.lookup("child", partition="globex") is None


async def test_absent_and_foreign_are_adopted_with_the_same_refusal(
    host: Host,
) -> None:
    """G11 and B6: type, arguments and text do not tell one from the other."""
    parents = host.manager("parents", Parent)
    root = await parents.get("root", partition="acme")
    await (await parents.get("foreign", partition="globex")).ask(Add())
    await parents.get("fresh", partition="globex")

    refusals = [
        await answer(root.ask(Adopt(key))) for key in ("foreign", "fresh", "absent")
    ]

    for key, error in zip(("foreign", "fresh", "absent"), refusals, strict=True):
        assert isinstance(error, AgentNotFound)
        assert (error.manager, error.key) == ("parents", key)
        assert str(error).replace(key, "absent") == str(refusals[-1])


async def test_what_is_stored_can_be_adopted(host: Host) -> None:
    """G11: a hibernated instance of the same partition is found."""
    parents = host.manager("parents", Parent)
    root = await parents.get("root", partition="acme")
    child = await parents.get("child", partition="acme")
    await child.ask(Add(3))
    await parents.stop("child", partition="acme")

    adopted = await root.ask(Adopt("child"))

    assert adopted == child
    assert await adopted.ask(Add(1)) == 4
    assert await root.ask(Kin()) == ("child",)


async def test_a_second_parent_and_a_circle_are_refused(host: Host) -> None:
    """G11: a family is a tree."""
    parents = host.manager("parents", Parent)
    root = await parents.get("root", partition="acme")
    other = await parents.get("other", partition="acme")
    child = await root.ask(Spawn("child"))

    second = await answer(other.ask(Spawn("child")))
    circle = await answer(child.ask(Adopt("root")))
    itself = await answer(root.ask(Spawn("root")))
    again = await root.ask(Spawn("child"))

    assert again == child
    for error, reason in (
        (second, "is its parent"),
        (circle, "is an ancestor"),
        (itself, "is an ancestor"),
    ):
        assert isinstance(error, LineageRefused)
        assert reason in str(error)


async def test_a_sleeping_ancestor_is_refused_as_a_child(host: Host) -> None:
    """G11: a circle in the store would be one in memory after the next thaw."""
    parents = host.manager("parents", Parent)
    root = await parents.get("root", partition="acme")
    middle = await root.ask(Spawn("middle"))
    leaf = await middle.ask(Spawn("leaf"))
    await parents.stop("root", partition="acme")

    errors = [await answer(leaf.ask(Adopt(key))) for key in ("middle", "root")]

    assert [type(error) for error in errors] == [LineageRefused] * 2
    assert "is an ancestor" in str(errors[0])
    assert await root.ask(Spawn("middle")) == middle


async def test_a_refused_child_is_not_published(host: Host) -> None:
    """G11: a refusal leaves nothing behind."""
    parents = host.manager("parents", Parent)
    root = await parents.get("root", partition="acme")

    await answer(root.ask(Spawn("root")))

    assert await root.ask(Kin()) == ()


async def test_children_stop_with_their_parent(host: Host) -> None:
    """Holds 10: ``STOP`` children stop first, all the way down."""
    parents = host.manager("parents", Parent, durability=Durability.HIBERNATE)
    root = await parents.get("root", partition="acme")
    child = await root.ask(Spawn("child"))
    grandchild = await child.ask(Spawn("grandchild"))
    await grandchild.ask(Add(2))

    await parents.stop("root", partition="acme")

    assert [parents.lookup(k, partition="acme") for k in ("child", "grandchild")] == [
        None,
        None,
    ]
    assert await grandchild.ask(Add(1)) == 3
    assert await grandchild.ask(Up()) == "child"


async def test_a_child_may_live_on(host: Host) -> None:
    """Holds 10: ``CONTINUE`` leaves an orphan that works."""
    parents = host.manager("parents", Parent)
    root = await parents.get("root", partition="acme")
    child = await root.ask(Spawn("child", OnParentStop.CONTINUE))

    await parents.stop("root", partition="acme")

    assert parents.lookup("child", partition="acme") == child
    assert await child.ask(Add()) == 1
    assert await child.ask(Left()) == ()
    assert await root.ask(Adopt("child")) == child


async def test_a_child_may_be_told(host: Host) -> None:
    """Holds 10: ``NOTIFY`` sends a message that names the parent."""
    parents = host.manager("parents", Parent)
    root = await parents.get("root", partition="acme")
    child = await root.ask(Spawn("child", OnParentStop.NOTIFY))

    await parents.stop("root", partition="acme")

    assert await child.ask(Left()) == ("parents/'root'",)


async def test_children_survive_the_crash_of_their_parent(host: Host) -> None:
    """Holds 7: a crash is not a stop."""
    parents = host.manager("parents", Parent)
    root = await parents.get("root", partition="acme")
    child = await root.ask(Spawn("child"))
    before = host.runtime.catalog.find(child.address)

    await answer(root.ask(Crash()))

    assert await root.ask(Kin()) == ("child",)
    assert host.runtime.catalog.find(child.address) is before


async def test_a_quarantined_parent_takes_only_its_stopping_children_along(
    host: Host,
) -> None:
    """Holds 7: quarantine of a parent is a stop for those who stop with it."""
    parents = host.manager("parents", Parent, restart=RestartPolicy(max_restarts=0))
    root = await parents.get("root", partition="acme")
    await root.ask(Spawn("goes"))
    stays = await root.ask(Spawn("stays", OnParentStop.CONTINUE))

    await answer(root.ask(Crash()))
    await eventually(lambda: parents.lookup("goes", partition="acme") is None)

    assert parents.lookup("stays", partition="acme") == stays


async def test_a_thawed_child_finds_its_parent_again(make: MakeStore) -> None:
    """G10: surviving members re-attach, inside their partition."""
    async with Host(store=make()) as host:
        parents = host.manager("parents", Parent)
        root = await parents.get("root", partition="acme")
        child = await root.ask(Spawn("child"))
        await child.ask(Add())

        await parents.stop("child", partition="acme")
        again = await parents.get("child", partition="acme")

        assert await root.ask(Kin()) == ("child",)
        assert await again.ask(Up()) == "root"

    async with Host(store=make()) as host:
        parents = host.manager("parents", Parent)
        again = await parents.get("child", partition="acme")
        assert await again.ask(Up()) == "root"
        assert parents.lookup("root", partition="acme") is None


async def test_a_child_that_was_adopted_asleep_remembers_its_parent(
    host: Host,
) -> None:
    """G10: adoption is stored, whether the child was in memory or not."""
    parents = host.manager("parents", Parent)
    root = await parents.get("root", partition="acme")
    child = await parents.get("child", partition="acme")
    await child.ask(Add())
    await parents.stop("child", partition="acme")
    await root.ask(Adopt("child"))

    await parents.stop("root", partition="acme")
    again = await parents.get("child", partition="acme")

    assert await again.ask(Up()) == "root"


async def test_an_adopted_child_remembers_its_parent(host: Host) -> None:
    """G10: who was adopted after its last save is still a child after a thaw."""
    parents = host.manager("parents", Parent)
    root = await parents.get("root", partition="acme")
    child = await parents.get("child", partition="acme")
    await child.ask(Add())
    await root.ask(Adopt("child"))

    await parents.stop("child", partition="acme")
    again = await parents.get("child", partition="acme")

    assert await again.ask(Up()) == "root"
    assert await root.ask(Kin()) == ("child",)


async def test_a_thawed_child_keeps_what_becomes_of_it(host: Host) -> None:
    """G10: a child that lives on does so after a hibernation, too."""
    parents = host.manager("parents", Parent)
    root = await parents.get("root", partition="acme")
    child = await root.ask(Spawn("child", OnParentStop.CONTINUE))
    await child.ask(Add())
    await parents.stop("child", partition="acme")
    await parents.get("child", partition="acme")

    await parents.stop("root", partition="acme")

    assert parents.lookup("child", partition="acme") is not None


async def test_a_child_that_could_not_be_saved_is_still_somebodys_child() -> None:
    """Holds 10: the stop says so, and the next life of the parent has its child."""
    store = FaultyStore()
    async with Host(store=store) as host:
        parents = host.manager("parents", Parent, durability=Durability.HIBERNATE)
        root = await parents.get("root", partition="acme")
        child = await root.ask(Spawn("child"))
        await child.ask(Add(5))
        store.fail.append(offline())

        error = await answer(parents.stop("root", partition="acme"))
        again = await parents.get("root", partition="acme")
        taken = await again.ask(Spawn("child"))

        assert isinstance(error, StoreUnavailable)
        assert await taken.ask(Add()) == 6
        assert await again.ask(Kin()) == ("child",)


def test_a_tree_never_spans_partitions() -> None:
    """G11: the rule is in the only function that makes a parent."""

    async def attempt() -> None:
        async with Host("memory://") as host:
            parents = host.manager("parents", Parent)
            ours = await parents.get("one", partition="acme")
            theirs = await parents.get("two", partition="globex")
            parent = host.runtime.catalog.find(ours.address)
            child = host.runtime.catalog.find(theirs.address)
            assert parent is not None
            assert child is not None
            with pytest.raises(LineageRefused, match="spans partitions"):
                attach_child(child, parent, OnParentStop.STOP)
            assert child.parent is None

    asyncio.run(attempt())


class Sneak(Message[None]):
    target: AgentRef[Agent]


class Sneaky(Agent):
    @handler(raises=(AgentNotFound,))
    def sneak(self, message: Sneak) -> None:
        self.context.tell(message.target, Add())


async def test_a_context_knows_only_its_own_partition(host: Host) -> None:
    """Holds 9: a foreign ref in a message is a thing that does not exist."""
    parents = host.manager("parents", Parent)
    sneaks = host.manager("sneaks", Sneaky)
    foreign = await parents.get("one", partition="globex")
    sneak = await sneaks.get("one", partition="acme")

    with pytest.raises(AgentNotFound) as caught:
        await sneak.ask(Sneak(foreign))

    assert (caught.value.manager, caught.value.key) == ("parents", "one")
    assert await foreign.ask(Add()) == 1
