"""Bound T10: nothing that waits is ever left behind."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervision.fairness.account import RETURNING, Place, Resource, Ticket
from supervision.fairness.policy import Priority, Share
from supervision.fairness.queue import FairQueue
from tests.supervision.fairness import mistakes
from tests.supervision.fairness.search import counterexample, planted, thorough
from tests.supervision.fairness.world import Item, World, make_dice, plain

__all__: list[str] = []

OPERATIONS = [
    "enter",
    "enter",
    "enter",
    "finish",
    "finish",
    "cancel",
    "stop",
    "take",
    "give",
    "share",
    "return",
    "spend",
]


class Storm:
    """Random operations on the core, and what must hold after each."""

    def __init__(self, queue: type[FairQueue[Item]], seats: int) -> None:
        self.world = World(plain(seats), {}, queue_type=queue)
        self.seats = seats
        self.tickets: list[Ticket[Item]] = []
        self.cancelled: set[int] = set()
        self.resources: list[Resource[Item]] = [
            Resource("one", 1),
            Resource("two", 2),
        ]
        self.held = [0, 0]

    def do(self, what: str, n: int) -> None:
        getattr(self, f"do_{what}")(n, f"p{n % 4}")
        self.world.now += n / 1_000
        self.world.pump()

    def do_enter(self, n: int, partition: str) -> None:
        needs = (None, *self.resources)[n % 3]
        priority = Priority(n // 3 % 3)
        self.tickets.append(
            self.world.enter(partition, 1.0, priority=priority, needs=needs)
        )

    def do_return(self, n: int, partition: str) -> None:
        world = self.world
        account = world.account(partition)
        self.tickets.append(
            world.queue.enter(account, Item(1.0), world.now, lane=RETURNING)
        )

    def do_begin(self, n: int, partition: str) -> None:
        """Arrive; wait for a seat only if something stands before it."""
        world = self.world
        account = world.account(partition)
        ticket = world.queue.begin(account, Item(1.0), world.now)
        if ticket is None:
            ticket = world.enter(partition, 1.0)
        else:
            assert account.seats <= account.share.cap
            world.hold(ticket)
        self.tickets.append(ticket)

    def do_finish(self, n: int, partition: str) -> None:
        if self.world.running:
            self.world.finish()

    def do_cancel(self, n: int, partition: str) -> None:
        if self.tickets:
            self._cancel(self.tickets[n % len(self.tickets)])

    def do_stop(self, n: int, partition: str) -> None:
        for ticket in list(self.world.account(partition).tickets()):
            self._cancel(ticket)

    def do_take(self, n: int, partition: str) -> None:
        if self.resources[n % 2].free > 0:
            self.resources[n % 2].free -= 1
            self.held[n % 2] += 1

    def do_give(self, n: int, partition: str) -> None:
        if self.held[n % 2]:
            self.held[n % 2] -= 1
            self.world.queue.release(self.resources[n % 2], self.world.now)

    def do_share(self, n: int, partition: str) -> None:
        share = Share(weight=1 + n % 3, cap=1 + n % 5, hard_cap=1 + n % 7 + 5)
        self.world.queue.set_share(partition, share, self.world.now)

    def do_spend(self, n: int, partition: str) -> None:
        world = self.world
        world.queue.spend(world.account(partition), n / 100, world.now)

    def _cancel(self, ticket: Ticket[Item]) -> None:
        if self.world.queue.cancel(ticket, self.world.now):
            self.cancelled.add(id(ticket))

    def check(self) -> None:
        queue = self.world.queue
        accounts = list(queue.accounts.values())
        assert self.world.left_out() == []
        assert queue.free == self.seats - sum(a.seats for a in accounts)
        assert queue.waiting == sum(a.waiting for a in accounts)
        ready = [a for a in accounts if a.place is Place.READY]
        assert queue.contending == len(ready)
        for resource in self.resources:
            blocked = [a for a in accounts if a.resource is resource]
            promised = [a for a in ready if a.woken is resource]
            assert resource.promised == len(promised)
            assert not blocked or resource.free <= len(promised)

    def finish(self) -> None:
        for number, held in enumerate(self.held):
            for _ in range(held):
                self.world.queue.release(self.resources[number], self.world.now)
        self.world.drain()
        served = sum(self.world.served.values())
        assert served == len(self.tickets) - len(self.cancelled)
        assert self.world.queue.waiting == 0
        assert [r.free for r in self.resources] == [1, 2]


def no_wakeup_is_lost(
    queue: type[FairQueue[Item]], how: settings
) -> Callable[[], None]:
    @how
    @given(st.integers(1, 5), st.integers(0, 150), st.integers(0, 2**32))
    def check(seats: int, length: int, seed: int) -> None:
        dice = make_dice(seed)
        storm = Storm(queue, seats)
        for _ in range(length):
            storm.do(dice.choice(OPERATIONS), dice.randrange(1_000))
            storm.check()
        storm.finish()

    return check


def test_no_wakeup_is_lost() -> None:
    """O3, T10: block, unblock, cancel, stop by chance; then everything is served."""
    assert counterexample(no_wakeup_is_lost(FairQueue, thorough)) is None


@pytest.mark.parametrize(
    "mistake", [mistakes.LosesWakeups, mistakes.LosesPromises, mistakes.LeavesOut]
)
def test_the_bound_catches_a_lost_wakeup(mistake: type[FairQueue[Item]]) -> None:
    """O3, T10: three ways to leave somebody behind."""
    assert counterexample(no_wakeup_is_lost(mistake, planted)) is not None
