"""Requests with an idempotency key: handled once, answered each time they come."""

from __future__ import annotations

import asyncio

import pytest

from persistence import StoreUnavailable
from supervision import (
    Agent,
    AgentCrashed,
    AskCycle,
    AskTimeout,
    Durability,
    Host,
    HostPolicy,
    IdempotencyMismatch,
    InstanceManager,
    MailboxFull,
    ManagerPolicy,
    Message,
    UnstorableMessage,
    handler,
)
from tests.persistence.doubles import FaultyStore
from tests.support import (
    Declined,
    MakeStore,
    ManualClock,
    answer,
    eventually,
    spin,
)

__all__: list[str] = []


class Charge(Message[int]):
    amount: int
    fails: bool = False


class ChargeLater(Message[tuple[int, str]]):
    amount: int
    gate: str = ""


class Total(Message[int]):
    pass


class Live(Message[object]):
    """Its reply has no stored form."""


class Nothing(Message[None]):
    pass


GATES: dict[str, asyncio.Event] = {}


class Till(Agent):
    total: int = 0
    calls: int = 0

    @handler(raises=(Declined,))
    def charge(self, message: Charge) -> int:
        self.total += message.amount
        if message.fails:
            raise Declined("no")
        return self.total

    @handler
    async def charge_later(self, message: ChargeLater) -> tuple[int, str]:
        if message.gate:
            await GATES[message.gate].wait()
        self.total += message.amount
        return self.total, "paid"

    @handler
    def read(self, message: Total) -> int:
        return self.total

    @handler
    def live(self, message: Live) -> object:
        return object()

    @handler
    def nothing(self, message: Nothing) -> None:
        self.calls += 1


class Round(Message[int]):
    pass


class Loop(Agent):
    @handler(raises=(AskCycle,))
    async def round(self, message: Round) -> int:
        return await self.context.me.ask(Total(), idempotency_key="k")

    @handler
    def read(self, message: Total) -> int:
        return 0


def tills(
    host: Host, durability: Durability = Durability.TURN
) -> InstanceManager[Till]:
    return host.manager("tills", Till, durability=durability)


@pytest.mark.parametrize("durability", list(Durability))
async def test_the_second_ask_gets_the_first_reply(
    host: Host, durability: Durability
) -> None:
    """A9: no handler runs again; another key, or none, is another request."""
    till = await tills(host, durability).get("t", partition="acme")

    first = await till.ask(Charge(5), idempotency_key="order-1")
    again = await till.ask(Charge(5), idempotency_key="order-1")
    other = await till.ask(Charge(5), idempotency_key="order-2")
    plain = await till.ask(Charge(5))

    assert (first, again, other, plain) == (5, 5, 10, 15)


async def test_a_reply_is_remembered_across_restarts(
    make: MakeStore, clock: ManualClock
) -> None:
    """A9: a caller that does not know the outcome asks the next host."""
    async with Host(store=make(), clock=clock) as host:
        till = await tills(host).get("t", partition="acme")
        first = await till.ask(ChargeLater(3), idempotency_key="k")

    async with Host(store=make(), clock=clock) as host:
        till = await tills(host).get("t", partition="acme")

        assert await till.ask(ChargeLater(3), idempotency_key="k") == first
        assert first == (3, "paid")
        assert await till.ask(Total()) == 3


async def test_fifty_who_ask_the_same_at_once_get_one_reply(host: Host) -> None:
    """A9: one handler runs, the others wait for it."""
    till = await tills(host).get("t", partition="acme")
    GATES["fifty"] = asyncio.Event()

    async with asyncio.TaskGroup() as group:
        asking = [
            group.create_task(
                till.ask(ChargeLater(2, "fifty"), idempotency_key="k", timeout=60)
            )
            for _ in range(50)
        ]
        await spin()
        GATES["fifty"].set()

    assert {task.result() for task in asking} == {(2, "paid")}
    assert await till.ask(Total()) == 2


async def test_a_request_whose_caller_left_is_handled_once(host: Host) -> None:
    """A9: cancelled is not undone; the next ask waits for it and gets its reply."""
    till = await tills(host).get("t", partition="acme")
    GATES["left"] = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        leaving = group.create_task(
            till.ask(ChargeLater(4, "left"), idempotency_key="k")
        )
        await spin()
        leaving.cancel()
        await spin()
        again = group.create_task(till.ask(ChargeLater(4, "left"), idempotency_key="k"))
        await spin()
        GATES["left"].set()

    assert again.result() == (4, "paid")
    assert await till.ask(Total()) == 4


async def test_a_failed_request_is_not_remembered(host: Host) -> None:
    """A9: neither a refusal nor a crash keeps the next one from succeeding."""
    till = await tills(host).get("t", partition="acme")

    declined = await answer(till.ask(Charge(5, fails=True), idempotency_key="k"))
    done = await till.ask(Charge(5), idempotency_key="k")

    assert isinstance(declined, Declined)
    assert done == 5


async def test_a_request_that_was_not_saved_is_not_remembered(
    clock: ManualClock,
) -> None:
    """A9: reply and state are in one commit, and fail together."""
    store = FaultyStore()
    async with Host(store=store, clock=clock) as host:
        till = await tills(host).get("t", partition="acme")
        await till.ask(Charge(1), idempotency_key="warm")
        refuse = iter([True])
        store.chokes_on = lambda unit: (
            hasattr(unit, "operations") and next(refuse, False)
        )

        failed = await answer(till.ask(Charge(5), idempotency_key="k"))
        done = await till.ask(Charge(5), idempotency_key="k")

        assert isinstance(failed, StoreUnavailable)
        assert done == 6


async def test_another_request_under_the_same_key_is_refused(host: Host) -> None:
    """A9: a key that was used by mistake does no harm, here or in another message."""
    till = await tills(host).get("t", partition="acme")
    await till.ask(Charge(5), idempotency_key="k")

    other = await answer(till.ask(Charge(6), idempotency_key="k"))
    kind = await answer(till.ask(ChargeLater(5), idempotency_key="k"))

    assert isinstance(other, IdempotencyMismatch)
    assert isinstance(kind, IdempotencyMismatch)
    assert await till.ask(Total()) == 5


async def test_keys_of_twins_are_their_own(host: Host) -> None:
    """B5, G7: per (partition, instance): no other caller reads the reply."""
    manager = tills(host)
    till = await manager.get("t", partition="acme")
    await till.ask(Charge(5), idempotency_key="k")

    foreign = await manager.get("t", partition="acme-corp")
    sibling = await manager.get("u", partition="acme")

    assert await foreign.ask(Charge(7), idempotency_key="k") == 7
    assert await sibling.ask(Charge(9), idempotency_key="k") == 9


async def test_a_reply_without_a_stored_form_is_refused_before_the_work(
    host: Host,
) -> None:
    """Holds 8: the caller learns it before anything has changed."""
    till = await tills(host).get("t", partition="acme")

    error = await answer(till.ask(Live(), idempotency_key="k"))

    assert isinstance(error, UnstorableMessage)
    assert till.incarnation == 1
    assert not isinstance(error, AgentCrashed)


async def test_a_reply_of_nothing_is_remembered(host: Host) -> None:
    """A9: ``None`` is a reply like any other."""
    till = await tills(host).get("t", partition="acme")

    for _ in range(3):
        await till.ask(Nothing(), idempotency_key="k")

    instance = till.instance
    assert instance is not None
    agent = instance.the_agent()
    assert isinstance(agent, Till)
    assert agent.calls == 1


async def test_replies_expire(host: Host, clock: ManualClock) -> None:
    """P6: what is remembered does not pile up."""
    till = await tills(host).get("t", partition="acme")
    await till.ask(Charge(5), idempotency_key="k")
    clock.advance(HostPolicy().mail.remember_replies + 3_601)

    await till.ask(Charge(1), idempotency_key="sweeps")
    await spin()
    again = await till.ask(Charge(5), idempotency_key="k")

    assert again == 11


async def test_who_waits_for_another_does_so_for_a_limited_time(host: Host) -> None:
    """Holds 8: an ask ends, whatever the other one does."""
    till = await tills(host).get("t", partition="acme")
    GATES["slow"] = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        slow = group.create_task(till.ask(ChargeLater(1, "slow"), idempotency_key="k"))
        await spin()

        error = await answer(
            till.ask(ChargeLater(1, "slow"), idempotency_key="k", timeout=0.01)
        )
        GATES["slow"].set()

    assert isinstance(error, AskTimeout)
    assert slow.result() == (1, "paid")


async def test_a_request_that_was_not_accepted_keeps_nobody_waiting(
    host: Host,
) -> None:
    """Holds 8: a request refused by a full mailbox may be sent again with its key."""
    policy = ManagerPolicy(mailbox=1)
    till = await host.manager("tills", Till, policy=policy).get("t", partition="acme")
    gate = GATES["full"] = asyncio.Event()

    def running() -> bool:
        instance = host.runtime.catalog.find(till.address)
        return instance is not None and instance.running is not None

    async with asyncio.TaskGroup() as group:
        for number in range(2):  # one is handled, one waits
            group.create_task(till.ask(ChargeLater(number, "full")))
            await eventually(running)

        refused = await answer(till.ask(Charge(5), idempotency_key="k"))
        gate.set()
    done = await till.ask(Charge(5), idempotency_key="k", timeout=1)

    assert isinstance(refused, MailboxFull)
    assert done == 6


async def test_a_request_that_would_wait_for_itself_keeps_nobody_waiting(
    host: Host,
) -> None:
    """Holds 8: a circle is refused, and the key is free for the next one."""
    loop = await host.manager("loops", Loop).get("l", partition="acme")

    refused = await answer(loop.ask(Round()))
    done = await loop.ask(Total(), idempotency_key="k", timeout=1)

    assert isinstance(refused, AskCycle)
    assert done == 0
