"""What the runs host: agents whose state shows by itself when it is half of one."""

from __future__ import annotations

import attrs

from pods import Agent, Host, InstanceManager, Message, Pod, eager, handler, lazy

__all__ = ["Bump", "Homes", "Look", "Meter", "Sight", "Team", "homes", "pad_of"]

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


@attrs.frozen
class Homes:
    """The managers of a host."""

    meters: InstanceManager[Meter]
    teams: InstanceManager[Team]


def homes(host: Host) -> Homes:
    """Declare the managers on a host."""
    return Homes(host.manager("meters", Meter), host.manager("teams", Team))


def pad_of(total: int) -> str:
    """Say what padding belongs to a total."""
    return f"{total}." * (_PADS[total % len(_PADS)] // len(f"{total}."))
