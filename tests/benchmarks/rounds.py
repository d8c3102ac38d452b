"""Who is next: the decision core of the dispatcher, without clock, loop or I/O.

A *lane* is what the dispatcher knows of one partition: the instances that have mail
and wait for a seat, in order of arrival, and how many seats are taken. The policy
below is round robin over the lanes that have work and stand below their cap; the seam
is ``enter`` / ``pick`` / ``leave``, so another policy is another class.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

import attrs

__all__ = ["Lane", "RoundRobin"]

T = TypeVar("T")


@attrs.define(eq=False)
class Lane(Generic[T]):
    """The queue and the seats of one partition.

    Attributes:
        partition: whose lane it is.
        cap: most seats it may hold at a time.
        waiting: items that want a seat, oldest first.
        seats: seats held now.
        inline: turns run in their callers' steps during loop tick ``tick``.
    """

    partition: str
    cap: int
    waiting: deque[T] = attrs.field(factory=deque[T])
    seats: int = 0
    queued: bool = False
    inline: int = 0
    tick: int = 0


class RoundRobin(Generic[T]):
    """One item per lane in turn; a lane at its cap is passed over without a scan."""

    def __init__(self, seats: int) -> None:
        self.free = seats
        self._ring: deque[Lane[T]] = deque()

    def __repr__(self) -> str:
        return f"<RoundRobin free={self.free} lanes={len(self._ring)}>"

    def enter(self, lane: Lane[T], item: T, *, first: bool = False) -> None:
        """Queue an item at the tail of its lane, or at its head."""
        if first:
            lane.waiting.appendleft(item)
        else:
            lane.waiting.append(item)
        self._offer(lane)

    def pick(self) -> tuple[Lane[T], T] | None:
        """Take the next item and a seat for it; ``None`` when nothing may run."""
        if self.free <= 0:
            return None
        while self._ring:
            lane = self._ring.popleft()
            lane.queued = False
            if not lane.waiting or lane.seats >= lane.cap:
                continue
            item = lane.waiting.popleft()
            lane.seats += 1
            self.free -= 1
            self._offer(lane)
            return lane, item
        return None

    def leave(self, lane: Lane[T]) -> None:
        """Give a seat back."""
        lane.seats -= 1
        self.free += 1
        self._offer(lane)

    def _offer(self, lane: Lane[T]) -> None:
        if not lane.queued and lane.waiting and lane.seats < lane.cap:
            lane.queued = True
            self._ring.append(lane)
