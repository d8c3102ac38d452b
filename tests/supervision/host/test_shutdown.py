from __future__ import annotations

import asyncio

import attrs
import pytest

from persistence import Address, MemoryStore
from supervision import (
    Durability,
    Host,
    HostClosed,
    HostPolicy,
    ShutdownIncomplete,
)
from tests.persistence.doubles import FaultyStore
from tests.support import (
    Add,
    AddLater,
    Counter,
    MakeStore,
    Read,
    Stubborn,
    Wait,
    answer,
    eventually,
    offline,
    spin,
)

__all__: list[str] = []

BRIEF = HostPolicy(shutdown_timeout=0.05, shutdown_grace=0.01)


@pytest.mark.parametrize("durability", [d for d in Durability if d.value != "none"])
async def test_shutdown_hibernates_everything(
    make: MakeStore, durability: Durability
) -> None:
    """Holds 10: whatever the durability, nothing is lost by an orderly shutdown."""
    async with Host(store=make()) as host:
        counters = host.manager("counters", Counter, durability=durability)
        for partition in ("acme", "globex"):
            for n in range(1, 6):
                ref = await counters.get(f"k{n}", partition=partition)
                await ref.ask(Add(n))
        report = await host.stop()

    async with Host(store=make()) as host:
        counters = host.manager("counters", Counter, durability=durability)
        found = [
            await (await counters.get(f"k{n}", partition=partition)).ask(Read())
            for partition in ("acme", "globex")
            for n in range(1, 6)
        ]

    assert (report.hibernated, report.clean) == (10, True)
    assert found == [1, 2, 3, 4, 5] * 2


async def test_shutdown_handles_the_mail_that_waits(make: MakeStore) -> None:
    """Holds 10: what was accepted before the shutdown is handled."""
    async with Host(store=make()) as host:
        counters = host.manager("counters", Counter)
        ref = await counters.get("one", partition="acme")
        for _ in range(50):
            await ref.tell(AddLater())

    async with Host(store=make()) as host:
        counters = host.manager("counters", Counter)
        assert await (await counters.get("one", partition="acme")).ask(Read()) == 50


async def test_shutdown_handles_the_mail_of_what_is_just_leaving(
    make: MakeStore,
) -> None:
    """Holds 10: likewise; its successor would be refused."""
    hooked = Hooked()

    class Slow(Counter):
        async def on_stop(self) -> None:
            await hooked.endure()

    async with Host(store=make()) as host, asyncio.TaskGroup() as group:
        slow = host.manager("slow", Slow)
        ref = await slow.get("one", partition="acme")
        leaving = group.create_task(slow.stop("one", partition="acme"))
        await hooked.entered.wait()
        await ref.tell(Add())
        await ref.tell(AddLater())
        stop = group.create_task(host.stop())
        await eventually(lambda: host.runtime.state.closing)
        hooked.gate.set()

    assert leaving.result()
    assert stop.result().clean
    async with Host(store=make()) as again:
        counters = again.manager("slow", Counter)
        assert await (await counters.get("one", partition="acme")).ask(Read()) == 2


async def test_memory_only_instances_just_go(make: MakeStore) -> None:
    """Holds 10: ``Durability.NONE`` has nothing to save and leaves no row."""
    async with Host(store=make()) as host:
        counters = host.manager("counters", Counter, durability=Durability.NONE)
        await (await counters.get("one", partition="acme")).ask(Add(1))

    async with Host(store=make()) as host:
        counters = host.manager("counters", Counter)
        assert await counters.keys(partition="acme") == ()


async def test_shutdown_names_what_it_could_not_save() -> None:
    """Holds 10: by address; a failed hibernation never answers ok."""
    store = FaultyStore()
    host = Host(store=store, policy=BRIEF)
    async with host:
        counters = host.manager("counters", Counter, durability=Durability.HIBERNATE)
        ref = await counters.get("bad", partition="acme")
        await ref.ask(Add(1))
        good = await counters.get("good", partition="globex")
        await good.ask(Add(2))
        bad = ref.address
        store.chokes_on = lambda unit: bad.partition == getattr(unit, "partition", "")

        report = await host.stop()

    assert [address for address, _ in report.unsaved] == [bad]
    assert report.stuck == ()
    assert report.hibernated == 1


async def test_leaving_the_block_raises_what_was_left_undone() -> None:
    """Holds 10: an ``async with`` that ends without an error has saved everything."""
    store = FaultyStore()
    with pytest.raises(ShutdownIncomplete, match='acme/counters/"one"'):
        async with Host(store=store, policy=BRIEF) as host:
            await _one_unsaved(host, store)


async def test_an_error_of_the_block_is_not_hidden_by_the_shutdown() -> None:
    """Holds 10: the block's own error stays, with a note of what was left."""
    store = FaultyStore()
    with pytest.raises(KeyError) as caught:  # noqa: PT012  the block is the subject
        async with Host(store=store, policy=BRIEF) as host:
            await _one_unsaved(host, store)
            raise KeyError("mine")

    assert "not saved" in caught.value.__notes__[0]


async def _one_unsaved(host: Host, store: FaultyStore) -> None:
    counters = host.manager("counters", Counter, durability=Durability.HIBERNATE)
    await (await counters.get("one", partition="acme")).ask(Add(1))
    store.fail.extend(offline() for _ in range(100))


async def test_shutdown_ends_at_its_deadline_and_names_the_handler() -> None:
    """Holds 10: a handler that swallows cancellation holds up nobody else."""
    stubborn = Stubborn()
    host = Host(store=MemoryStore(), policy=BRIEF)
    async with asyncio.TaskGroup() as group:
        async with host:
            counters = host.manager(
                "counters", Counter, durability=Durability.HIBERNATE
            )
            bad = await counters.get("bad", partition="acme")
            good = await counters.get("good", partition="acme")
            await good.ask(Add(1))
            asked = group.create_task(answer(bad.ask(stubborn)))
            await stubborn.entered.wait()

            report = await host.stop()

        stubborn.gate.set()
    assert report.stuck == ((bad.address, "Counter.endure"),)
    assert report.hibernated == 1
    assert not report.clean
    assert asked.done()


@attrs.define
class Hooked:
    entered: asyncio.Event = attrs.field(factory=asyncio.Event)
    gate: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def endure(self) -> None:
        self.entered.set()
        while not self.gate.is_set():
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                continue


@pytest.mark.parametrize("hook", ["on_start", "on_stop"])
async def test_shutdown_names_a_hook_that_does_not_end(hook: str) -> None:
    """Holds 10: a hook that swallows cancellation is named like a handler."""
    hooked = Hooked()

    class Bad(Counter):
        async def on_start(self) -> None:
            if hook == "on_start":
                await hooked.endure()

        async def on_stop(self) -> None:
            if hook == "on_stop":
                await hooked.endure()

    host = Host(store=MemoryStore(), policy=BRIEF)
    async with asyncio.TaskGroup() as group:
        async with host:
            bads = host.manager("bads", Bad)
            get = group.create_task(answer(bads.get("one", partition="acme")))
            if hook == "on_stop":
                await eventually(get.done)
            else:
                await hooked.entered.wait()

            report = await host.stop()

        hooked.gate.set()
    assert report.stuck == ((Address("acme", "bads", "one"), hook),)


async def test_shutdown_cancels_what_is_too_slow() -> None:
    """Holds 10: a handler that lets cancellation through is undone and saved."""
    store = MemoryStore()
    wait = Wait()
    async with (
        asyncio.TaskGroup() as group,
        Host(store=store, policy=BRIEF) as host,
    ):
        counters = host.manager("counters", Counter)
        ref = await counters.get("one", partition="acme")
        await ref.ask(Add(8))
        asked = group.create_task(answer(ref.ask(wait)))
        await wait.entered.wait()

    async with Host(store=store) as host:
        counters = host.manager("counters", Counter)
        assert await (await counters.get("one", partition="acme")).ask(Read()) == 8
    assert isinstance(asked.result(), Exception)


async def test_a_closed_host_refuses_everything(make: MakeStore) -> None:
    """Holds 10: after the shutdown every call says that the host is closed."""
    host = Host(store=make())
    counters = host.manager("counters", Counter)
    early = await answer(counters.get("one", partition="acme"))
    async with host:
        ref = await counters.get("one", partition="acme")

    refused = [
        early,
        await answer(counters.get("one", partition="acme")),
        await answer(ref.ask(Read())),
        await answer(ref.tell(Add())),
        await answer(counters.stats(partition="acme")),
        await answer(counters.keys(partition="acme")),
        await answer(counters.release("x", partition="acme", actor="a", reason="b")),
        await answer(host.partitions()),
        await answer(host.__aenter__()),
    ]

    assert [type(error) for error in refused] == [HostClosed] * len(refused)
    assert counters.lookup("one", partition="acme") is None
    assert await counters.stop("one", partition="acme") is False
    assert (await host.stop()).hibernated == 0


async def test_mail_that_comes_during_the_shutdown_is_answered() -> None:
    """Holds 10: nobody waits for ever for a host that is closing."""
    hooked = Hooked()

    class Slow(Counter):
        async def on_stop(self) -> None:
            await hooked.endure()

    async with asyncio.TaskGroup() as group, Host(store=MemoryStore()) as host:
        slow = host.manager("slow", Slow)
        ref = await slow.get("one", partition="acme")
        stop = group.create_task(host.stop())
        await hooked.entered.wait()
        late = group.create_task(answer(ref.ask(Add())))
        waiting = group.create_task(answer(slow.get("one", partition="acme")))
        fresh = await answer(slow.get("two", partition="acme"))
        await spin()
        hooked.gate.set()
        await stop

    answers = [late.result(), waiting.result(), fresh]
    assert [type(error) for error in answers] == [HostClosed] * 3


async def test_two_hosts_share_nothing(make: MakeStore) -> None:
    """G1: same names, other agents; stopping one leaves the other live."""
    first = Host(store=make())
    second = Host(store=MemoryStore())
    async with second:
        async with first:
            ours = first.manager("counters", Counter)
            theirs = second.manager("counters", Counter)
            mine = await ours.get("one", partition="acme")
            await mine.ask(Add(1))
            yours = await theirs.get("one", partition="acme")
            parts = [
                (getattr(first.runtime, name), getattr(second.runtime, name))
                for name in vars(first.runtime)
                if name not in {"open", "policy"}
            ]

        assert await yours.ask(Add(5)) == 5
        assert first.statistics().live == 0
        assert second.statistics().partitions == {"acme": 1}
    assert not [pair for pair in parts if pair[0] is pair[1] and _owned(pair[0])]


def _owned(part: object) -> bool:
    return part is not None and not isinstance(part, frozenset | tuple | str | int)
