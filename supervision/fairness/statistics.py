"""What operators see of the dispatcher: numbers, and events worth a log line."""

from __future__ import annotations

import enum
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .account import Account, Place, Resource
    from .policy import Share

__all__ = [
    "DispatchStatistics",
    "ResourceNumbers",
    "ShareEvent",
    "ShareEventKind",
    "ShareNumbers",
    "event_of",
    "lag_of",
    "numbers_of",
    "resource_numbers",
]

T = TypeVar("T")


class ShareEventKind(enum.Enum):
    """What happened to a partition's share, as log records name it."""

    CAP_HIT = "partition.cap_hit"
    BURST_BEGUN = "partition.burst_begun"
    BURST_ENDED = "partition.burst_ended"


@attrs.frozen(kw_only=True)
class ShareEvent:
    """A partition came to its cap, went above it, or came back.

    Attributes:
        kind: which of the three.
        partition: whose share it is.
        at: seconds, on the dispatcher's clock.
        seats: seats it held then.
        debt: seat-seconds above its cap that it had run up.
    """

    kind: ShareEventKind
    partition: str
    at: float
    seats: int
    debt: float


@attrs.frozen(kw_only=True)
class DispatchStatistics:
    """What the dispatcher holds now.

    Attributes:
        free: seats nobody holds.
        running: turns in workers.
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
        partition: which one.
        share: what it is due.
        place: where it stands.
        seats: seats it holds.
        waiting: turns that want a seat.
        received: seat-seconds.
        waited_for_seats: turn-seconds waited because the host was busy.
        waited_for_itself: turn-seconds waited for its own cap.
        waited_for_resources: turn-seconds waited for what ``@handler(needs=...)`` says.
        blocked_on: the resource that its next turn waits for now; ``None``: it does
            not.
        dispatched: turns that got a seat.
        cap_hits: times that something began to wait for its own cap.
        bursts: times that it went above its cap.
        debt: seat-seconds above its cap that it has not worked off.
        lag: seat-seconds by which it is behind its fair share (above 0) or ahead of it
            (below 0) at this moment; 0 while nothing of it waits.
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
    """How a resource stands that handlers need.

    Attributes:
        name: which one.
        units: how many turns may have it at a time.
        free: units that no turn has.
        waiting: partitions whose next turn waits for it.
    """

    name: str
    units: int
    free: int
    waiting: int


def resource_numbers(
    resources: Iterable[Resource[T]], accounts: Iterable[Account[T]]
) -> tuple[ResourceNumbers, ...]:
    """Count who waits for each resource."""
    waiting = Counter(a.resource.name for a in accounts if a.resource is not None)
    return tuple(
        ResourceNumbers(
            name=r.name, units=r.units, free=r.free, waiting=waiting[r.name]
        )
        for r in resources
    )


def event_of(account: Account[T], kind: ShareEventKind, now: float) -> ShareEvent:
    """Say what happened to an account whose sums are up to date."""
    return ShareEvent(
        kind=kind,
        partition=account.partition,
        at=now,
        seats=account.seats,
        debt=account.debt,
    )


def numbers_of(account: Account[T], virtual: float) -> ShareNumbers:
    """Read an account whose sums are up to date, at a virtual time."""
    stretch = account.stretch
    return ShareNumbers(
        partition=account.partition,
        share=account.share,
        place=account.place,
        seats=account.seats,
        waiting=account.waiting,
        received=account.received + stretch.held,
        waited_for_seats=account.waited_for_seats + stretch.waited,
        waited_for_itself=account.waited_for_itself + stretch.own,
        waited_for_resources=account.waited_for_resources + stretch.lacked,
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
