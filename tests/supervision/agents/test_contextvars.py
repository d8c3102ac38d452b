from __future__ import annotations

import asyncio
import contextvars

import pytest

from supervision import Agent, Durability, Host, Message, handler
from supervision.telemetry.attributes import STAMP
from tests.support import Add, Counter, Read

__all__: list[str] = []

SEEN: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="nothing")


class Stain(Message[None]):
    pass


class StainLater(Message[None]):
    pass


class Look(Message[str]):
    pass


class LookLater(Message[str]):
    pass


class Where(Message[str]):
    pass


class Stainer(Agent):
    @handler
    def stain(self, message: Stain) -> None:
        SEEN.set(self.context.partition)

    @handler
    async def stain_later(self, message: StainLater) -> None:
        SEEN.set(self.context.partition)
        await asyncio.sleep(0)

    @handler
    async def where(self, message: Where) -> str:
        return self.context.partition

    @handler
    def look(self, message: Look) -> str:
        return SEEN.get()

    @handler
    async def look_later(self, message: LookLater) -> str:
        return SEEN.get()


@pytest.mark.parametrize("look", [Look, LookLater])
@pytest.mark.parametrize("stain", [Stain, StainLater])
async def test_a_context_variable_never_reaches_another_instance(
    host: Host, stain: type[Stain | StainLater], look: type[Look | LookLater]
) -> None:
    """Holds 11: nothing of one tenant's call is in the air for the next one's."""
    stainers = host.manager("stainers", Stainer, durability=Durability.NONE)
    acme = await stainers.get("one", partition="acme")
    own_copy = await stainers.get("two", partition="acme")
    globex = await stainers.get("one", partition="globex")
    SEEN.set("edge")

    await acme.ask(stain())

    assert SEEN.get() == "edge"
    for ref in (own_copy, globex):
        assert await ref.ask(look()) == "nothing"


async def test_a_context_variable_decides_no_access(host: Host) -> None:
    """A2: a stamp that says another partition changes nothing but logs."""
    counters = host.manager("counters", Counter)
    stainers = host.manager("stainers", Stainer, durability=Durability.NONE)
    await (await counters.get("one", partition="globex")).ask(Add(7))
    STAMP.set("globex")

    mine = await host.partition("acme").get(counters, "one")
    stained = await stainers.get("one", partition="acme")

    assert await mine.ask(Read()) == 0
    assert await stained.ask(Where()) == "acme"
