"""What the dispatcher knows of one partition: its tickets, its seats, its sums.

Plain records. ``queue`` decides what happens to them.
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
"""Cancelled tickets that may stay in a lane before they are removed."""


class Place(enum.Enum):
    """The state of a partition in the queue; it names the heap that holds it."""

    IDLE = "idle"  # nothing waits
    READY = "ready"  # below its cap: it gets the next seat when its tag is the least
    OVER = "over its cap"  # gets a seat only while no other partition wants it
    FULL = "full"  # at its hard cap, or its burst is used up
    BLOCKED = "blocked"  # its head waits for a resource


# Module names: before Python 3.12, a look-up of a member in its class costs ten times
# as much.
IDLE, READY, OVER, FULL, BLOCKED = Place


@attrs.define(eq=False)
class Ticket(Generic[T]):
    """One item's way through the dispatcher: it waits, holds a seat, is done.

    Attributes:
        account: the account of its partition.
        item: what wants the seat.
        kind: the name under which its duration is estimated.
        lane: its ``Priority``, or ``RETURNING``.
        at: when it entered.
        needs: the resource that it needs in addition to the seat.
        waiting: it stands in its lane.
        started: when it got the seat.
        charged: seconds charged to its partition for it so far.
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
    """The tickets, the seats and the used time of one partition.

    ``update_sums`` comes before any change of what the sums depend on: seats, waiting
    tickets, place and share.

    Attributes:
        partition: its id.
        share: what it is due.
        usage: what it held and waited in the current period.
        tag: seat-seconds charged so far, over its weight; the least goes next.
        seats: seats it holds.
        waiting: items that want a seat.
        place: its state in the queue.
        version: number of its valid heap entry; older entries are stale.
        debt: seat-seconds above the cap that it has not worked off.
        touched: when its sums were brought up to date.
        lanes: tickets by priority, made on first use.
        mixed: there are lanes in addition to that of normal priority.
        estimates: expected seconds by kind of item, made on first use.
        resource: the resource that its head waits for.
        woken: the resource of which one unit is promised to it.
        capped: something waits because of its own cap.
        bursting: it holds seats above its cap.
        received: seat-seconds before the current period.
        waited_for_seats: item-seconds waited because the host was busy, before the
            current period.
        waited_for_itself: item-seconds waited for a limit of its own, before it.
        waited_for_resources: item-seconds waited for a resource, before it.
        dispatched: items that got a seat.
        cap_hits: times that something began to wait for its own cap.
        bursts: times that it went above its cap.
    """

    partition: str
    share: Share
    usage: Usage
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

    def update_sums(self, now: float, history: History) -> None:
        """Bring the sums up to date, before anything that they depend on changes."""
        elapsed = now - self.touched
        if elapsed <= 0.0:
            return
        self.touched = now
        usage = self.usage
        if now >= usage.period.ends:
            usage = self._begin_period(history.at(now))
        seats = self.seats
        if seats:
            usage.held += seats * elapsed
        if self.waiting:
            if self.place is READY:
                usage.waited += self.waiting * elapsed
            elif self.place is BLOCKED:
                usage.lacked += self.waiting * elapsed
            else:
                usage.own += self.waiting * elapsed
        above = seats - self.share.cap
        if above > 0 or self.debt:
            self.debt = max(0.0, self.debt + above * elapsed)

    def pace(self) -> float:
        """Return the seconds in which the partition works off one item, estimated."""
        costs = (self.estimates or {}).values()
        return sum(costs) / max(1, len(costs)) / max(1, self.seats)

    def _begin_period(self, period: Period) -> Usage:
        old = self.usage
        self.received += old.held
        self.waited_for_seats += old.waited
        self.waited_for_itself += old.own
        self.waited_for_resources += old.lacked
        self.usage = Usage(self.partition, period)
        period.usages.append(self.usage)
        return self.usage

    def add_ticket(self, ticket: Ticket[T]) -> None:
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
        """Return the next ticket: the oldest, each priority's penalty added.

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
        """Remove the ticket that ``head`` has returned."""
        self.waiting -= 1
        ticket.waiting = False
        if not self.waiting:
            self._drop_lanes()
        elif self.lanes is not None and (lane := self.lanes[ticket.lane]):
            lane.popleft()

    def cancel_ticket(self, ticket: Ticket[T]) -> None:
        """Remove a ticket from its lane, wherever it stands there."""
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

    def clear_promise(self, resource: Resource[T]) -> None:
        """End the promise of a unit of a resource, if the partition has one."""
        if self.woken is resource:
            self.woken = None
            resource.promised -= 1


def _all_units(resource: Resource[T]) -> int:
    return resource.units


@attrs.define(eq=False)
class Resource(Generic[T]):
    """Something that an item may need in addition to a seat, in units.

    Attributes:
        name: its name in reports.
        units: how many there are.
        free: units that no item holds.
        promised: units kept for partitions that were woken for them.
        waiters: heap of the partitions that wait for it.
    """

    name: str
    units: int
    free: int = attrs.field(default=attrs.Factory(_all_units, takes_self=True))
    promised: int = 0
    waiters: TagHeap[Account[T]] = attrs.field(factory=TagHeap[Account[T]], repr=False)
