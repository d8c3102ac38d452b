"""Who is next: the decision core of the dispatcher, without clock, loop or I/O.

Start-time fair queuing (Goyal, Vin and Cheng 1996) over partitions, with caps and
charged by the time that was really used. Every partition has a *tag*: the seat-seconds
charged to it over its weight. The least tag goes next, and the *virtual time* of the
queue is the largest tag that has gone. Whoever comes (back) starts at the virtual time
at least, so idling earns nothing; whoever is served moves ahead by what that costs.

The cost is an estimate when a turn begins, corrected while it runs (``accrue``) and
when it ends (``complete``). Nothing here waits and nothing here scans: heaps hold
versioned entries, stale ones are passed over, and what waits for a resource stands in
that resource's own heap until it is released.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from .account import BLOCKED, FULL, IDLE, OVER, READY, Account, Place, Resource, Ticket
from .heap import TagHeap
from .statistics import ShareEvent, ShareEventKind, ShareNumbers, event_of, numbers_of
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

    ``enter`` / ``pick`` / ``complete`` are the life of an item; the other calls say
    what happens meanwhile. Every call takes the time as ``now``, in seconds that never
    go back.

    Args:
        policy: seats, headroom, penalties and first estimates.
        share_of: what a partition is due, asked when it is first seen; by default the
            policy's share.

    Attributes:
        free: seats nobody holds.
        waiting: items that want one.
        contending: partitions below their cap that want one.
        tags: the account-keeping.
        accounts: the partitions that are known, by id.
        events: what happened, the oldest first; whoever reports them takes them out.
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
        self._given = share_of
        self._penalties = (*policy.penalties, float("-inf"))
        self._ready: TagHeap[T] = TagHeap()
        self._over: TagHeap[T] = TagHeap()
        self._versions = 0
        self._history = History()
        self._sweep: deque[Account[T]] = deque()

    def __repr__(self) -> str:
        known = len(self.accounts)
        return f"<FairQueue free={self.free} waiting={self.waiting} accounts={known}>"

    # Partitions.

    def account(self, partition: str, now: float) -> Account[T]:
        """Return the account of a partition, opened on first use."""
        account = self.accounts.get(partition)
        if account is None:
            self._forget_some(now)
            share = self.share(partition)
            stretch = Usage(partition, self._history.current)
            account = Account[T](partition, share, stretch, touched=now)
            self.accounts[partition] = account
            self._sweep.append(account)
        return account

    def share(self, partition: str) -> Share:
        """Return what a partition is due at present."""
        account = self.accounts.get(partition)
        if account is not None:
            return account.share
        return self._policy.share if self._given is None else self._given(partition)

    def set_share(self, partition: str, share: Share, now: float) -> None:
        """Change what a partition is due; it applies to what waits already."""
        account = self.accounts.get(partition)
        if account is None:
            return
        account.touch(now, self._history)
        self.tags.rescale(account, share)
        self._note_burst(account, now)
        self._offer(account, now)

    def may_forget(self, account: Account[T], now: float) -> bool:
        """Say whether forgetting a partition gains or costs it nothing.

        A tag ahead of the virtual time is service that it had in advance, and debt is
        burst that it has not worked off: neither may be lost.
        """
        account.touch(now, self._history)
        return (
            not (account.waiting or account.seats)
            and account.tag <= self.tags.virtual
            and account.debt <= 0.0
        )

    def _forget_some(self, now: float) -> None:
        # Two are looked at for each one that is added, so what may go cannot pile up.
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
            account: whose it is.
            item: what wants a seat.
            now: the time.
            kind: what its duration is estimated by.
            lane: its ``Priority``, or ``RETURNING``.
            needs: one unit of it is taken with the seat; whoever gives it back calls
                ``release``.
        """
        account.touch(now, self._history)
        ticket = Ticket(account, item, kind, lane, now, needs)
        account.add(ticket)
        self.waiting += 1
        if account.waiting == 1:
            self.tags.start(account)
            self._offer(account, now)
        elif account.resource is not None and account.head(self._penalties) is ticket:
            self._unblock(account, now)
        return ticket

    def begin(
        self, account: Account[T], item: T, now: float, *, kind: object = None
    ) -> Ticket[T] | None:
        """Give a seat at once to an item that would be picked next anyway.

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
        account.touch(now, self._history)
        ticket = Ticket(account, item, kind, _NORMAL, now, None, waiting=False)
        self.tags.start(account)
        self._hold(account, ticket, now)
        return ticket

    def pick(self, now: float) -> Ticket[T] | None:
        """Give a seat to the next item; ``None`` when nothing may have one."""
        while self.free > 0:
            account = self._ready.pop() or self._next_over(now)
            if account is None:
                return None
            ticket = account.head(self._penalties)
            if ticket is None:  # never, or it would not be in a heap
                return None
            if account.woken is not None and ticket.needs is not account.woken:
                self._pass_on(account, now)
            if ticket.needs is None or self._take(account, ticket.needs, now):
                self._seat(account, ticket, now)
                return ticket
        return None

    def complete(self, ticket: Ticket[T], now: float) -> None:
        """Take the seat of an item back, and charge what it used."""
        account = ticket.account
        account.touch(now, self._history)
        self.tags.correct(account, ticket, now)
        account.seats -= 1
        self.free += 1
        if account.bursting:
            self._note_burst(account, now)
        if account.waiting:
            self._offer(account, now)
        elif not self.waiting:
            self._rest()

    def cancel(self, ticket: Ticket[T], now: float) -> bool:
        """Take an item out of the queue; say whether it was still waiting."""
        if not ticket.waiting:
            return False
        account = ticket.account
        account.touch(now, self._history)
        account.cancel(ticket)
        self.waiting -= 1
        if account.resource is not None:
            self._unblock(account, now)
        elif not account.waiting:
            self._offer(account, now)
        self._rest()
        return True

    def accrue(self, tickets: Iterable[Ticket[T]], now: float) -> None:
        """Charge running items for the time beyond what they were charged so far."""
        for ticket in tickets:
            if self.tags.is_beyond(ticket, now):
                account = ticket.account
                account.touch(now, self._history)
                self.tags.accrue(account, ticket, now)
                if account.waiting:
                    self._offer(account, now)

    def spend(self, account: Account[T], seconds: float, now: float) -> None:
        """Charge a partition for time that it used without a seat."""
        account.touch(now, self._history)
        self.tags.spend(account, seconds)
        account.stretch.held += seconds
        if account.waiting:
            self._offer(account, now)
        self._rest()

    def release(self, resource: Resource[T], now: float, units: int = 1) -> None:
        """Give units of a resource back, and wake as many as they are enough for."""
        resource.free += units
        self._wake(resource, now)

    def _next_over(self, now: float) -> Account[T] | None:
        """Take out the partition above its cap whose turn it is, if any may be."""
        if self.free <= self._policy.headroom:
            return None
        while (account := self._over.pop()) is not None:
            account.touch(now, self._history)
            if account.debt < account.share.burst:
                return account
            account.place = FULL
        return None

    def _seat(self, account: Account[T], ticket: Ticket[T], now: float) -> None:
        account.touch(now, self._history)
        account.remove_head(ticket)
        self.waiting -= 1
        self._hold(account, ticket, now)
        if account.seats > account.share.cap:
            self._note_burst(account, now)
        self._offer(account, now)

    def _hold(self, account: Account[T], ticket: Ticket[T], now: float) -> None:
        self.tags.serve(account, ticket, now)
        account.seats += 1
        account.dispatched += 1
        self.free -= 1

    # Where a partition stands.

    def _offer(self, account: Account[T], now: float) -> None:
        """Put a partition where its state belongs; its older heap entries are void."""
        heap: TagHeap[T] | None = None
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
            self._move(account, place, now)
        self._versions = account.version = self._versions + 1
        if heap is not None:
            heap.push(account)
        if account.woken is not None and place is not READY:
            self._pass_on(account, now)

    def _move(self, account: Account[T], place: Place, now: float) -> None:
        if place is READY:
            self.contending += 1
        elif account.place is READY:
            self.contending -= 1
        account.place = place
        if place is IDLE:
            account.capped = False
        elif place in _AT_ITS_CAP and not account.capped:
            account.capped = True
            account.cap_hits += 1
            self.events.append(event_of(account, ShareEventKind.CAP_HIT, now))

    def _rest(self) -> None:
        # The end of a busy period, as in the paper: nobody is ahead of anybody.
        if not self.waiting and self.free == self._policy.seats:
            self.tags.rest()

    # Resources.

    def _take(self, account: Account[T], resource: Resource[T], now: float) -> bool:
        """Take a unit for the head of a partition, or let the partition wait for it."""
        if resource.free > 0:
            resource.free -= 1
            self._keep_promise(account, resource)
            return True
        account.touch(now, self._history)
        self._keep_promise(account, resource)
        account.resource = resource
        self._offer(account, now)
        return False

    def _wake(self, resource: Resource[T], now: float) -> None:
        while resource.free > resource.promised:
            account = resource.waiters.pop()
            if account is None:
                return
            self._unblock(account, now)
            if account.place is READY:
                account.woken = resource
                resource.promised += 1

    def _unblock(self, account: Account[T], now: float) -> None:
        account.touch(now, self._history)
        account.resource = None
        self.tags.start(account)
        self._offer(account, now)

    def _keep_promise(self, account: Account[T], resource: Resource[T]) -> None:
        if account.woken is resource:
            account.woken = None
            resource.promised -= 1

    def _pass_on(self, account: Account[T], now: float) -> None:
        """Wake another in place of one that cannot use what it was woken for."""
        resource = account.woken
        if resource is not None:
            self._keep_promise(account, resource)
            self._wake(resource, now)

    # What operators see.

    def _note_burst(self, account: Account[T], now: float) -> None:
        above = account.seats > account.share.cap
        if above is account.bursting:
            return
        account.bursting = above
        account.bursts += above
        kind = ShareEventKind.BURST_BEGUN if above else ShareEventKind.BURST_ENDED
        self.events.append(event_of(account, kind, now))

    def numbers(self, account: Account[T], now: float) -> ShareNumbers:
        """Return what a partition has got so far, and how it stands."""
        account.touch(now, self._history)
        return numbers_of(account, self.tags.virtual)

    def history(self, now: float) -> History:
        """Return what partitions held and waited in the last minute, up to date."""
        for account in self.accounts.values():
            account.touch(now, self._history)
        return self._history
