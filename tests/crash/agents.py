"""What the runs host: agents whose state shows by itself when it is half of one."""

from __future__ import annotations

import attrs

from pods import Agent, Host, InstanceManager, Message, Pod, eager, handler, lazy

__all__ = [
    "TIMERS",
    "Arrange",
    "Arrive",
    "Bump",
    "Count",
    "Homes",
    "Look",
    "Mail",
    "Meter",
    "PartitionBacklog",
    "Post",
    "Receiver",
    "Sender",
    "Sight",
    "Team",
    "homes",
    "pad_of",
]

TIMERS = 3
"""A sender sets a timer with each so-manieth letter."""

_PADS = (0, 60, 900, 6_000)
"""Bytes of padding: in the row, on a page of its own, on a chain of overflow pages."""


class Bump(Message[int]):
    """Count one up; the reply is the total."""


@attrs.frozen
class Sight:
    """What an agent has, and whether its fields are those of one turn."""

    total: int
    whole: bool


class Look(Message[Sight]):
    """Ask what is there."""


class Meter(Agent):
    """Counts, and keeps the same number in three forms that only a whole turn joins."""

    total: int = 0
    last: tuple[int, ...] = ()
    pad: str = ""

    @handler
    def bump(self, message: Bump) -> int:
        self.total += 1
        self.last = (*self.last[-4:], self.total)
        self.pad = pad_of(self.total)
        return self.total

    @handler
    def look(self, message: Look) -> Sight:
        start = max(1, self.total - 4)
        whole = self.last == tuple(range(start, self.total + 1))
        return Sight(self.total, whole and self.pad == pad_of(self.total))


class Team(Pod):
    """A pod whose topology is changed while it runs."""

    lead = eager(Meter, manager="meters")
    helper = lazy(Meter, manager="meters", owner=lead)


def pad_of(total: int) -> str:
    """Say what padding belongs to a total."""
    return f"{total}." * (_PADS[total % len(_PADS)] // len(f"{total}."))


class Arrive(Message[None]):
    """A letter: the so-manieth of its sender, or the so-manieth timer."""

    number: int
    timer: bool = False


class Post(Message[int]):
    """Send one more letter, and with every third a timer; the reply is the total."""

    delay: float


class Arrange(Message[None]):
    """Set so many timers at once, all due after so many seconds."""

    number: int
    delay: float


@attrs.frozen
class PartitionBacklog:
    """Which numbers have come: all up to ``low``, and some beyond it."""

    low: int = 0
    beyond: tuple[int, ...] = ()
    twice: int = 0

    def with_number(self, number: int) -> PartitionBacklog:
        """Enter one more."""
        if number <= self.low or number in self.beyond:
            return attrs.evolve(self, twice=self.twice + 1)
        low, beyond = self.low, sorted((*self.beyond, number))
        while beyond and beyond[0] == low + 1:
            low = beyond.pop(0)
        return PartitionBacklog(low, tuple(beyond), self.twice)


@attrs.frozen
class Mail:
    """What a receiver has got."""

    letters: PartitionBacklog = PartitionBacklog()
    timers: PartitionBacklog = PartitionBacklog()


class Count(Message[Mail]):
    """Ask what has come."""


class Sender(Agent):
    """Sends numbered letters and timers to the receiver of its key."""

    sent: int = 0

    @handler
    def post(self, message: Post) -> int:
        self.sent += 1
        receiver = self.context.ref("receivers", self.context.key)
        self.context.tell(receiver, Arrive(self.sent), durable=True)
        if self.sent % TIMERS == 0:
            ring = Arrive(self.sent // TIMERS, timer=True)
            self.context.schedule(ring, after=message.delay, target=receiver)
        return self.sent

    @handler
    def arrange(self, message: Arrange) -> None:
        receiver = self.context.ref("receivers", self.context.key)
        for number in range(1, message.number + 1):
            ring = Arrive(number, timer=True)
            self.context.schedule(ring, after=message.delay, target=receiver)

    @handler
    def look(self, message: Look) -> Sight:
        return Sight(self.sent, whole=True)


class Receiver(Agent):
    """Keeps account of what came, so that once too often shows as well as never."""

    mail: Mail = Mail()

    @handler
    def arrive(self, message: Arrive) -> None:
        if message.timer:
            timers = self.mail.timers.with_number(message.number)
            self.mail = attrs.evolve(self.mail, timers=timers)
        else:
            letters = self.mail.letters.with_number(message.number)
            self.mail = attrs.evolve(self.mail, letters=letters)

    @handler
    def count(self, message: Count) -> Mail:
        return self.mail


@attrs.frozen
class Homes:
    """The managers of a host."""

    meters: InstanceManager[Meter]
    teams: InstanceManager[Team]
    senders: InstanceManager[Sender]
    receivers: InstanceManager[Receiver]


def homes(host: Host) -> Homes:
    """Declare the managers on a host."""
    return Homes(
        host.manager("meters", Meter),
        host.manager("teams", Team),
        host.manager("senders", Sender),
        host.manager("receivers", Receiver),
    )
