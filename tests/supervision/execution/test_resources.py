"""What handlers need besides a seat: waited for without one, shared by partition."""

from __future__ import annotations

import asyncio
import random

import pytest

from persistence import InvalidName
from supervision import (
    Agent,
    Cause,
    DispatchPolicy,
    Durability,
    HandlerError,
    Host,
    HostPolicy,
    InstanceManager,
    ManagerPolicy,
    Message,
    Priority,
    ResourceNumbers,
    UnknownResource,
    handler,
)
from tests.support import ManualClock, Tick, answer, eventually, spin

__all__: list[str] = []


class Scan(Message[str]):
    """Use the scanner until the gate opens."""

    log: list[str]
    mark: str
    gate: asyncio.Event


class Glance(Message[str]):
    """Use the scanner for a moment, without a wait."""

    log: list[str]
    mark: str


class Jam(Message[None]):
    """Use the scanner and break."""


class ScanParked(Message[str]):
    gate: asyncio.Event


class Clerk(Agent):
    @handler(needs="scanner")
    async def scan(self, message: Scan) -> str:
        message.log.append(message.mark)
        await message.gate.wait()
        return message.mark

    @handler(needs="scanner")
    def glance(self, message: Glance) -> str:
        message.log.append(message.mark)
        return message.mark

    @handler(needs="scanner")
    async def jam(self, message: Jam) -> None:
        raise ValueError("paper")

    @handler(needs="scanner")
    async def scan_parked(self, message: ScanParked) -> str:
        async with self.context.parked():
            await message.gate.wait()
        return "scanned"

    @handler
    def tick(self, message: Tick) -> None:
        message.log.append(message.mark)


def _host(
    *, scanners: int = 1, seats: int = 8, clock: ManualClock | None = None
) -> Host:
    dispatch = DispatchPolicy(seats=seats, resources={"scanner": scanners})
    return Host("memory://", policy=HostPolicy(dispatch=dispatch), clock=clock)


def _clerks(host: Host) -> InstanceManager[Clerk]:
    return host.manager("clerks", Clerk, durability=Durability.NONE)


def _scanner(host: Host) -> ResourceNumbers:
    (found,) = host.health().resources
    return found


async def test_a_turn_waits_for_a_resource_without_a_seat() -> None:
    """O3, rule 8: the seats are for those who can use them."""
    log: list[str] = []
    gate = asyncio.Event()
    async with _host(seats=2) as host:
        clerks = _clerks(host)
        first = await clerks.get("first", partition="acme")
        second = await clerks.get("second", partition="acme")
        other = await clerks.get("other", partition="globex")
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(ref.ask(Scan(log, name, gate)))
                for name, ref in (("first", first), ("second", second))
            ]
            await eventually(lambda: log and _scanner(host).waiting == 1)
            free = host.statistics().free_seats
            numbers = _scanner(host)
            await other.ask(Tick(log, "globex"))
            gate.set()

        assert free == 1
        assert (numbers.units, numbers.free, numbers.waiting) == (1, 0, 1)
        assert log == ["first", "globex", "second"]
        assert [task.result() for task in asked] == ["first", "second"]
        await eventually(lambda: _scanner(host).free == 1)


async def test_who_waits_for_a_resource_is_served_in_fair_order() -> None:
    """O3, rule 8: a flood waits for the others, not they for the flood."""
    log: list[str] = []
    gate = asyncio.Event()
    async with _host() as host:
        clerks = _clerks(host)
        for n in range(10):
            ref = await clerks.get(f"k{n}", partition="flood")
            await ref.tell(Scan(log, f"flood {n}", gate))
        await eventually(lambda: len(log) == 1)
        for name in ("acme", "globex"):
            ref = await clerks.get("one", partition=name)
            await ref.tell(Scan(log, name, gate))
        await spin()
        gate.set()
        await eventually(lambda: len(log) == 12)

    assert {"acme", "globex"} <= set(log[1:4])


async def test_the_mail_behind_one_that_waits_for_a_resource_waits_too() -> None:
    """Rule 8: its partition keeps its order; what is urgent, and others, go on."""
    log: list[str] = []
    gate = asyncio.Event()
    async with _host() as host:
        clerks = _clerks(host)
        holder = await clerks.get("holder", partition="globex")
        await holder.tell(Scan(log, "globex scans", gate))
        await spin()
        refs = [await clerks.get(f"k{n}", partition="acme") for n in range(3)]
        await refs[0].tell(Scan(log, "acme scans", gate))
        await refs[1].tell(Tick(log, "behind"))
        await refs[2].tell(Tick(log, "urgent"), priority=Priority.URGENT)
        await spin()
        before = list(log)
        gate.set()
        await eventually(lambda: len(log) == 4)

    assert before == ["globex scans", "urgent"]
    assert set(log[2:]) == {"acme scans", "behind"}


async def test_a_turn_takes_no_message_that_needs_something_else() -> None:
    """O3: what a turn has is what its handler asked for; the order is kept."""
    log: list[str] = []
    free: list[tuple[str, int]] = []

    class Look(Message[None]):
        mark: str

    class Watcher(Clerk):
        @handler
        def look(self, message: Look) -> None:
            free.append((message.mark, _scanner(host).free))

        @handler(needs="scanner")
        def glance(self, message: Glance) -> str:
            free.append((message.mark, _scanner(host).free))
            return message.mark

    async with _host() as host:
        watchers = host.manager("watchers", Watcher, durability=Durability.NONE)
        ref = await watchers.get("one", partition="acme")
        await ref.tell(Look("1"))
        await ref.tell(Glance(log, "2"))
        await ref.tell(Glance(log, "3"))
        await ref.tell(Look("4"))
        await ref.tell(Glance(log, "5"))
        await eventually(lambda: len(free) == 5)

    assert free == [("1", 1), ("2", 0), ("3", 0), ("4", 1), ("5", 0)]


async def test_a_resource_that_is_taken_keeps_an_ask_from_running_at_once() -> None:
    """O3: neither in the caller's step, nor in the pump."""
    log: list[str] = []
    gate = asyncio.Event()
    async with _host() as host:
        clerks = _clerks(host)
        holder = await clerks.get("holder", partition="globex")
        asker = await clerks.get("asker", partition="acme")
        await holder.tell(Scan(log, "held", gate))
        await spin()
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(asker.ask(Glance(log, "asked")))
            await spin()
            before = list(log)
            gate.set()

    assert before == ["held"]
    assert asked.result() == "asked"


async def test_a_turn_that_breaks_gives_its_resource_back() -> None:
    """Holds 7: a crash, and an asker that leaves, cost nobody a scanner."""
    log: list[str] = []
    gate = asyncio.Event()
    async with _host() as host:
        clerks = _clerks(host)
        ref = await clerks.get("one", partition="acme")

        broken = await answer(ref.ask(Jam()))
        await eventually(lambda: _scanner(host).free == 1)
        late = await answer(ref.ask(Scan(log, "late", gate), timeout=0.001))
        gate.set()
        await eventually(lambda: _scanner(host).free == 1)
        after = await ref.ask(Glance(log, "after"))

    assert isinstance(broken, ValueError)
    assert isinstance(late, TimeoutError)
    assert after == "after"


async def test_a_cancelled_turn_gives_its_resource_back(clock: ManualClock) -> None:
    """Holds 8: a stop that runs out of time cancels the handler, and frees the unit."""
    log: list[str] = []
    async with _host(clock=clock) as host:
        policy = ManagerPolicy(durability=Durability.NONE, stop_timeout=1.0)
        clerks = host.manager("clerks", Clerk, policy=policy)
        ref = await clerks.get("one", partition="acme")
        await ref.tell(Scan(log, "for ever", asyncio.Event()))
        await eventually(lambda: log)
        async with asyncio.TaskGroup() as group:
            group.create_task(clerks.stop("one", partition="acme"))
            await spin()
            clock.advance(1.5)

        await eventually(lambda: _scanner(host).free == 1)
        again = await clerks.get("two", partition="globex")
        assert await again.ask(Glance(log, "next")) == "next"


async def test_a_parked_turn_keeps_its_resource() -> None:
    """Rule 8, O8: what it waits for outside may be the very thing it has."""
    log: list[str] = []
    gate = asyncio.Event()
    async with _host(seats=1) as host:
        clerks = _clerks(host)
        parked = await clerks.get("parked", partition="acme")
        other = await clerks.get("other", partition="globex")
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(parked.ask(ScanParked(gate)))
            await eventually(lambda: _scanner(host).free == 0)
            await spin()
            free = host.statistics().free_seats
            wanted = group.create_task(other.ask(Glance(log, "other")))
            await spin()
            before = list(log)
            gate.set()

    assert (free, before) == (1, [])
    assert (asked.result(), wanted.result()) == ("scanned", "other")


async def test_waiting_for_a_resource_is_told_apart(clock: ManualClock) -> None:
    """O12, P7: neither the seats nor the own cap; the report says what it is."""
    log: list[str] = []
    gate = asyncio.Event()
    async with _host(clock=clock) as host:
        clerks = _clerks(host)
        for name in ("globex", "acme"):
            ref = await clerks.get("one", partition=name)
            await ref.tell(Scan(log, name, gate))
            await spin()
        clock.advance(30.0)

        numbers = host.runtime.dispatcher.numbers("acme")
        report = host.health()
        gate.set()

    assert numbers is not None
    assert (numbers.waited_for_resources, numbers.blocked_on) == (30.0, "scanner")
    assert (numbers.waited_for_seats, numbers.waited_for_itself) == (0.0, 0.0)
    (found,) = report.verdict.affected
    assert (found.partition, found.cause) == ("acme", Cause.SHARED)
    assert "it waits for resources, now for 'scanner'" in found.why
    assert report.fairness == 1.0


def test_a_class_that_needs_what_no_host_has_is_refused() -> None:
    """O3: when it is declared, and by name."""
    host = Host("memory://", policy=HostPolicy(dispatch=DispatchPolicy()))

    with pytest.raises(UnknownResource) as caught:
        host.manager("clerks", Clerk)

    error = caught.value
    assert (error.where, error.resource, error.known) == (
        "Clerk.scan",
        "scanner",
        (),
    )
    assert "resources={'scanner': 1}" in str(error)
    assert "no managers" in repr(host)


def test_needs_is_a_name() -> None:
    class Muddled(Agent):
        @handler(needs=3)  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportArgumentType, reportCallIssue]  on purpose
        def tick(self, message: Tick) -> None: ...

    with pytest.raises(HandlerError, match="needs=3 is not the name of a resource"):
        _host().manager("muddled", Muddled)


@pytest.mark.parametrize("units", [0, -1, 1.5, True, "4", None])
def test_a_resource_has_units_to_count(units: object) -> None:
    with pytest.raises(ValueError, match=r"resources\['ocr'\]="):
        DispatchPolicy(resources={"ocr": units})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]  on purpose


@pytest.mark.parametrize("name", ["", "OCR", "an ocr", "../ocr", 7])
def test_a_resource_has_a_plain_name(name: object) -> None:
    with pytest.raises(InvalidName):
        DispatchPolicy(resources={name: 1})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]  on purpose


def test_a_policy_keeps_the_resources_that_it_was_given() -> None:
    """A7: settings are frozen, whatever becomes of the dict."""
    given = {"ocr": 4}
    policy = DispatchPolicy(resources=given)

    given["ocr"] = 9

    assert policy.resources == {"ocr": 4}
    assert policy == DispatchPolicy(resources={"ocr": 4})
    assert isinstance(hash(policy), int)


class Work(Message[None]):
    """Note how many of each resource are taken, wait a little, or break."""

    steps: int
    breaks: bool


class Mill(Agent):
    @handler(needs="one")
    async def work(self, message: Work) -> None:
        await _use("one", message)


class Press(Agent):
    @handler(needs="two")
    async def work(self, message: Work) -> None:
        await _use("two", message)


_TAKEN: dict[str, list[int]] = {"one": [0, 0], "two": [0, 0]}
"""By resource: how many turns have it now, and the most that ever did."""


async def _use(name: str, message: Work) -> None:
    taken = _TAKEN[name]
    taken[0] += 1
    taken[1] = max(taken)
    try:
        await spin(message.steps)
        if message.breaks:
            raise ValueError
    finally:
        taken[0] -= 1


@pytest.mark.parametrize("seed", range(5))
async def test_no_more_turns_than_units_and_nobody_is_left_behind(seed: int) -> None:
    """T10, rule 8: random work, failures and askers that leave, then all is free."""
    dice = random.Random(seed)
    for taken in _TAKEN.values():
        taken[:] = [0, 0]
    policy = DispatchPolicy(seats=3, resources={"one": 1, "two": 2})
    async with Host("memory://", policy=HostPolicy(dispatch=policy)) as host:
        mills = host.manager("mills", Mill, durability=Durability.NONE)
        presses = host.manager("presses", Press, durability=Durability.NONE)
        async with asyncio.TaskGroup() as group:
            asked: list[asyncio.Task[object]] = []
            for _ in range(60):
                manager = dice.choice([mills, presses])
                ref = await manager.get(
                    f"k{dice.randrange(4)}", partition=f"p{dice.randrange(3)}"
                )
                message = Work(dice.randrange(4), dice.random() < 0.1)
                asked.append(group.create_task(answer(ref.ask(message))))
                await spin(1 + dice.randrange(3))
                if dice.random() < 0.2:
                    dice.choice(asked).cancel()

        numbers = {r.name: r for r in host.runtime.dispatcher.resources()}
        await eventually(lambda: host.statistics().free_seats == 3)

    assert (_TAKEN["one"][1], _TAKEN["two"][1]) == (1, 2)
    assert [(r.free, r.waiting) for r in numbers.values()] == [(1, 0), (2, 0)]
