from __future__ import annotations

import asyncio

import pytest

from supervision import (
    Agent,
    AgentRef,
    AskCycle,
    AskTimeout,
    DispatchPolicy,
    Durability,
    Host,
    HostPolicy,
    InstanceManager,
    MailboxFull,
    ManagerPolicy,
    Message,
    NotHandled,
    Quarantined,
    RestartPolicy,
    handler,
)
from tests.persistence.doubles import FaultyStore
from tests.support import (
    Add,
    AddLater,
    Counter,
    Crash,
    ManualClock,
    Note,
    Read,
    Tick,
    Wait,
    answer,
    eventually,
    offline,
    spin,
)

__all__: list[str] = []

SMALL = ManagerPolicy(mailbox=3)


async def test_a_full_mailbox_refuses_before_anything_changed(host: Host) -> None:
    """Holds 8: a typed error to the sender; what was accepted is handled."""
    counters = host.manager("counters", Counter, policy=SMALL)
    ref = await counters.get("one", partition="acme")
    other = await counters.get("one", partition="globex")
    wait = Wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(ref.ask(wait))
        await wait.entered.wait()
        for _ in range(3):
            await ref.tell(Add())
        refused = [await answer(ref.tell(Add())), await answer(ref.ask(Add()))]
        free = await other.ask(Add(7))
        wait.gate.set()

    assert [type(error) for error in refused] == [MailboxFull] * 2
    assert free == 7
    assert await ref.ask(Read()) == 3
    assert host.runtime.catalog.partition("acme").counters.rejected == 2
    assert host.runtime.catalog.partition("globex").counters.rejected == 0


class Flood(Message[int]):
    """Send so many marks in one turn; say how many were accepted."""

    target: AgentRef[Counter]
    log: list[str]
    many: int
    catch: bool = False


class Flooder(Agent):
    turns: int = 0

    @handler
    def flood(self, message: Flood) -> int:
        self.turns += 1
        for n in range(message.many):
            try:
                self.context.tell(message.target, Tick(message.log, str(n)))
            except MailboxFull:
                if not message.catch:
                    raise
                return n
        return message.many

    @handler
    def read(self, message: Read) -> int:
        return self.turns


async def test_an_outbox_that_overflows_its_target_raises_inside_the_handler(
    host: Host,
) -> None:
    """Holds 8 and 3: a send that was accepted arrives; the rest is refused in time."""
    counters = host.manager("counters", Counter, policy=SMALL)
    flooders = host.manager("flooders", Flooder)
    target = await counters.get("one", partition="acme")
    flooder = await flooders.get("one", partition="acme")
    log: list[str] = []

    accepted = await flooder.ask(Flood(target, log, 100, catch=True))
    await eventually(lambda: not host.statistics().queued)

    assert 3 <= accepted < 100
    assert len(log) == accepted


async def test_an_outbox_that_overflows_undoes_the_turn(host: Host) -> None:
    """Holds 3: a handler that lets the refusal through has sent nothing."""
    counters = host.manager("counters", Counter, policy=SMALL)
    flooders = host.manager("flooders", Flooder)
    target = await counters.get("one", partition="acme")
    flooder = await flooders.get("one", partition="acme")
    log: list[str] = []

    error = await answer(flooder.ask(Flood(target, log, 100)))
    await spin()

    assert isinstance(error, MailboxFull)
    assert log == []
    assert await flooder.ask(Read()) == 0


async def test_turns_that_send_at_the_same_time_share_the_room() -> None:
    """Holds 8 and 3: a send takes its place at once, so that a committed one has it."""
    store = FaultyStore()
    log: list[str] = []
    async with Host(store=store) as host:
        counters = host.manager("counters", Counter, policy=SMALL)
        flooders = host.manager("flooders", Flooder)
        target = await counters.get("one", partition="acme")
        froms = [await flooders.get(f"f{n}", partition="acme") for n in range(5)]
        store.gate.clear()
        async with asyncio.TaskGroup() as group:
            asks = [f.ask(Flood(target, log, 2, catch=True)) for f in froms]
            floods = [group.create_task(ask) for ask in asks]
            await spin()
            outside = await answer(target.tell(Add()))
            store.gate.set()
        await eventually(lambda: not host.statistics().queued)

        assert sorted(flood.result() for flood in floods) == [0, 0, 0, 1, 2]
        assert len(log) == 3
        assert isinstance(outside, MailboxFull)


@pytest.mark.parametrize("end", ["crash", "commit"])
async def test_a_turn_that_fails_gives_the_room_back(end: str) -> None:
    """Holds 3: a send that never happened takes nobody's place."""
    store = FaultyStore()
    log: list[str] = []
    async with Host(store=store) as host:
        counters = host.manager("counters", Counter, policy=SMALL)
        flooders = host.manager("flooders", Flooder)
        target = await counters.get("one", partition="acme")
        flooder = await flooders.get("one", partition="acme")
        many = 3
        if end == "crash":
            many = 4
        else:
            store.fail.append(offline())

        error = await answer(flooder.ask(Flood(target, log, many)))

        assert isinstance(error, Exception)
        assert await flooder.ask(Flood(target, log, 3)) == 3
        await eventually(lambda: len(log) == 3)
        assert log == ["0", "1", "2"]


async def test_a_send_whose_target_went_into_quarantine_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Holds 8: what a committed turn sent and nobody can take is never silent."""
    store = FaultyStore()
    log: list[str] = []
    async with Host(store=store) as host:
        policy = ManagerPolicy(restart=RestartPolicy(max_restarts=0))
        counters = host.manager("counters", Counter, policy=policy)
        flooders = host.manager("flooders", Flooder)
        target = await counters.get("one", partition="acme")
        flooder = await flooders.get("one", partition="acme")
        store.gate.clear()
        async with asyncio.TaskGroup() as group:
            flood = group.create_task(flooder.ask(Flood(target, log, 2)))
            await spin()
            await answer(target.ask(Crash()))
            refused = await answer(target.ask(Read()))
            store.gate.set()

        late = await answer(flooder.ask(Flood(target, log, 1)))

    assert flood.result() == 2
    assert isinstance(refused, Quarantined)
    assert isinstance(late, Quarantined)
    lost = [r for r in caplog.records if r.msg == "message.undelivered"]
    assert [vars(r)["podvisor.partition.id"] for r in lost] == ["acme", "acme"]
    assert log == []


async def test_an_ask_times_out_and_its_message_is_not_handled_late(
    host: Host, clock: ManualClock
) -> None:
    """Holds 8: the asker of a queued message leaves; the message goes with it."""
    counters = host.manager("counters", Counter)
    ref = await counters.get("one", partition="acme")
    wait = Wait()

    async with asyncio.TaskGroup() as group:
        running = group.create_task(answer(ref.ask(wait, timeout=5)))
        await wait.entered.wait()
        queued = group.create_task(answer(ref.ask(Add(), timeout=2)))
        await spin()
        clock.advance(2)
        await eventually(queued.done)
        early = running.done()
        clock.advance(3)
        await eventually(running.done)
        wait.gate.set()

    first, second = running.result(), queued.result()
    assert early is False
    assert isinstance(first, AskTimeout)
    assert isinstance(second, AskTimeout)
    assert (first.seconds, second.seconds) == (5, 2)
    assert await ref.ask(Read()) == 0


async def test_the_manager_says_how_long_an_ask_waits(
    host: Host, clock: ManualClock
) -> None:
    """Holds 8: there is always a limit."""
    counters = host.manager("counters", Counter, policy=ManagerPolicy(ask_timeout=1))
    ref = await counters.get("one", partition="acme")
    wait = Wait()

    async with asyncio.TaskGroup() as group:
        asked = group.create_task(answer(ref.ask(wait)))
        await wait.entered.wait()
        clock.advance(1)
        await eventually(asked.done)
        wait.gate.set()

    assert isinstance(asked.result(), AskTimeout)


async def test_a_message_without_a_handler_is_refused_with_what_there_is(
    host: Host,
) -> None:
    """Holds 8: before anything changed, with the list of what is handled."""
    counters = host.manager("counters", Counter)
    ref = await counters.get("one", partition="acme")

    asked = await answer(ref.ask(Note("x")))
    told = await answer(ref.tell(Note("x")))
    nonsense = await answer(ref.tell("text"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    for error in (asked, told):
        assert isinstance(error, NotHandled)
        assert "Counter at acme/counters" in str(error)
        assert "handles Add, AddLater, Burn" in str(error)
        assert "not Note" in str(error)
    assert "not a str" in str(nonsense)


async def test_a_message_is_handled_by_the_handler_of_its_base(host: Host) -> None:
    """Holds 8: a subclass of a message needs no handler of its own."""

    class AddTwo(Add):
        pass

    counters = host.manager("counters", Counter)
    ref = await counters.get("one", partition="acme")

    assert await ref.ask(AddTwo(2)) == 2
    await ref.tell(AddTwo(2))
    assert await ref.ask(AddTwo(2)) == 6


class Hop(Message[str]):
    """Ask the next of a path, and so on."""

    path: tuple[str, ...]


class Hopper(Agent):
    hops: int = 0

    @handler
    async def hop(self, message: Hop) -> str:
        self.hops += 1
        if not message.path:
            return "end"
        ref = self.context.ref("hoppers", message.path[0])
        assert isinstance(ref, AgentRef)
        return str(await ref.ask(Hop(message.path[1:])))


@pytest.mark.parametrize(
    "path", [("a",), ("b", "a"), ("b", "c", "b"), ("b", "c", "d", "a")]
)
async def test_a_circle_of_asks_is_refused(host: Host, path: tuple[str, ...]) -> None:
    """Holds 8: nobody waits for somebody who waits for him."""
    hoppers = host.manager("hoppers", Hopper)
    ref = await hoppers.get("a", partition="acme")

    error = await answer(ref.ask(Hop(path)))

    assert isinstance(error, AskCycle)
    assert error.address.key == path[-1]
    assert await ref.ask(Hop(())) == "end"


@pytest.mark.parametrize("durability", [Durability.TURN, Durability.NONE])
async def test_a_chain_of_asks_needs_one_seat(durability: Durability) -> None:
    """Holds 7: a turn that waits for a reply gives its seat to others."""
    policy = HostPolicy(dispatch=DispatchPolicy(seats=1, inline=0))
    async with Host("memory://", policy=policy) as host:
        hoppers = host.manager("hoppers", Hopper, durability=durability)
        ref = await hoppers.get("a", partition="acme")

        async with asyncio.TaskGroup() as group:
            both = [
                group.create_task(ref.ask(Hop(("b", "c", "d")))),
                group.create_task(_hop(hoppers, "e", ("f", "g"))),
            ]

        assert [task.result() for task in both] == ["end", "end"]
        assert host.statistics().free_seats == 1


async def _hop(
    hoppers: InstanceManager[Hopper], key: str, path: tuple[str, ...]
) -> str:
    ref = await hoppers.get(key, partition="acme")
    return await ref.ask(Hop(path))


async def test_a_parked_turn_that_is_cancelled_gives_nothing_back_twice(
    clock: ManualClock,
) -> None:
    """Holds 7: seats are neither lost nor made."""
    policy = HostPolicy(dispatch=DispatchPolicy(seats=2, inline=0))
    async with Host("memory://", policy=policy, clock=clock) as host:
        hoppers = host.manager(
            "hoppers", Asker, policy=ManagerPolicy(stop_timeout=1, mailbox=10)
        )
        counters = host.manager("counters", Counter)
        slow = await counters.get("slow", partition="acme")
        ref = await hoppers.get("a", partition="acme")
        wait = Wait()

        async with asyncio.TaskGroup() as group:
            asked = group.create_task(answer(ref.ask(AskFor("slow", wait))))
            await wait.entered.wait()
            held = host.runtime.dispatcher.statistics()
            stop = group.create_task(hoppers.stop("a", partition="acme"))
            await spin()
            clock.advance(1)
            await eventually(stop.done)
            wait.gate.set()

        assert (held.parked, held.free) == (1, 1)
        assert isinstance(asked.result(), Exception)
        assert await slow.ask(AddLater(1)) == 1
        await eventually(lambda: host.statistics().free_seats == 2)


class AskFor(Message[str]):
    key: str
    wait: Wait


class Asker(Agent):
    @handler
    async def ask_for(self, message: AskFor) -> str:
        ref = self.context.ref("counters", message.key)
        return await ref.ask(message.wait)
