"""What operators see of the dispatcher: numbers, and events for the log."""

from __future__ import annotations

import enum
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

import attrs

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterable

    from .account import Account, Place, Resource
    from .policy import Share

__all__ = [
    "DispatchStatistics",
    "ResourceNumbers",
    "ShareEvent",
    "ShareEventKind",
    "ShareNumbers",
    "lag_of",
    "note_burst",
    "note_cap_hit",
    "numbers_of",
    "resource_numbers",
]

T = TypeVar("T")


class ShareEventKind(enum.Enum):
    """What happened to a partition; the values are the names of log events."""

    CAP_HIT = "partition.cap_hit"
    BURST_BEGUN = "partition.burst_begun"
    BURST_ENDED = "partition.burst_ended"


@attrs.frozen(kw_only=True)
class ShareEvent:
    """A partition reached its cap, went above it, or came back.

    Attributes:
        kind: which of the three.
        partition: its id.
        at: seconds, on the dispatcher's clock.
        seats: seats it held at that time.
        debt: seat-seconds above its cap that it had run up.
    """

    kind: ShareEventKind
    partition: str
    at: float
    seats: int
    debt: float


@attrs.frozen(kw_only=True)
class DispatchStatistics:
    """What the dispatcher of a host holds now.

    Attributes:
        free: seats that no turn holds.
        running: turns that run in workers.
        parked: turns that gave their seat back while they wait for something outside.
        waiting: turns that want a seat.
        queued: messages in mailboxes.
        refused: messages that were refused because too many waited.
    """

    free: int
    running: int
    parked: int
    waiting: int
    queued: int
    refused: int


@attrs.frozen(kw_only=True)
class ShareNumbers:
    """What one partition has got so far, and how it stands now.

    Sums run since the partition was first seen, or seen again after it was forgotten.

    Attributes:
        partition: its id.
        share: what it is due.
        place: its state in the queue.
        seats: seats it holds.
        waiting: turns that want a seat.
        received: seat-seconds.
        waited_for_seats: turn-seconds waited because the host was busy.
        waited_for_itself: turn-seconds waited for its own cap.
        waited_for_resources: turn-seconds waited for resources of
            ``@handler(needs=...)``.
        blocked_on: the resource that its next turn waits for now; ``None``: it waits
            for none.
        dispatched: turns that got a seat.
        cap_hits: times that something began to wait for its own cap.
        bursts: times that it went above its cap.
        debt: seat-seconds above its cap that it has not worked off.
        lag: seat-seconds by which it is behind its fair share (above 0) or ahead of it
            (below 0) now; 0 while none of its turns waits.
    """

    partition: str
    share: Share
    place: Place
    seats: int
    waiting: int
    received: float
    waited_for_seats: float
    waited_for_itself: float
    waited_for_resources: float
    blocked_on: str | None
    dispatched: int
    cap_hits: int
    bursts: int
    debt: float
    lag: float


@attrs.frozen(kw_only=True)
class ResourceNumbers:
    """The state of one resource that handlers need.

    Attributes:
        name: its name.
        units: how many turns may have it at a time.
        free: units that no turn has.
        waiting: partitions that wait for it with their next turn.
    """

    name: str
    units: int
    free: int
    waiting: int


def resource_numbers(
    resources: Iterable[Resource[T]], accounts: Iterable[Account[T]]
) -> tuple[ResourceNumbers, ...]:
    """Return how many partitions wait for each resource, and its free units."""
    waiting = Counter(a.resource.name for a in accounts if a.resource is not None)
    return tuple(
        ResourceNumbers(
            name=r.name, units=r.units, free=r.free, waiting=waiting[r.name]
        )
        for r in resources
    )


def note_cap_hit(account: Account[T], now: float, events: deque[ShareEvent]) -> None:
    """Record that an item of an account begins to wait for the account's own cap."""
    account.capped = True
    account.cap_hits += 1
    events.append(_event_of(account, ShareEventKind.CAP_HIT, now))


def note_burst(account: Account[T], now: float, events: deque[ShareEvent]) -> None:
    """Record that an account went above its cap or came back, if it did."""
    above = account.seats > account.share.cap
    if above is account.bursting:
        return
    account.bursting = above
    account.bursts += above
    kind = ShareEventKind.BURST_BEGUN if above else ShareEventKind.BURST_ENDED
    events.append(_event_of(account, kind, now))


def numbers_of(account: Account[T], virtual: float) -> ShareNumbers:
    """Build the numbers of an account; its sums are up to date."""
    usage = account.usage
    return ShareNumbers(
        partition=account.partition,
        share=account.share,
        place=account.place,
        seats=account.seats,
        waiting=account.waiting,
        received=account.received + usage.held,
        waited_for_seats=account.waited_for_seats + usage.waited,
        waited_for_itself=account.waited_for_itself + usage.own,
        waited_for_resources=account.waited_for_resources + usage.lacked,
        blocked_on=None if account.resource is None else account.resource.name,
        dispatched=account.dispatched,
        cap_hits=account.cap_hits,
        bursts=account.bursts,
        debt=account.debt,
        lag=lag_of(account, virtual),
    )


def lag_of(account: Account[T], virtual: float) -> float:
    """Return the seat-seconds by which an account is behind its fair share."""
    if not account.waiting:
        return 0.0
    return (virtual - account.tag) * account.share.weight


def _event_of(account: Account[T], kind: ShareEventKind, now: float) -> ShareEvent:
    """Build the event of an account; its sums are up to date."""
    return ShareEvent(
        kind=kind,
        partition=account.partition,
        at=now,
        seats=account.seats,
        debt=account.debt,
    )
