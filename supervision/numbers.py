"""What operators see of the dispatcher: numbers, and events worth a log line."""

from __future__ import annotations

import enum
from typing import TypeVar

import attrs

from .accounts import Account, Place
from .shares import Share

__all__ = ["ShareEvent", "ShareEventKind", "ShareNumbers", "event_of", "numbers_of"]

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
        waited_for_itself: turn-seconds waited for its own cap or a limit of its own.
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
    dispatched: int
    cap_hits: int
    bursts: int
    debt: float
    lag: float


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
    lag = (virtual - account.tag) * account.share.weight
    return ShareNumbers(
        partition=account.partition,
        share=account.share,
        place=account.place,
        seats=account.seats,
        waiting=account.waiting,
        received=account.received + stretch.held,
        waited_for_seats=account.waited_for_seats + stretch.waited,
        waited_for_itself=account.waited_for_itself + stretch.own,
        dispatched=account.dispatched,
        cap_hits=account.cap_hits,
        bursts=account.bursts,
        debt=account.debt,
        lag=lag if account.waiting else 0.0,
    )
