"""The mistakes that the bounds must catch, each as a subclass of the real thing."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from supervision.fairness.account import Account, Resource, Ticket
from supervision.fairness.backpressure import Admission, PartitionBacklog, Refusal
from supervision.fairness.policy import DispatchPolicy, Share
from supervision.fairness.queue import FairQueue
from supervision.fairness.virtual_time import VirtualTime
from tests.supervision.fairness.world import Item

__all__ = [
    "BanksEverything",
    "BanksItsCap",
    "BanksItsIdleness",
    "ChargesPerDispatch",
    "FirstComeFirstServed",
    "ForgetsTags",
    "IgnoresCaps",
    "IgnoresDebt",
    "IgnoresWeights",
    "LeavesOut",
    "LosesPromises",
    "LosesWakeups",
    "NeverAges",
]

_Account = Account[Item]
_Ticket = Ticket[Item]


class IgnoresWeights(VirtualTime[Item]):
    def charge_estimate(self, account: _Account, ticket: _Ticket, now: float) -> None:
        before = account.tag
        super().charge_estimate(account, ticket, now)
        account.tag = before + ticket.charged

    def correct_charge(self, account: _Account, ticket: _Ticket, now: float) -> None:
        before = account.tag
        super().correct_charge(account, ticket, now)
        account.tag = before + now - ticket.started - ticket.charged


class ChargesPerDispatch(VirtualTime[Item]):
    """Takes every item for one of a second."""

    def correct_charge(self, account: _Account, ticket: _Ticket, now: float) -> None:
        super().correct_charge(account, ticket, ticket.started + 1.0)

    def is_undercharged(self, ticket: _Ticket, now: float) -> bool:
        return super().is_undercharged(ticket, ticket.started + 1.0)

    def charge_overrun(self, account: _Account, ticket: _Ticket, now: float) -> None:
        super().charge_overrun(account, ticket, ticket.started + 1.0)


class BanksItsIdleness(VirtualTime[Item]):
    def catch_up(self, account: _Account) -> None:
        """Leave the tag where it was."""


class BanksItsCap(VirtualTime[Item]):
    most_behind = float("inf")


class BanksEverything(BanksItsIdleness, BanksItsCap):
    """Keeps every credit, for as long as it likes."""


class ForgetsTags(FairQueue[Item]):
    def may_forget(self, account: _Account, now: float) -> bool:
        return not (account.waiting or account.seats)


class LeavesOut(FairQueue[Item]):
    """Does not look again at a partition that has come back below its cap."""

    def complete(self, ticket: _Ticket, now: float) -> None:
        was_full = ticket.account.seats >= ticket.account.share.cap
        super().complete(ticket, now)
        if was_full:
            ticket.account.version = -1


class IgnoresCaps(FairQueue[Item]):
    def __init__(
        self, policy: DispatchPolicy, share_of: object = None, **_: object
    ) -> None:
        def uncapped(partition: str) -> Share:
            share = share_of(partition) if callable(share_of) else policy.share
            assert isinstance(share, Share)
            return attrs.evolve(share, cap=policy.seats, hard_cap=policy.seats)

        super().__init__(policy, uncapped)


class IgnoresDebt(FairQueue[Item]):
    def _pop_over_cap(self, now: float) -> _Account | None:
        for account in self.accounts.values():
            account.debt = float("-inf")
        return super()._pop_over_cap(now)


class LosesWakeups(FairQueue[Item]):
    def _wake_waiters(self, resource: Resource[Item], now: float) -> None:
        """Spend a wake-up on one that has left already."""
        first = resource.waiters._entries[:1]  # pyright: ignore[reportPrivateUsage]
        if any(account.version != version for _, version, account in first):
            resource.waiters._entries.pop(0)  # pyright: ignore[reportPrivateUsage]
        else:
            super()._wake_waiters(resource, now)


class LosesPromises(FairQueue[Item]):
    def _pass_wakeup_on(self, account: _Account, now: float) -> None:
        """Do not wake another in place of one that cannot use the unit."""


class NeverAges(FairQueue[Item]):
    def __init__(
        self, policy: DispatchPolicy, share_of: Callable[[str], Share] | None = None
    ) -> None:
        super().__init__(policy, share_of)
        self._penalties = (0.0, 1e9, 2e9, float("-inf"))


class FirstComeFirstServed(Admission):
    """Takes everything until the room is full."""

    def look(
        self, backlog: PartitionBacklog, *, exempt: bool = False
    ) -> Refusal | None:
        return Refusal("host", 1.0) if self.queued >= self.policy.backlog else None
