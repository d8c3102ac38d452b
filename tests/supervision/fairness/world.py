from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Mapping

import attrs

from supervision.fairness.account import Account, Place, Resource, Ticket
from supervision.fairness.policy import DispatchPolicy, Priority, Share
from supervision.fairness.queue import FairQueue
from supervision.fairness.virtual_time import VirtualTime

__all__ = ["Item", "World", "make_dice", "plain", "spread"]


@attrs.frozen(eq=False)
class Item:
    """What waits for a seat and holds it for so many virtual seconds."""

    seconds: float
    entered: float = 0.0


@attrs.define(eq=False)
class World:
    """The real decision core with a virtual clock and items that only take time."""

    policy: DispatchPolicy
    shares: Mapping[str, Share] = attrs.field(factory=dict[str, Share])
    queue_type: type[FairQueue[Item]] = FairQueue[Item]
    tags_type: type[VirtualTime[Item]] = VirtualTime[Item]
    on_dispatch: Callable[[Ticket[Item]], None] = lambda _: None
    now: float = 0.0
    queue: FairQueue[Item] = attrs.field(init=False)
    running: list[tuple[float, int, Ticket[Item]]] = attrs.field(
        factory=list[tuple[float, int, Ticket[Item]]]
    )
    served: dict[str, int] = attrs.field(factory=dict[str, int])
    _count: int = 0
    _accrued: float = 0.0

    def __attrs_post_init__(self) -> None:
        self.queue = self.queue_type(
            self.policy, lambda name: self.shares.get(name, self.policy.share)
        )
        self.queue.tags = self.tags_type(self.policy.estimate)

    def account(self, partition: str) -> Account[Item]:
        return self.queue.account(partition, self.now)

    def enter(
        self,
        partition: str,
        seconds: float = 1.0,
        *,
        priority: Priority = Priority.NORMAL,
        kind: object = None,
        needs: Resource[Item] | None = None,
    ) -> Ticket[Item]:
        account = self.account(partition)
        item = Item(seconds, self.now)
        return self.queue.enter(
            account, item, self.now, kind=kind, lane=priority, needs=needs
        )

    def pump(self) -> list[Ticket[Item]]:
        """Seat whoever may be seated."""
        begun: list[Ticket[Item]] = []
        while (ticket := self.queue.pick(self.now)) is not None:
            self.hold(ticket)
            begun.append(ticket)
            self.on_dispatch(ticket)
        return begun

    def hold(self, ticket: Ticket[Item]) -> None:
        """Let an item that has a seat keep it for its time."""
        self._count += 1
        end = self.now + ticket.item.seconds
        heapq.heappush(self.running, (end, self._count, ticket))
        name = ticket.account.partition
        self.served[name] = self.served.get(name, 0) + 1

    def advance(self, seconds: float) -> None:
        """Let time pass; what runs is charged once a second and ends when it is due."""
        end = self.now + seconds
        while True:
            due = self.running[0][0] if self.running else math.inf
            tick = self._accrued + self.policy.accrual if self.running else math.inf
            if min(due, tick) > end:
                break
            if due <= tick:
                self.finish()
                self.pump()
            else:
                self._accrued = self.now = max(self.now, tick)
                self.queue.accrue([t for _, _, t in self.running], self.now)
        self.now = end

    def finish(self) -> Ticket[Item]:
        """Let the item end that is due first."""
        end, _, ticket = heapq.heappop(self.running)
        self.now = max(self.now, end)
        if ticket.needs is not None:
            self.queue.release(ticket.needs, self.now)
        self.queue.complete(ticket, self.now)
        return ticket

    def drain(self) -> None:
        """Go on until nothing waits and nothing runs."""
        self.pump()
        while self.running:
            self.finish()
            self.pump()

    def received(self, partition: str) -> float:
        """Return the seat-seconds that a partition has had so far."""
        return self.queue.numbers(self.account(partition), self.now).received

    def left_out(self) -> list[str]:
        """Name the partitions below their caps that wait although a seat is free."""
        if self.queue.free <= 0:
            return []
        return [
            account.partition
            for account in self.queue.accounts.values()
            if account.waiting
            and account.place is not Place.BLOCKED
            and account.seats < account.share.cap
        ]


def plain(seats: int) -> DispatchPolicy:
    """Make a policy without caps, where an item is expected to take a second."""
    return DispatchPolicy(seats=seats, share=Share(cap=seats), estimate=1.0)


def make_dice(seed: int) -> random.Random:
    """Make a source of chance that gives the same for the same seed."""
    return random.Random(seed)


def spread(dice: random.Random, mean: float, longest: float) -> float:
    """Draw a duration, exponential, cut off."""
    return min(longest, max(longest / 1_000, dice.expovariate(1.0 / mean)))
