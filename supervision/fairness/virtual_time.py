"""The accounting of fair turns: tags, virtual time, estimates. Pure arithmetic.

Every partition has a *tag*: the seat-seconds charged to it over its weight. The
*virtual time* is the largest tag that has been served. These rules decide which
partition is next; ``queue`` finds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from .account import Account, Ticket
    from .policy import Share

__all__ = ["VirtualTime"]

T = TypeVar("T")

_LEAST_COST = 1e-6
"""Seconds that a turn is expected to take at least: every turn moves its tag."""
_SMOOTHING = 0.1
"""Weight of the newest turn in the estimate of its kind."""


class VirtualTime(Generic[T]):
    """The virtual time of one host, and the rules that move the partitions' tags.

    The virtual time never goes back. ``queue`` is the only caller.

    Attributes:
        virtual: the virtual time.
        most_behind: items that a partition at its cap may be behind the others.
    """

    most_behind = 1.0

    def __init__(self, first_estimate: float) -> None:
        self.virtual = 0.0
        self._first_estimate = first_estimate
        self._furthest = 0.0

    def catch_up(self, account: Account[T]) -> None:
        """Raise the tag of a partition to the virtual time: idling earns nothing."""
        account.tag = max(account.tag, self.virtual)

    def charge_estimate(
        self, account: Account[T], ticket: Ticket[T], now: float
    ) -> None:
        """Charge the expected seconds of an item that gets a seat."""
        tag = account.tag
        if tag > self.virtual:
            self.virtual = tag
        expected = self._first_estimate
        if account.estimates is not None:
            expected = account.estimates.get(ticket.kind, expected)
        ticket.started = now
        ticket.charged = expected
        account.tag = tag = tag + expected / account.share.weight
        if tag > self._furthest:
            self._furthest = tag

    def correct_charge(
        self, account: Account[T], ticket: Ticket[T], now: float
    ) -> None:
        """Charge the seconds that an item used, in place of the expected ones.

        A partition that waits for its own cap falls behind, since the others go on. If
        it kept all of that credit, it would take every seat as soon as the cap is
        lifted. So it may be behind by the cost of one of its items at most.
        """
        used = now - ticket.started
        estimates = account.estimates
        if estimates is None:
            account.estimates = estimates = {}
        mean = estimates.get(ticket.kind, used)
        mean += _SMOOTHING * (used - mean)
        estimates[ticket.kind] = mean = max(mean, _LEAST_COST)
        weight = account.share.weight
        tag = account.tag + (used - ticket.charged) / weight
        account.tag = tag = max(tag, self.virtual - self.most_behind * mean / weight)
        if tag > self._furthest:
            self._furthest = tag

    def is_undercharged(self, ticket: Ticket[T], now: float) -> bool:
        """Return whether a running item has used more than it was charged so far."""
        return now - ticket.started > ticket.charged

    def charge_overrun(
        self, account: Account[T], ticket: Ticket[T], now: float
    ) -> None:
        """Charge a running item for what it used beyond what it was charged."""
        beyond = now - ticket.started - ticket.charged
        ticket.charged += beyond
        self.charge(account, beyond)

    def charge(self, account: Account[T], seconds: float) -> None:
        """Move a tag ahead by seconds over the weight of the partition."""
        account.tag += seconds / account.share.weight
        self._furthest = max(self._furthest, account.tag)

    def charge_without_seat(self, account: Account[T], seconds: float) -> None:
        """Charge what a partition used without a seat, as if it had had a turn."""
        self.catch_up(account)
        self.virtual = max(self.virtual, account.tag)
        self.charge(account, seconds)

    def rescale(self, account: Account[T], share: Share) -> None:
        """Give a partition another share; its lead or lag is scaled with the weight."""
        ahead = account.tag - self.virtual
        account.tag = self.virtual + ahead * account.share.weight / share.weight
        account.share = share

    def end_busy_period(self) -> None:
        """Level all tags: when nothing waits or runs, no partition is ahead."""
        self.virtual = max(self.virtual, self._furthest)
