"""The queue of one host: which partition gets the next seat.

The method is start-time fair queuing (Goyal, Vin and Cheng, 1996) over partitions.

Tags. Every partition has a tag: the seat-seconds charged to it, over its weight. The
least tag goes next. The virtual time is the largest tag that has gone. A partition that
becomes ready starts at the virtual time at least, so idling earns nothing. Of two that
keep waiting, with items of equal cost, neither is ahead by more than one item of each
(bound T2 of the tests).

Time is charged, not turns: a tenant with slow handlers would otherwise take as many
seats as it likes. The cost of an item is unknown when it begins. So an estimate is
charged then, ``accrue`` adds what a running item used beyond it, and ``complete`` puts
the used seconds in its place.

Caps. Below its cap a partition competes by tag. Between cap and hard cap it gets a seat
only while no partition below its cap can take one, and ``headroom`` seats stay free.
Seat-seconds above the cap are debt; at ``burst`` of debt the partition is back at its
cap, and below the cap the debt shrinks. A partition held at its cap lags behind; it
keeps the credit of one item, or it would take every seat when the cap is lifted. In
``examples/monday.py`` a cap of 20 lowers the worst wait of the others from 55 to 45 s,
but the flood lasts 188 min instead of 40; with a burst it lasts 48 min.

Resources. A partition whose head needs a resource without a free unit stands in the
heap of that resource and holds no seat. A unit given back is promised to the first in
the heap. A partition that cannot use it passes it on: no wake-up is lost (bound T10).

Rejected, with the worst wait of the others in the example where it was measured:
- First come, first served: 586 s.
- Round robin (57 s), the first dispatcher: it shares turns, however long they take.
- Deficit round robin: it needs the cost of an item before it begins.
- Stride scheduling: it charges every turn one quantum, however long it takes.
- Weighted fair queuing: it orders by the end of an item, so by its cost, and its clock
  assumes a constant rate of service, which caps and resources do not leave.

Nothing here waits or scans: heaps hold versioned entries, and stale ones are passed
over. With 100,000 messages queued a decision takes about 10 µs at 1,000 partitions and
17 µs at 10,000 (``docs/benchmarks.md``).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from .account import BLOCKED, FULL, IDLE, OVER, READY, Account, Place, Resource, Ticket
from .heap import TagHeap
from .statistics import ShareEvent, ShareNumbers, note_burst, note_cap_hit, numbers_of
from .usage import History, Usage
from .virtual_time import VirtualTime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .policy import DispatchPolicy, Share

__all__ = ["FairQueue"]

T = TypeVar("T")

_NORMAL = 1
_AT_ITS_CAP = (OVER, FULL)
_EVENTS = 4_096


class FairQueue(Generic[T]):
    """The queue in front of the seats of one host.

    ``enter`` / ``pick`` / ``complete`` are the life of an item; ``execution`` calls
    them. Every call takes the time as ``now``, in seconds that never go back.

    Args:
        policy: seats, headroom, penalties and first estimates.
        share_of: returns what a partition is due, when it is first seen; by default
            the share of the policy.

    Attributes:
        free: seats that no item holds.
        waiting: items that want one.
        contending: partitions below their cap that want one.
        tags: the accounting.
        accounts: the known partitions, by id.
        events: what happened, the oldest first; the dispatcher takes them out.
    """

    def __init__(
        self, policy: DispatchPolicy, share_of: Callable[[str], Share] | None = None
    ) -> None:
        self.free = policy.seats
        self.waiting = 0
        self.contending = 0
        self.accounts: dict[str, Account[T]] = {}
        self.events: deque[ShareEvent] = deque(maxlen=_EVENTS)
        self.tags: VirtualTime[T] = VirtualTime(policy.estimate)
        self._policy = policy
        self._shares = share_of
        self._penalties = (*policy.penalties, float("-inf"))
        self._ready: TagHeap[Account[T]] = TagHeap()
        self._over: TagHeap[Account[T]] = TagHeap()
        self._versions = 0
        self._history = History()
        self._sweep: deque[Account[T]] = deque()

    def __repr__(self) -> str:
        known = len(self.accounts)
        return f"<FairQueue free={self.free} waiting={self.waiting} accounts={known}>"

    # Partitions.

    def account(self, partition: str, now: float) -> Account[T]:
        """Return the account of a partition; open it on first use."""
        account = self.accounts.get(partition)
        if account is None:
            self._forget_some(now)
            share = self.share(partition)
            usage = Usage(partition, self._history.current)
            account = Account[T](partition, share, usage, touched=now)
            self.accounts[partition] = account
            self._sweep.append(account)
        return account

    def share(self, partition: str) -> Share:
        """Return what a partition is due now."""
        account = self.accounts.get(partition)
        if account is not None:
            return account.share
        return self._policy.share if self._shares is None else self._shares(partition)

    def set_share(self, partition: str, share: Share, now: float) -> None:
        """Change what a partition is due, also for what waits already."""
        account = self.accounts.get(partition)
        if account is None:
            return
        account.update_sums(now, self._history)
        self.tags.rescale(account, share)
        note_burst(account, now, self.events)
        self._update_place(account, now)

    def may_forget(self, account: Account[T], now: float) -> bool:
        """Return whether forgetting a partition gains or costs it nothing.

        A tag ahead of the virtual time is service that it had in advance, and debt is
        burst that it has not worked off: neither may be lost.
        """
        account.update_sums(now, self._history)
        return (
            not (account.waiting or account.seats)
            and account.tag <= self.tags.virtual
            and account.debt <= 0.0
        )

    def _forget_some(self, now: float) -> None:
        # Two are checked for each one that is added, so old accounts cannot pile up.
        for _ in range(min(2, len(self._sweep))):
            account = self._sweep.popleft()
            old = now - account.touched >= self._policy.memory
            if old and self.may_forget(account, now):
                del self.accounts[account.partition]
            else:
                self._sweep.append(account)

    # The life of an item.

    def enter(
        self,
        account: Account[T],
        item: T,
        now: float,
        *,
        kind: object = None,
        lane: int = _NORMAL,
        needs: Resource[T] | None = None,
    ) -> Ticket[T]:
        """Queue an item.

        Args:
            account: the account of its partition.
            item: what wants a seat.
            now: the time.
            kind: the name under which its duration is estimated.
            lane: its ``Priority``, or ``RETURNING``.
            needs: one unit of it is taken with the seat; ``release`` gives it back.
        """
        account.update_sums(now, self._history)
        ticket = Ticket(account, item, kind, lane, now, needs)
        account.add_ticket(ticket)
        self.waiting += 1
        if account.waiting == 1:
            self.tags.catch_up(account)
            self._update_place(account, now)
        elif account.resource is not None and account.head(self._penalties) is ticket:
            self._unblock(account, now)
        return ticket

    def begin(
        self, account: Account[T], item: T, now: float, *, kind: object = None
    ) -> Ticket[T] | None:
        """Give a seat at once to an item that would be picked next.

        Returns:
            Its ticket; ``None``: it has to ``enter``.
        """
        if (
            self.contending
            or self.free <= 0
            or account.waiting
            or account.seats >= account.share.cap
        ):
            return None
        account.update_sums(now, self._history)
        ticket = Ticket(account, item, kind, _NORMAL, now, None, waiting=False)
        self.tags.catch_up(account)
        self._give_seat(account, ticket, now)
        return ticket

    def pick(self, now: float) -> Ticket[T] | None:
        """Give a seat to the next item; ``None``: no item may have one."""
        while self.free > 0:
            account = self._ready.pop() or self._pop_over_cap(now)
            if account is None:
                return None
            ticket = account.head(self._penalties)
            if ticket is None:  # never: an account in a heap has a head
                return None
            if account.woken is not None and ticket.needs is not account.woken:
                self._pass_wakeup_on(account, now)
            if ticket.needs is None or self._try_unit(account, ticket.needs, now):
                self._seat_head(account, ticket, now)
                return ticket
        return None

    def complete(self, ticket: Ticket[T], now: float) -> None:
        """Take the seat of an item back, and charge what it used."""
        account = ticket.account
        account.update_sums(now, self._history)
        self.tags.correct_charge(account, ticket, now)
        account.seats -= 1
        self.free += 1
        if account.bursting:
            note_burst(account, now, self.events)
        if account.waiting:
            self._update_place(account, now)
        elif not self.waiting:
            self._end_busy_period()

    def cancel(self, ticket: Ticket[T], now: float) -> bool:
        """Remove an item from the queue; return whether it was still waiting."""
        if not ticket.waiting:
            return False
        account = ticket.account
        account.update_sums(now, self._history)
        account.cancel_ticket(ticket)
        self.waiting -= 1
        if account.resource is not None:
            self._unblock(account, now)
        elif not account.waiting:
            self._update_place(account, now)
        self._end_busy_period()
        return True

    def accrue(self, tickets: Iterable[Ticket[T]], now: float) -> None:
        """Charge running items for the time beyond what they were charged so far."""
        for ticket in tickets:
            if self.tags.is_undercharged(ticket, now):
                account = ticket.account
                account.update_sums(now, self._history)
                self.tags.charge_overrun(account, ticket, now)
                if account.waiting:
                    self._update_place(account, now)

    def spend(self, account: Account[T], seconds: float, now: float) -> None:
        """Charge a partition for seconds that it used without a seat."""
        account.update_sums(now, self._history)
        self.tags.charge_without_seat(account, seconds)
        account.usage.held += seconds
        if account.waiting:
            self._update_place(account, now)
        self._end_busy_period()

    def release(self, resource: Resource[T], now: float, units: int = 1) -> None:
        """Give units of a resource back, and wake a waiter for each free one."""
        resource.free += units
        self._wake_waiters(resource, now)

    def _pop_over_cap(self, now: float) -> Account[T] | None:
        """Return the next partition above its cap that may have a seat, if any."""
        if self.free <= self._policy.headroom:
            return None
        while (account := self._over.pop()) is not None:
            account.update_sums(now, self._history)
            if account.debt < account.share.burst:
                return account
            account.place = FULL
        return None

    def _seat_head(self, account: Account[T], ticket: Ticket[T], now: float) -> None:
        account.update_sums(now, self._history)
        account.remove_head(ticket)
        self.waiting -= 1
        self._give_seat(account, ticket, now)
        if account.seats > account.share.cap:
            note_burst(account, now, self.events)
        self._update_place(account, now)

    def _give_seat(self, account: Account[T], ticket: Ticket[T], now: float) -> None:
        self.tags.charge_estimate(account, ticket, now)
        account.seats += 1
        account.dispatched += 1
        self.free -= 1

    # The place of a partition.

    def _update_place(self, account: Account[T], now: float) -> None:
        """Put a partition where its state belongs; its older heap entries go stale."""
        heap: TagHeap[Account[T]] | None = None
        share = account.share
        if not account.waiting:
            place = IDLE
        elif account.resource is not None:
            place = BLOCKED
            heap = account.resource.waiters
        elif account.seats < share.cap:
            place, heap = READY, self._ready
        elif account.seats < share.hard_cap:
            place, heap = OVER, self._over
        else:
            place = FULL
        if place is not account.place:
            self._set_place(account, place, now)
        self._versions = account.version = self._versions + 1
        if heap is not None:
            heap.push(account)
        if account.woken is not None and place is not READY:
            self._pass_wakeup_on(account, now)

    def _set_place(self, account: Account[T], place: Place, now: float) -> None:
        if place is READY:
            self.contending += 1
        elif account.place is READY:
            self.contending -= 1
        account.place = place
        if place is IDLE:
            account.capped = False
        elif place in _AT_ITS_CAP and not account.capped:
            note_cap_hit(account, now, self.events)

    def _end_busy_period(self) -> None:
        # As in the paper: when a busy period ends, no partition is ahead of another.
        if not self.waiting and self.free == self._policy.seats:
            self.tags.end_busy_period()

    # Resources.

    def _try_unit(self, account: Account[T], resource: Resource[T], now: float) -> bool:
        """Take a unit for the head of a partition, or make the partition wait."""
        if resource.free > 0:
            resource.free -= 1
            account.clear_promise(resource)
            return True
        account.update_sums(now, self._history)
        account.clear_promise(resource)
        account.resource = resource
        self._update_place(account, now)
        return False

    def _wake_waiters(self, resource: Resource[T], now: float) -> None:
        while resource.free > resource.promised:
            account = resource.waiters.pop()
            if account is None:
                return
            self._unblock(account, now)
            if account.place is READY:
                account.woken = resource
                resource.promised += 1

    def _unblock(self, account: Account[T], now: float) -> None:
        account.update_sums(now, self._history)
        account.resource = None
        self.tags.catch_up(account)
        self._update_place(account, now)

    def _pass_wakeup_on(self, account: Account[T], now: float) -> None:
        """Wake another partition in place of one that cannot use its promised unit."""
        resource = account.woken
        if resource is not None:
            account.clear_promise(resource)
            self._wake_waiters(resource, now)

    # What operators see.

    def numbers(self, account: Account[T], now: float) -> ShareNumbers:
        """Return what a partition has got so far, and its state now."""
        account.update_sums(now, self._history)
        return numbers_of(account, self.tags.virtual)

    def history(self, now: float) -> History:
        """Return what partitions held and waited in the last minute, up to date."""
        for account in self.accounts.values():
            account.update_sums(now, self._history)
        return self._history
