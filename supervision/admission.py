"""Which messages may still wait: a threshold that moves with the room that is left.

After Choudhury and Hahne (1998), dynamic queue length thresholds: a partition may have
as many messages waiting as there are free places, times its weight and a factor. One
that floods the host fills a part of the room and no more, however long it goes on;
whoever has nothing waiting finds a place as long as there is one.
"""

from __future__ import annotations

from typing import Generic, Literal, TypeAlias, TypeVar

import attrs

from .accounts import Account
from .shares import DispatchPolicy

__all__ = ["Admission", "Refusal", "Scope"]

T = TypeVar("T")

Scope: TypeAlias = Literal["partition", "host"]

_SOONEST, _LATEST = 0.05, 60.0
"""Seconds between which ``retry_after`` lies."""


@attrs.frozen
class Refusal:
    """Why a message may not wait.

    Attributes:
        scope: whether the partition has used up its part, or nobody finds room.
        retry_after: seconds after which it is worth another try.
    """

    scope: Scope
    retry_after: float


class Admission(Generic[T]):
    """Counts the messages that wait on one host, and refuses what is too much.

    Attributes:
        queued: messages that wait.
        refused: messages that were refused.
    """

    def __init__(self, policy: DispatchPolicy) -> None:
        self.queued = 0
        self.refused = 0
        self._policy = policy
        self._room = policy.backlog
        self._hard_room = int(policy.backlog * (1.0 + policy.reserve))

    def __repr__(self) -> str:
        return f"<Admission {self.queued}/{self._room} refused={self.refused}>"

    def look(self, account: Account[T], *, exempt: bool = False) -> Refusal | None:
        """Say why one more message of a partition may not wait, or ``None``.

        Args:
            account: whose it is.
            exempt: it may use the reserve too, and no threshold applies.
        """
        if exempt:
            full = self.queued >= self._hard_room
            return self._refuse("host", self._room, account) if full else None
        if self.queued >= self._room:
            return self._refuse("host", self._room, account)
        if not account.queued:
            return None
        limit = self.limit(account)
        if account.queued < limit:
            return None
        return self._refuse("partition", limit, account)

    def limit(self, account: Account[T]) -> float:
        """Return how many messages of a partition may wait at this moment."""
        share = account.share
        left = self._room - self.queued
        limit = self._policy.backlog_share * share.weight * left
        return limit if share.backlog is None else min(limit, share.backlog)

    def put(self, account: Account[T]) -> None:
        """Count a message that waits."""
        account.queued += 1
        self.queued += 1

    def take(self, account: Account[T]) -> None:
        """Count a message that waits no more."""
        account.queued -= 1
        self.queued -= 1

    def _refuse(self, scope: Scope, limit: float, account: Account[T]) -> Refusal:
        self.refused += 1
        count = self.queued if scope == "host" else account.queued
        costs = (account.estimates or {}).values()
        mean = sum(costs) / len(costs) if costs else self._policy.estimate
        seats = self._policy.seats if scope == "host" else max(1, account.seats)
        seconds = max(1.0, count - limit) * mean / seats
        return Refusal(scope, min(_LATEST, max(_SOONEST, seconds)))
