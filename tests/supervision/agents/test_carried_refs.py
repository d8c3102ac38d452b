"""Refs that come to a handler in a message: what they may still do there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pods import (
    Address,
    Agent,
    AgentNotFound,
    AgentRef,
    AskCycle,
    Host,
    Message,
    RequestContext,
    handler,
)
from tests.support import spin

Use = Callable[[AgentRef["Counter"]], Awaitable[object]]


class Add(Message[int]):
    pass


class Total(Message[int]):
    pass


class WhoAsks(Message[str]):
    pass


class Carry(Message[None]):
    target: AgentRef[Counter]
    use: Use
    fails: bool = False


class Counter(Agent):
    total: int = 0

    @handler
    def add(self, message: Add) -> int:
        self.total += 1
        return self.total

    @handler
    def tell_total(self, message: Total) -> int:
        return self.total

    @handler
    def who_asks(self, message: WhoAsks) -> str:
        request = self.context.request
        return "nobody" if request is None else request.user

    @handler(raises=(AgentNotFound, ValueError, AskCycle))
    async def carry(self, message: Carry) -> None:
        await message.use(message.target)
        if message.fails:
            raise ValueError(self.total)


async def ask(target: AgentRef[Counter]) -> object:
    return await target.ask(Add())


async def ask_in_a_task(target: AgentRef[Counter]) -> object:
    asked = target.ask(Add())
    async with asyncio.TaskGroup() as group:
        task = group.create_task(asked)
    return task.result()


async def ask_once(target: AgentRef[Counter]) -> object:
    return await target.ask(Add(), idempotency_key="one")


async def tell(target: AgentRef[Counter]) -> None:
    await target.tell(Add())


async def tell_durably(target: AgentRef[Counter]) -> None:
    await target.tell(Add(), durable=True)


async def attach(target: AgentRef[Counter]) -> None:
    async with target.attached():
        pass


EVERY_USE = (ask, ask_in_a_task, ask_once, tell, tell_durably, attach)


@pytest.mark.parametrize("use", EVERY_USE)
async def test_a_foreign_ref_in_a_message_leads_nowhere(host: Host, use: Use) -> None:
    """Holds 9: whatever a handler does with it, its own partition is all there is."""
    counters = host.manager("counters", Counter)
    foreign = await counters.get("far", partition="globex")
    carrier = await counters.get("carrier", partition="acme")

    with pytest.raises(AgentNotFound) as caught:
        await carrier.ask(Carry(foreign, use))

    assert (caught.value.manager, caught.value.key) == ("counters", "far")
    assert await foreign.ask(Total()) == 0


@pytest.mark.parametrize("use", EVERY_USE)
async def test_a_ref_of_its_own_partition_serves_a_handler(
    host: Host, use: Use
) -> None:
    """Holds 9: a ref in a message is as good as one from the context."""
    counters = host.manager("counters", Counter)
    near = await counters.get("near", partition="acme")
    carrier = await counters.get("carrier", partition="acme")

    await carrier.ask(Carry(near, use))

    await spin()
    assert await near.ask(Total()) == (0 if use is attach else 1)


@pytest.mark.parametrize("use", [tell, tell_durably])
async def test_a_send_through_a_carried_ref_is_undone_with_its_turn(
    host: Host, use: Use
) -> None:
    """Holds 3: nothing leaves a turn that fails, whoever had made the ref."""
    counters = host.manager("counters", Counter)
    near = await counters.get("near", partition="acme")
    carrier = await counters.get("carrier", partition="acme")

    with pytest.raises(ValueError, match="0"):
        await carrier.ask(Carry(near, use, fails=True))

    assert await near.ask(Add()) == 1


async def test_a_cycle_through_a_carried_ref_is_refused(host: Host) -> None:
    """Holds 8: who asks itself by a ref from outside would wait until its timeout."""
    counters = host.manager("counters", Counter)
    carrier = await counters.get("carrier", partition="acme")

    with pytest.raises(AskCycle):
        await carrier.ask(Carry(carrier, ask))


async def test_a_carried_ref_speaks_for_the_turn_and_not_for_who_made_it(
    host: Host,
) -> None:
    """A2: a ref that the edge made for one user does not lend that user to another."""
    counters = host.manager("counters", Counter)
    ann = host.partition(RequestContext(partition="acme", user="ann"))
    bob = host.partition(RequestContext(partition="acme", user="bob"))
    near = await ann.get(counters, "near")
    carrier = await bob.get(counters, "carrier")
    found: list[str] = []

    async def who(target: AgentRef[Counter]) -> None:
        found.append(await target.ask(WhoAsks()))

    await carrier.ask(Carry(near, who))

    assert found == ["bob"]


async def test_a_thread_keeps_its_refs_beside_a_foreign_turn(host: Host) -> None:
    """Holds 9: the step that holds the loop says nothing about another thread."""
    counters = host.manager("counters", Counter)
    near = await counters.get("near", partition="acme")
    await counters.get("far", partition="globex")
    foreign = host.runtime.catalog.find(Address("globex", "counters", "far"))
    assert foreign is not None

    with ThreadPoolExecutor(1) as pool:
        asked = host.runtime.meter.run(
            foreign, "add", 0.0, lambda: pool.submit(near.ask, Add()).result()
        )

    assert await asked == 1
