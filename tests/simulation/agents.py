"""The agents of the simulated host: they write down what they did, and with whom."""

from __future__ import annotations

import asyncio

import attrs

from pods import Agent, Message, Pod, eager, handler, lazy, nested

__all__ = [
    "Do",
    "DoSlowly",
    "Fail",
    "Forward",
    "Ledger",
    "Read",
    "Refused",
    "Remind",
    "Report",
    "Squad",
    "Team",
    "Watch",
    "watch",
]


class Watch:
    """Sees handlers of one address that run at the same time, which none may."""

    def __init__(self) -> None:
        self._inside: dict[object, object] = {}
        self.overlaps: list[str] = []

    def enter(self, agent: Agent) -> object:
        """Note that a handler begins to wait; return the place it has taken."""
        address = agent.context.address
        place = (agent.context._services, address)  # pyright: ignore[reportPrivateUsage]  two processes may each have one
        if self._inside.setdefault(place, agent) is not agent:
            self.overlaps.append(f"two live instances of {address}")
        return place

    def leave(self, place: object, agent: Agent) -> None:
        """Note that it has ended."""
        if self._inside.get(place) is agent:
            del self._inside[place]

    def clear(self) -> None:
        """Forget everything: another life, or another run."""
        self._inside.clear()
        self.overlaps.clear()


watch = Watch()
"""Agents can be handed nothing but messages; runs come one after the other."""


class Refused(Exception):
    """What a handler raises on purpose, after it has changed its state."""


@attrs.frozen
class Report:
    """All that a ledger holds."""

    entries: tuple[str, ...]
    count: int
    checked: int


class Do(Message[int]):
    """Enter an operation; the reply is its place."""

    op: str


class DoSlowly(Message[int]):
    """Enter an operation with pauses in the middle."""

    op: str
    seconds: float


class Forward(Message[int]):
    """Enter an operation, and send another one to a ledger in the same commit.

    It is sent durably, after some seconds if ``after`` is not ``None``; or else it may
    be lost in a crash.
    """

    op: str
    manager: str
    key: str
    durable: bool = False
    after: float | None = None


class Remind(Message[int]):
    """Enter an operation, and set the timer of this ledger, or call it off.

    It has one timer, so that a later one takes the place of an earlier one.
    """

    op: str
    after: float | None


class Fail(Message[int]):
    """Enter an operation, then fail."""

    op: str
    crash: bool = False


class Read(Message[Report]):
    """Ask for everything."""


class Ledger(Agent):
    """Two numbers and a list that a turn changes together, or not at all."""

    entries: list[str] = attrs.field(factory=list[str])
    count: int = 0
    checked: int = 0

    @handler
    def do(self, message: Do) -> int:
        self.count += 1
        self.entries.append(message.op)
        self.checked += 1
        return self.count

    @handler
    async def do_slowly(self, message: DoSlowly) -> int:
        place = watch.enter(self)
        try:
            self.count += 1
            await asyncio.sleep(message.seconds / 2)
            self.entries.append(message.op)
            await asyncio.sleep(message.seconds / 2)
            self.checked += 1
            return self.count
        finally:
            watch.leave(place, self)

    @handler
    def forward(self, message: Forward) -> int:
        self.count += 1
        self.entries.append(message.op)
        self.checked += 1
        target = self.context.ref(message.manager, message.key)
        follow = Do(f"{message.op}>")
        if message.after is None:
            self.context.tell(target, follow, durable=message.durable)
        else:
            self.context.schedule(follow, after=message.after, target=target)
        return self.count

    @handler
    def remind(self, message: Remind) -> int:
        self.count += 1
        self.entries.append(message.op)
        self.checked += 1
        if message.after is None:
            self.context.unschedule("reminder")
        else:
            follow = Do(f"{message.op}>")
            self.context.schedule(follow, after=message.after, name="reminder")
        return self.count

    @handler(raises=(Refused,))
    def fail(self, message: Fail) -> int:
        self.count += 1
        self.entries.append(message.op)
        if message.crash:
            raise RuntimeError(message.op)
        raise Refused(message.op)

    @handler
    def read(self, message: Read) -> Report:
        return Report(tuple(self.entries), self.count, self.checked)


class Squad(Pod):
    """A pod inside a pod."""

    first = eager(Ledger, manager="ledgers")
    second = lazy(Ledger, manager="ledgers", owner=first)


class Team(Pod):
    """A pod with a node of every kind, and a state of its own."""

    entries: tuple[str, ...] = ()

    lead = eager(Ledger, manager="ledgers")
    aide = lazy(Ledger, manager="ledgers", owner=lead)
    squad = nested(Squad, manager="squads", after=[lead])

    @handler
    def do(self, message: Do) -> int:
        self.entries = (*self.entries, message.op)
        return len(self.entries)

    @handler
    def read(self, message: Read) -> Report:
        count = len(self.entries)
        return Report(self.entries, count, count)
