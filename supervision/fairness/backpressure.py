"""Which messages may still wait: a threshold that moves with the free places.

Dynamic queue length thresholds, after Choudhury and Hahne (1998). A partition may have
as many messages waiting as there are free places, times its weight and a factor. A
partition that floods the host fills a part of the room and no more, however long it
goes on. A partition with nothing waiting finds a place as long as there is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

    from .policy import DispatchPolicy, Share

__all__ = [
    "Admission",
    "PartitionBacklog",
    "Refusal",
    "Scope",
]

Scope: TypeAlias = Literal["partition", "host"]

_SOONEST, _LATEST = 0.05, 60.0
"""Seconds between which ``retry_after`` lies."""


@attrs.frozen
class Refusal:
    """Why a message may not wait.

    Attributes:
        scope: ``"partition"``: it has used up its part; ``"host"``: there is no room.
        retry_after: seconds after which a new attempt makes sense.
    """

    scope: Scope
    retry_after: float


class Admission:
    """Refuses messages when too many of a partition, or of the host, wait already.

    It owns the count of one host. ``messaging`` asks it before a message is accepted.

    Args:
        policy: how many may wait.
        share_of: returns what a partition is due.
        pace_of: returns the seconds in which a partition works off one turn; for
            ``retry_after``.

    Attributes:
        policy: the settings of the host.
        queued: messages that wait.
        refused: messages that were refused.
    """

    def __init__(
        self,
        policy: DispatchPolicy,
        share_of: Callable[[str], Share],
        pace_of: Callable[[str], float],
    ) -> None:
        self.policy = policy
        self.queued = 0
        self.refused = 0
        self._share_of = share_of
        self._pace_of = pace_of
        self._hard_room = int(policy.backlog * (1.0 + policy.reserve))

    def __repr__(self) -> str:
        room = self.policy.backlog
        return f"<Admission {self.queued}/{room} refused={self.refused}>"

    def look(
        self, backlog: PartitionBacklog, *, exempt: bool = False
    ) -> Refusal | None:
        """Return why one more message of a partition may not wait; ``None``: it may.

        Args:
            backlog: the counts of the partition.
            exempt: the message may use the reserve, and no threshold applies.
        """
        room = self.policy.backlog
        if exempt or self.queued >= room:
            if exempt and self.queued < self._hard_room:
                return None
            return self._refuse("host", self.queued - room, backlog)
        if not backlog.queued:
            return None
        excess = backlog.queued - self.limit(backlog)
        return None if excess < 0 else self._refuse("partition", excess, backlog)

    def limit(self, backlog: PartitionBacklog) -> float:
        """Return how many messages of a partition may wait now."""
        share = self._share_of(backlog.partition)
        left = self.policy.backlog - self.queued
        limit = self.policy.backlog_share * share.weight * left
        return limit if share.backlog is None else min(limit, share.backlog)

    def _refuse(
        self, scope: Scope, excess: float, backlog: PartitionBacklog
    ) -> Refusal:
        self.refused += 1
        seconds = (excess + 1.0) * self._pace_of(backlog.partition)
        return Refusal(scope, min(_LATEST, max(_SOONEST, seconds)))


@attrs.define(eq=False)
class PartitionBacklog:
    """Counts of one partition that last as long as the host knows it.

    Attributes:
        partition: its id.
        admission: the counts of the host.
        queued: messages that wait in its mailboxes.
        inline: turns run in their senders' steps during pass ``tick`` of the loop.
        tick: the last pass of the loop with such a turn.
        began: when the last such turn began.
        owed: seconds that such turns took and that are not charged yet.
    """

    partition: str
    admission: Admission
    queued: int = 0
    inline: int = 0
    tick: int = 0
    began: float = 0.0
    owed: float = 0.0

    def put(self) -> None:
        """Count a message that begins to wait."""
        self.queued += 1
        self.admission.queued += 1

    def take(self) -> None:
        """Count a message that has ceased to wait."""
        self.queued -= 1
        self.admission.queued -= 1
