"""What a dump holds since version 2 of the tables: timers, letters, replies."""

from __future__ import annotations

from persistence import Address, Bury, Claim, Letter, Post, Unit, open_store
from pods import Agent, Host, Message, handler
from tests.support import ManualClock

__all__ = ["DAY", "Clerk", "Rung", "write_letters"]

DAY = 86_400.0


class Remind(Message[int]):
    """Schedule a ``Ring`` for tomorrow, and one for each morning."""


class Ring(Message[None]):
    text: str


class Rung(Message[tuple[str, ...]]):
    """Ask what has rung."""


class Clerk(Agent):
    rung: tuple[str, ...] = ()
    reminders: int = 0

    @handler
    def remind(self, _: Remind) -> int:
        self.context.schedule(Ring("once"), after=DAY, name="once")
        self.context.schedule(Ring("daily"), cron="0 6 * * *", name="daily")
        self.reminders += 1
        return self.reminders

    @handler
    def ring(self, message: Ring) -> None:
        self.rung = (*self.rung, message.text)

    @handler
    def show(self, _: Rung) -> tuple[str, ...]:
        return self.rung


async def write_letters(url: str, *partitions: str) -> None:
    """Write timers, a remembered reply and a dead letter into each partition."""
    async with Host(url, clock=ManualClock()) as host:
        clerks = host.manager("clerks", Clerk)
        for partition in partitions:
            clerk = await clerks.get("bell", partition=partition)
            assert await clerk.ask(Remind(), idempotency_key="r-1") == 1
    store = open_store(url)
    await store.open()
    try:
        for claim in await store.claim(partitions):
            assert await store.apply([_bury(claim)]) == [None]
    finally:
        await store.close()


def _bury(claim: Claim) -> Unit:
    """Post a letter that was tried in vain, and put it among the dead ones."""
    name = claim.partition
    target = Address(name, "clerks", "bell")
    letter = Letter(target, "lost", "0-lost", "Ring", 1, b'{"text":"lost"}', sent=1.5)
    bury = Bury(name, "clerks", '"bell"', "lost", "0-lost", 7, "nobody heard", 2.5)
    return Unit(name, claim.epoch, (Post(letter), bury))
