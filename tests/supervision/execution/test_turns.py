from __future__ import annotations

import asyncio

import attrs
import pytest

from persistence import (
    Save,
    StaleOwner,
    StaleRevision,
    StoreUnavailable,
    Unit,
    UnstorableState,
)
from supervision import (
    Agent,
    AgentCrashed,
    AgentRef,
    Durability,
    Host,
    Message,
    handler,
)
from tests.persistence.doubles import FaultyStore
from tests.support import (
    KINDS,
    Add,
    AddLater,
    Burn,
    Counter,
    Crash,
    CrashLater,
    Declined,
    Journal,
    Note,
    NoteLater,
    Odd,
    Read,
    ReadAll,
    Tick,
    Wait,
    answer,
    eventually,
    explode,
    offline,
    spin,
)

__all__: list[str] = []


class Relay(Message[int]):
    """Count, send one mark to another, then perhaps fail."""

    target: AgentRef[Counter]
    tick: Tick
    then: str = ""


class RelayLater(Message[int]):
    target: AgentRef[Counter]
    tick: Tick
    then: str = ""


class Courier(Agent):
    sent: int = 0

    @handler
    def relay(self, message: Relay) -> int:
        self.sent += 1
        self.context.tell(message.target, message.tick)
        if message.then:
            explode(message.then)
        return self.sent

    @handler
    async def relay_later(self, message: RelayLater) -> int:
        self.sent += 1
        self.context.tell(message.target, message.tick)
        await asyncio.sleep(0)
        if message.then:
            explode(message.then)
        return self.sent

    @handler
    def read(self, message: Read) -> int:
        return self.sent


class Spoil(Message[None]):
    """Put a value into a field that the field is not declared for."""


class Spoiled(Agent):
    n: int = 0
    names: list[str] = attrs.field(factory=list[str])

    @handler
    def spoil(self, message: Spoil) -> None:
        vars(self)["n"] = "text"

    @handler
    def read(self, message: Read) -> int:
        return self.n


class SimplySpoiled(Agent):
    n: int = 0

    @handler
    def spoil(self, message: Spoil) -> None:
        vars(self)["n"] = "text"

    @handler
    def read(self, message: Read) -> int:
        return self.n


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("message", [Crash, CrashLater])
async def test_a_crash_puts_simple_fields_back(
    host: Host, message: type[Crash | CrashLater], kind: str
) -> None:
    """Holds 3: whatever ends a handler, the state is what the last turn left."""
    counters = host.manager("counters", Counter)
    ref = await counters.get("one", partition="acme")
    await ref.ask(Add(3))

    error = await answer(ref.ask(message(kind)))

    assert isinstance(error, BaseException)
    assert await ref.ask(Read()) == 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("message", [Note, NoteLater])
async def test_a_crash_puts_mutable_fields_back(
    host: Host, message: type[Note | NoteLater], kind: str
) -> None:
    """Holds 3: what a handler appended in place is gone with the message."""
    journals = host.manager("journals", Journal)
    ref = await journals.get("one", partition="acme")
    await ref.ask(Note("kept"))

    error = await answer(ref.ask(message("lost", kind)))

    assert isinstance(error, BaseException)
    assert await ref.ask(ReadAll()) == ("kept",)


@pytest.mark.parametrize("relay", [Relay, RelayLater])
async def test_nothing_is_sent_when_the_handler_raises(
    host: Host, relay: type[Relay | RelayLater]
) -> None:
    """Holds 3: outgoing messages take effect with the turn or not at all."""
    couriers = host.manager("couriers", Courier)
    counters = host.manager("counters", Counter)
    courier = await couriers.get("one", partition="acme")
    target = await counters.get("target", partition="acme")
    log: list[str] = []

    failed = await answer(courier.ask(relay(target, Tick(log, "lost"), "exception")))
    sent = await courier.ask(relay(target, Tick(log, "kept")))
    await target.ask(Read())

    assert isinstance(failed, RuntimeError)
    assert sent == 1
    assert log == ["kept"]


async def test_the_asker_gets_the_original_error_with_a_note(host: Host) -> None:
    """Holds 3: an error says where it was raised, and stays what it was."""
    counters = host.manager("counters", Counter)
    ref = await counters.get("one", partition="acme")

    with pytest.raises(RuntimeError, match="exception") as caught:
        await ref.ask(CrashLater())

    assert type(caught.value) is RuntimeError
    assert "Counter.crash_later" in caught.value.__notes__[0]


@pytest.mark.parametrize("message", [Crash, CrashLater])
async def test_what_is_no_exception_reaches_the_asker_as_one(
    host: Host, message: type[Crash | CrashLater]
) -> None:
    """Holds 7: a SystemExit of one tenant's handler ends nobody's program."""
    counters = host.manager("counters", Counter)
    ref = await counters.get("one", partition="acme")

    with pytest.raises(AgentCrashed, match="SystemExit: system-exit") as caught:
        await ref.ask(message("system-exit"))

    assert caught.value.address == ref.address
    assert isinstance(await answer(ref.ask(message("base-exception"))), AgentCrashed)
    assert issubclass(Odd, BaseException)


async def test_a_declared_error_answers_and_is_no_crash(host: Host) -> None:
    """Holds 3: ``raises=`` undoes the message and leaves the agent object."""
    counters = host.manager("counters", Counter)
    ref = await counters.get("one", partition="acme")
    await ref.ask(Add(2))
    numbers = host.runtime.catalog.partition("acme").counters

    with pytest.raises(Declined):
        await ref.ask(Burn())

    assert await ref.ask(Read()) == 2
    assert (numbers.crashes, numbers.failed) == (0, 1)


@pytest.mark.parametrize("kind", [Spoiled, SimplySpoiled])
async def test_a_state_that_cannot_be_stored_is_undone(
    host: Host, kind: type[Spoiled | SimplySpoiled]
) -> None:
    """Holds 3: a field that is not of its declared type never leaves the turn."""
    manager = host.manager("spoiled", kind)
    ref = await manager.get("one", partition="acme")

    with pytest.raises(UnstorableState):
        await ref.ask(Spoil())

    assert await ref.ask(Read()) == 0
    assert host.runtime.catalog.partition("acme").counters.crashes == 0


async def test_a_failing_message_does_not_undo_its_neighbours(host: Host) -> None:
    """Holds 3: in a batch, only the message that failed is undone."""
    counters = host.manager("counters", Counter)
    ref = await counters.get("one", partition="acme")
    wait = Wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(ref.ask(wait))
        await wait.entered.wait()
        first = group.create_task(ref.ask(Add(1)))
        burnt = group.create_task(answer(ref.ask(Burn())))
        crash = group.create_task(answer(ref.ask(Crash())))
        second = group.create_task(ref.ask(AddLater(10)))
        await spin()
        wait.gate.set()

    assert first.result() == 1
    assert isinstance(burnt.result(), Declined)
    assert isinstance(crash.result(), RuntimeError)
    assert second.result() == 11


async def test_a_batch_shares_one_commit() -> None:
    """Holds 3: the messages of one turn are one unit for the store."""
    store = FaultyStore()
    async with Host(store=store) as host:
        counters = host.manager("counters", Counter)
        ref = await counters.get("one", partition="acme")
        wait = Wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(ref.ask(wait))
            await wait.entered.wait()
            for _ in range(5):
                await ref.tell(Add())
            wait.gate.set()

        assert await ref.ask(Read()) == 5
        assert [len(batch) for batch in store.batches] == [1]


@pytest.mark.parametrize("durability", list(Durability))
async def test_a_turn_that_changed_nothing_writes_nothing(
    durability: Durability,
) -> None:
    """Holds 3: reading costs no commit, whatever the durability."""
    store = FaultyStore()
    async with Host(store=store) as host:
        counters = host.manager("counters", Counter, durability=durability)
        journals = host.manager("journals", Journal, durability=durability)
        counter = await counters.get("one", partition="acme")
        journal = await journals.get("one", partition="acme")

        for _ in range(3):
            await counter.ask(Read())
            await counter.ask(AddLater(0))
            await journal.ask(ReadAll())

        assert store.batches == []


@pytest.mark.parametrize("message", [Add, AddLater])
async def test_reply_and_sends_leave_after_the_commit(
    message: type[Add | AddLater],
) -> None:
    """Holds 3 and 4: what an answer says is stored before anybody hears it."""
    store = FaultyStore()
    async with Host(store=store) as host:
        couriers = host.manager("couriers", Courier)
        counters = host.manager("counters", Counter)
        courier = await couriers.get("one", partition="acme")
        target = await counters.get("target", partition="acme")
        log: list[str] = []
        store.gate.clear()

        async with asyncio.TaskGroup() as group:
            reply = group.create_task(target.ask(message(4)))
            sent = group.create_task(courier.ask(RelayLater(target, Tick(log, "x"))))
            await eventually(lambda: store.batches)
            await spin()
            early = (reply.done(), sent.done(), list(log))
            store.gate.set()

        assert early == (False, False, [])
        assert reply.result() == 4
        await target.ask(Read())
        assert log == ["x"]


@pytest.mark.parametrize("message", [Add, AddLater])
async def test_a_failed_commit_reaches_the_asker_and_is_undone(
    message: type[Add | AddLater],
) -> None:
    """Holds 3: state, reply and sends of an unsaved turn never happened."""
    store = FaultyStore()
    async with Host(store=store) as host:
        counters = host.manager("counters", Counter)
        ref = await counters.get("one", partition="acme")
        other = await counters.get("one", partition="globex")
        await ref.ask(Add(1))
        await other.ask(Add(5))
        store.fail.append(offline())

        with pytest.raises(StoreUnavailable):
            await ref.ask(message(10))

        assert await ref.ask(Read()) == 1
        assert await ref.ask(message(2)) == 3
        assert await other.ask(Read()) == 5
        assert host.runtime.catalog.partition("acme").counters.crashes == 0


async def test_the_sends_of_an_unsaved_turn_never_leave() -> None:
    """Holds 3: a send belongs to the commit of its turn."""
    store = FaultyStore()
    async with Host(store=store) as host:
        couriers = host.manager("couriers", Courier)
        counters = host.manager("counters", Counter)
        courier = await couriers.get("one", partition="acme")
        target = await counters.get("target", partition="acme")
        log: list[str] = []
        store.fail.append(offline())

        with pytest.raises(StoreUnavailable):
            await courier.ask(Relay(target, Tick(log, "lost")))

        await spin()
        assert log == []
        assert await courier.ask(Read()) == 0


async def test_a_stale_save_drops_the_instance_and_get_thaws_afresh() -> None:
    """Holds 5: a fenced writer loses its copy, never the newer row."""
    store = FaultyStore()
    async with Host(store=store) as host:
        counters = host.manager("counters", Counter)
        ref = await counters.get("one", partition="acme")
        await ref.ask(Add(1))
        await store.apply(_newer(store, rev=2, n=40))

        with pytest.raises(StaleRevision):
            await ref.ask(Add(1))

        assert counters.lookup("one", partition="acme") is None
        again = await counters.get("one", partition="acme")
        assert await again.ask(Add(2)) == 42
        assert await ref.ask(Read()) == 42


async def test_a_host_that_lost_a_partition_saves_nothing_more() -> None:
    """Holds 5: the owner epoch fences a whole partition, and only that one."""
    store = FaultyStore()
    async with Host(store=store) as host:
        counters = host.manager("counters", Counter)
        ref = await counters.get("one", partition="acme")
        other = await counters.get("one", partition="globex")
        await ref.ask(Add(1))
        await store.claim(["acme"])

        with pytest.raises(StaleOwner):
            await ref.ask(Add(1))

        with pytest.raises(StaleOwner):
            await counters.get("two", partition="acme")
        with pytest.raises(StaleOwner):
            await counters.release("x", partition="acme", actor="a", reason="r")
        assert await other.ask(Add(1)) == 1


def _newer(store: FaultyStore, *, rev: int, n: int) -> list[Unit]:
    """Make what somebody else saves meanwhile, under the same epoch."""
    (last,) = [u for batch in store.batches for u in batch][-1:]
    (save,) = last.operations
    assert isinstance(save, Save)
    record = save.record._replace(rev=rev, body=b'{"n":%d}' % n)
    return [Unit(last.partition, last.epoch, (Save(record),))]
