"""What the dispatcher knows of one partition: its queue, its seats, its account.

Plain records; ``fairness`` says what happens to them.
"""

from __future__ import annotations

import enum
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

import attrs

from .heap import TagHeap
from .policy import Priority, Share
from .usage import History, Period, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "BLOCKED",
    "FULL",
    "IDLE",
    "OVER",
    "READY",
    "RETURNING",
    "Account",
    "Place",
    "Resource",
    "Ticket",
]

T = TypeVar("T")

RETURNING = len(Priority)
"""The lane of turns that gave their seat back and want one again: always the first."""

_NORMAL = int(Priority.NORMAL)
_SPARE = 32
"""Cancelled tickets that may stay in the lanes before they are swept out."""


class Place(enum.Enum):
    """Where a partition stands."""

    IDLE = "idle"  # nothing waits
    READY = "ready"  # below its cap: it gets the next seat when its tag is the least
    OVER = "over its cap"  # gets one only while nobody else wants it
    FULL = "full"  # at its hard cap, or its burst is used up
    BLOCKED = "blocked"  # its head waits for a resource


# Before Python 3.12, to look a member up in its class costs as much as ten of these.
IDLE, READY, OVER, FULL, BLOCKED = Place


def _all_of(resource: Resource[T]) -> int:
    return resource.units


@attrs.define(eq=False)
class Resource(Generic[T]):
    """Something that an item may need besides a seat, in units.

    Attributes:
        name: for reports.
        units: how many there are.
        free: units that nobody holds.
        promised: units kept for partitions that were woken for them.
        waiters: heap of the partitions whose heads need it.
    """

    name: str
    units: int
    free: int = attrs.field(default=attrs.Factory(_all_of, takes_self=True))
    promised: int = 0
    waiters: TagHeap[T] = attrs.field(factory=TagHeap[T], repr=False)


@attrs.define(eq=False)
class Ticket(Generic[T]):
    """One item's way through the dispatcher: it waits, holds a seat, is done.

    Attributes:
        account: whose it is.
        item: what wants the seat.
        kind: what its duration is estimated by.
        lane: its ``Priority``, or ``RETURNING``.
        at: when it came.
        needs: what it needs besides the seat.
        waiting: it stands in its lane.
        started: when it got the seat.
        charged: seconds that its partition has paid for it so far.
    """

    account: Account[T]
    item: T
    kind: object
    lane: int
    at: float
    needs: Resource[T] | None
    waiting: bool = True
    started: float = 0.0
    charged: float = 0.0


@attrs.define(eq=False)
class Account(Generic[T]):
    """The queue, the seats and the account of one partition.

    Attributes:
        partition: whose it is.
        share: what it is due.
        stretch: what it held and waited lately, in the current period.
        tag: seat-seconds charged so far, over its weight; the least goes next.
        seats: seats it holds.
        waiting: items that want a seat.
        place: where it stands.
        version: number of its valid heap entry; older entries are stale.
        debt: seat-seconds above the cap that it has not worked off.
        touched: when its sums were brought up to date.
        lanes: tickets by priority, made on first use.
        mixed: there are lanes beside that of normal priority.
        estimates: expected seconds by kind of item, made on first use.
        resource: what its head waits for.
        woken: the resource of which a unit is promised to it.
        capped: something waits because of its own cap.
        bursting: it holds seats above its cap.
        received: seat-seconds up to the current stretch.
        waited_for_seats: item-seconds waited because the host was busy, likewise.
        waited_for_itself: item-seconds waited for a limit of its own, likewise.
        waited_for_resources: item-seconds waited for a resource, likewise.
        dispatched: items that got a seat.
        cap_hits: times that something began to wait for its own cap.
        bursts: times that it went above its cap.
    """

    partition: str
    share: Share
    stretch: Usage
    tag: float = 0.0
    seats: int = 0
    waiting: int = 0
    place: Place = IDLE
    version: int = 0
    debt: float = 0.0
    touched: float = 0.0
    lanes: list[deque[Ticket[T]] | None] | None = None
    mixed: bool = False
    estimates: dict[object, float] | None = None
    resource: Resource[T] | None = None
    woken: Resource[T] | None = None
    capped: bool = False
    bursting: bool = False
    received: float = 0.0
    waited_for_seats: float = 0.0
    waited_for_itself: float = 0.0
    waited_for_resources: float = 0.0
    dispatched: int = 0
    cap_hits: int = 0
    bursts: int = 0

    def __repr__(self) -> str:
        return (
            f"<Account {self.partition} {self.place.value} "
            f"waiting={self.waiting} seats={self.seats}>"
        )

    def touch(self, now: float, history: History) -> None:
        """Bring the sums up to date; before anything that they depend on changes."""
        elapsed = now - self.touched
        if elapsed <= 0.0:
            return
        self.touched = now
        stretch = self.stretch
        if now >= stretch.period.ends:
            stretch = self._turn_over(history.at(now))
        seats = self.seats
        if seats:
            stretch.held += seats * elapsed
        if self.waiting:
            if self.place is READY:
                stretch.waited += self.waiting * elapsed
            elif self.place is BLOCKED:
                stretch.lacked += self.waiting * elapsed
            else:
                stretch.own += self.waiting * elapsed
        above = seats - self.share.cap
        if above > 0 or self.debt:
            self.debt = max(0.0, self.debt + above * elapsed)

    def pace(self) -> float:
        """Return the seconds in which it works off one item, about."""
        costs = (self.estimates or {}).values()
        return sum(costs) / max(1, len(costs)) / max(1, self.seats)

    def _turn_over(self, period: Period) -> Usage:
        old = self.stretch
        self.received += old.held
        self.waited_for_seats += old.waited
        self.waited_for_itself += old.own
        self.waited_for_resources += old.lacked
        self.stretch = Usage(self.partition, period)
        period.stretches.append(self.stretch)
        return self.stretch

    def add(self, ticket: Ticket[T]) -> None:
        """Put a ticket at the tail of its lane."""
        lanes = self.lanes
        if lanes is None:
            lanes = self.lanes = self._no_lanes()
        lane = lanes[ticket.lane]
        if lane is None:
            lane = lanes[ticket.lane] = deque()
            self.mixed = self.mixed or ticket.lane != _NORMAL
        lane.append(ticket)
        self.waiting += 1

    def head(self, penalties: tuple[float, ...]) -> Ticket[T] | None:
        """Return the ticket that is next: the oldest, each priority's penalty added.

        Args:
            penalties: seconds by lane.
        """
        if self.lanes is None:
            return None
        if not self.mixed:
            lane = self.lanes[_NORMAL]
            return lane[0] if lane and lane[0].waiting else self._first(_NORMAL)
        best: Ticket[T] | None = None
        least = 0.0
        for number, penalty in enumerate(penalties):
            ticket = self._first(number)
            if ticket is not None and (best is None or ticket.at + penalty < least):
                best, least = ticket, ticket.at + penalty
        return best

    def _first(self, number: int) -> Ticket[T] | None:
        lane = None if self.lanes is None else self.lanes[number]
        while lane:
            if lane[0].waiting:
                return lane[0]
            lane.popleft()
        return None

    def remove_head(self, ticket: Ticket[T]) -> None:
        """Take the ticket out that ``head`` has returned."""
        self.waiting -= 1
        ticket.waiting = False
        if not self.waiting:
            self._drop_lanes()
        elif self.lanes is not None and (lane := self.lanes[ticket.lane]):
            lane.popleft()

    def cancel(self, ticket: Ticket[T]) -> None:
        """Take a ticket out from wherever it stands in its lane."""
        self.waiting -= 1
        ticket.waiting = False
        if not self.waiting or self.lanes is None:
            self._drop_lanes()
            return
        lane = self.lanes[ticket.lane]
        if lane is not None and len(lane) > 2 * self.waiting + _SPARE:
            self.lanes[ticket.lane] = deque(t for t in lane if t.waiting)

    def _no_lanes(self) -> list[deque[Ticket[T]] | None]:
        return [None] * (RETURNING + 1)

    def _drop_lanes(self) -> None:
        # An empty deque holds as much memory as all the rest of an idle account.
        self.lanes = None
        self.mixed = False

    def tickets(self) -> Iterator[Ticket[T]]:
        """Iterate over the tickets that wait."""
        for lane in self.lanes or ():
            yield from (ticket for ticket in lane or () if ticket.waiting)
