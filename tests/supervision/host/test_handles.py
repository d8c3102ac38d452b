from __future__ import annotations

import copy
import pickle
import re

import pytest

from persistence import InvalidPartition, UnsupportedStore
from supervision import (
    Agent,
    AgentRef,
    DuplicateManager,
    Host,
    HostPolicy,
    InstanceManager,
    InvalidArgument,
    Message,
    NotPicklable,
    OutOfRuntime,
    PartitionMismatch,
    RequestContext,
    UnknownManager,
    handler,
)
from tests.support import Add, Counter, MakeStore, Read, Tick, answer

__all__: list[str] = []


class Who(Message[str]):
    """Ask which user the current message is for; pass the question on if told to."""

    path: tuple[str, ...] = ()


class Edge(Agent):
    users: tuple[str, ...] = ()

    async def on_start(self) -> None:
        vars(self)["kept"] = self.context.ref("edges", "last")

    @handler
    async def who(self, message: Who) -> str:
        if message.path[:1] == ("kept",):
            kept: AgentRef[Edge] = vars(self)["kept"]
            return await kept.ask(Who())
        if message.path:
            ref = self.context.ref("edges", message.path[0])
            return str(await ref.ask(Who(message.path[1:])))
        request = self.context.request
        return "" if request is None else request.user

    @handler
    def add(self, message: Add) -> int:
        request = self.context.request
        self.users = (*self.users, "" if request is None else request.user)
        self.context.tell(self.context.ref("edges", "told"), Note())
        return len(self.users)

    @handler
    def note(self, message: Note) -> None:
        request = self.context.request
        self.users = (*self.users, "" if request is None else request.user)

    @handler
    def seen(self, message: Seen) -> tuple[str, ...]:
        return self.users


class Note(Message[None]):
    pass


class Seen(Message[tuple[str, ...]]):
    pass


async def test_a_handle_reaches_exactly_one_partition(host: Host) -> None:
    """B1: each method, without and with the partition repeated."""
    counters = host.manager("counters", Counter)
    acme = host.partition("acme")
    await (await counters.get("one", partition="globex")).ask(Add(5))

    ref = await acme.get(counters, "one")
    same = await acme.get(counters, "one", partition="acme")
    await ref.ask(Add(1))

    assert (acme.id, acme.request) == ("acme", None)
    assert ref == same == acme.lookup(counters, "one")
    assert acme.lookup(counters, "two", partition="acme") is None
    assert (await acme.stats(counters, partition="acme")).live == 1
    assert await acme.keys(counters, partition="acme") == ("one",)
    assert await acme.stop(counters, "one", partition="acme") is True
    assert await ref.ask(Read()) == 1


async def test_a_handle_refuses_another_partition_in_every_method(host: Host) -> None:
    """B1: there is no override; nothing has happened when it is refused."""
    counters = host.manager("counters", Counter)
    acme = host.partition("acme")
    theirs = await counters.get("one", partition="globex")

    refused = [
        await answer(acme.get(counters, "one", partition="globex")),
        await answer(acme.stop(counters, "one", partition="globex")),
        await answer(acme.stats(counters, partition="globex")),
        await answer(acme.keys(counters, partition="globex")),
    ]
    with pytest.raises(PartitionMismatch):
        acme.lookup(counters, "one", partition="globex")

    assert [type(error) for error in refused] == [PartitionMismatch] * 4
    assert counters.lookup("one", partition="globex") == theirs
    assert host.statistics().partitions == {"globex": 1}


async def test_a_handle_takes_a_manager_and_not_its_name(host: Host) -> None:
    """B1: a name would give no type; the error says what belongs there."""
    host.manager("counters", Counter)
    acme = host.partition("acme")
    name: InstanceManager[Counter] = "counters"  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  the mistake

    for call in (acme.get(name, "one"), acme.stop(name, "one"), acme.stats(name)):
        with pytest.raises(InvalidArgument, match="not its name"):
            await call
    with pytest.raises(InvalidArgument, match="not its name"):
        acme.lookup(name, "one")


async def test_a_handle_is_made_of_a_valid_partition_only(host: Host) -> None:
    """B1: and of nothing else."""
    for bad in ("", "Acme", "a/b", "a..b"):
        with pytest.raises(InvalidPartition):
            host.partition(bad)
        with pytest.raises(InvalidPartition):
            RequestContext(partition=bad)


async def test_nothing_that_reaches_a_partition_pickles(host: Host) -> None:
    """B3: a handle is never made of bytes."""
    counters = host.manager("counters", Counter)
    ref = await counters.get("one", partition="acme")

    for thing in (ref, counters, host, host.partition("acme")):
        for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(NotPicklable):
                attempt(thing)


async def test_no_repr_names_a_partition(host: Host) -> None:
    """B7: what is printed into a prompt tells no tenant."""

    class Shown(Counter):
        @handler
        def show(self, message: Seen) -> tuple[str, ...]:
            context = self.context
            return (repr(context), repr(context.me), repr(self))

    shown = host.manager("shown", Shown)
    ref = await shown.get("one", partition="acme")
    await ref.ask(Add())

    texts = [
        repr(ref),
        str(ref),
        repr(shown),
        repr(host),
        repr(host.runtime),
        repr(host.partition("acme")),
        repr(ref.attached()),
        repr(host.runtime.registries.of("shown")),
        repr(host.runtime.dispatcher),
        repr(host.runtime.workers),
        repr(host.runtime.background),
        *(await ref.ask(Seen())),
    ]

    assert [text for text in texts if "acme" in text] == []
    assert "'one'" in repr(ref)


def test_a_request_prints_neither_its_tenant_nor_its_user() -> None:
    """B7: what is rendered into a prompt or a log names no tenant."""
    request = RequestContext(partition="acme", user="ann", project="p")

    assert not {"acme", "ann"} & set(re.findall(r"\w+", f"{request} {request!r}"))


async def test_a_request_travels_with_its_messages(host: Host) -> None:
    """A2: stamped once at the edge, passed from message to message."""
    edges = host.manager("edges", Edge)
    request = RequestContext(partition="acme", user="ann", project="p")
    handle = host.partition(request)
    ref = await handle.get(edges, "first")
    found = handle.lookup(edges, "first")
    assert found is not None
    plain = await edges.get("first", partition="acme")

    assert handle.request is request
    assert await ref.ask(Who()) == "ann"
    assert await found.ask(Who(("second", "third"))) == "ann"
    assert await plain.ask(Who()) == ""


async def test_a_request_travels_with_what_a_turn_sends(host: Host) -> None:
    """A2: a tell of a handler carries the request of the message that it handles."""
    edges = host.manager("edges", Edge)
    ann = host.partition(RequestContext(partition="acme", user="ann"))
    ref = await ann.get(edges, "first")
    plain = await edges.get("first", partition="acme")

    await ref.ask(Add())
    await plain.ask(Add())

    told = await edges.get("told", partition="acme")
    assert await ref.ask(Seen()) == ("ann", "")
    assert await told.ask(Seen()) == ("ann", "")


async def test_a_kept_ref_carries_the_request_of_the_turn_that_uses_it(
    host: Host,
) -> None:
    """A2: a ref that an agent keeps never speaks for the user of an older turn."""
    edges = host.manager("edges", Edge)
    seen: list[str] = []
    for user in ("ann", "bob"):
        handle = host.partition(RequestContext(partition="acme", user=user))
        ref = await handle.get(edges, "first")
        seen.append(await ref.ask(Who(("kept",))))

    assert seen == ["ann", "bob"]


def test_an_agent_made_by_hand_has_no_context() -> None:
    """Holds 11: nothing is found in the air."""
    counter = Counter(n=3)

    with pytest.raises(OutOfRuntime):
        _ = counter.context
    with pytest.raises(OutOfRuntime):
        counter.__ref__()


async def test_a_stopped_agent_has_no_context(host: Host) -> None:
    """Holds 2: an object that was kept beyond its life can do nothing."""
    kept: list[Agent] = []

    class Kept(Counter):
        async def on_start(self) -> None:
            kept.append(self)
            assert self.__ref__() == self.context.me

    manager = host.manager("kept", Kept)
    await manager.get("one", partition="acme")
    await manager.stop("one", partition="acme")

    with pytest.raises(OutOfRuntime):
        _ = kept[0].context


async def test_hooks_send_with_their_turn(host: Host) -> None:
    """Holds 3: what a start hook sends leaves when the hook has succeeded."""
    fails = [True]
    log: list[str] = []

    class Starter(Counter):
        async def on_start(self) -> None:
            target = self.context.ref("counters", "target")
            self.context.tell(target, Tick(log, "context"))
            await target.tell(Tick(log, "ref"))
            if fails:
                fails.pop()
                raise RuntimeError

    counters = host.manager("counters", Counter)
    starters = host.manager("starters", Starter)
    target = await counters.get("target", partition="acme")

    await answer(starters.get("one", partition="acme"))
    await starters.get("one", partition="acme")
    await target.ask(Read())

    assert log == ["context", "ref"]


async def test_managers_are_found_by_name_and_declared_once(host: Host) -> None:
    """G1: per host; the errors say what there is."""
    counters = host.manager("counters", Counter)

    assert host.manager_named("counters") is counters
    with pytest.raises(DuplicateManager, match="Counter"):
        host.manager("counters", Counter)
    with pytest.raises(UnknownManager, match="counters"):
        host.manager_named("other")
    assert repr(host) == "<Host counters, 0 live>"


async def test_a_host_runs_without_a_policy(make: MakeStore) -> None:
    """A7: with no policy given, everything that is asked for is executed."""
    async with Host(store=make()) as bare, Host("memory://", policy=HostPolicy()) as b:
        for host in (bare, b):
            counters = host.manager("counters", Counter)
            for n in range(200):
                ref = await counters.get("one", partition=f"p{n}")
                assert await ref.ask(Add()) == 1
            assert host.statistics().live == 200

    with pytest.raises(UnsupportedStore):
        Host("nonsense")
