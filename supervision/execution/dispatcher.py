"""Gives turns to instances that have mail, fairly over partitions.

``fairness`` decides which partition is next; this is its driver on the loop. Every
change of state is synchronous: no lock, no await. A turn whose first handler is a
``def`` runs here; any other is given to a worker, and pays for its seat for as long
as it holds it.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
from typing import TYPE_CHECKING

import attrs

from ..agents import READY, RUNNING
from ..fairness import (
    RETURNING,
    Account,
    Admission,
    DispatchPolicy,
    DispatchStatistics,
    FairQueue,
    PartitionBacklog,
    Priority,
    Resource,
    ResourceNumbers,
    Share,
    ShareNumbers,
    StartPacing,
    Ticket,
    lag_of,
    resource_numbers,
)
from ..telemetry import partition_extra

if TYPE_CHECKING:
    from collections.abc import Callable

    from persistence import Clock, Handle

    from ..agents import Instance, Seeker
    from ..declaration import HandlerSpec
    from ..fairness import History
    from ..loop import WorkerPool
    from .turns import Turns

__all__ = ["Dispatcher"]

log = logging.getLogger("podvisor.dispatcher")


@attrs.define(eq=False)
class _Seat:
    ticket: Ticket[Seeker]
    resource: Resource[Seeker] | None
    task: asyncio.Task[None] | None = None
    held: bool = True


class Dispatcher:
    """Seats, queue and pump of one host.

    Args:
        policy: the settings.
        turns: runs the handlers.
        workers: tasks for those that wait.
        clock: the time that is charged.
        share_of: what a partition is due; by default the policy's share.

    Attributes:
        admission: which messages may still wait.
    """

    def __init__(
        self,
        policy: DispatchPolicy,
        turns: Turns,
        workers: WorkerPool,
        clock: Clock,
        share_of: Callable[[str], Share] | None = None,
    ) -> None:
        self._policy = policy
        self._all_seats = policy.seats
        self._inline, self._quantum = policy.inline, policy.quantum
        self._turns = turns
        self._workers = workers
        self._clock = clock
        self._now = clock.monotonic
        self._fair: FairQueue[Seeker] = FairQueue(policy, share_of)
        self._resources: dict[str, Resource[Seeker]] = {
            name: Resource(name, units) for name, units in policy.resources.items()
        }
        self.admission = Admission(policy, self._fair.share, self._per_turn)
        self._seats: dict[Instance, _Seat] = {}
        self._pumping = False
        self._pace = StartPacing(policy)
        self._tick = 1
        self._inlined: list[PartitionBacklog] = []
        self._accrual: Handle | None = None
        self._context = contextvars.Context()

    def __repr__(self) -> str:
        return f"<Dispatcher free={self._fair.free} running={len(self._seats)}>"

    # What others look at.

    def backlog(self, partition: str) -> PartitionBacklog:
        """Make the counts of a partition."""
        return PartitionBacklog(partition, self.admission)

    def statistics(self) -> DispatchStatistics:
        return DispatchStatistics(
            free=self._fair.free,
            running=len(self._seats),
            parked=sum(1 for seat in self._seats.values() if not seat.held),
            waiting=self._fair.waiting,
            queued=self.admission.queued,
            refused=self.admission.refused,
        )

    def numbers(self, partition: str) -> ShareNumbers | None:
        """Return what a partition has got so far; ``None``: nothing that is known."""
        account = self._fair.accounts.get(partition)
        return None if account is None else self._fair.numbers(account, self._now())

    def resources(self) -> tuple[ResourceNumbers, ...]:
        """Return how the resources stand that handlers need."""
        return resource_numbers(self._resources.values(), self._fair.accounts.values())

    def account(self, partition: str) -> Account[Seeker] | None:
        """Return what is known of a partition, as it was when it last changed."""
        return self._fair.accounts.get(partition)

    def lag(self, account: Account[Seeker]) -> float:
        """Return the seat-seconds by which a partition is behind its fair share."""
        return lag_of(account, self._fair.tags.virtual)

    def history(self) -> History:
        """Return which partitions held seats and waited for them in the last minute."""
        return self._fair.history(self._now())

    def set_share(self, partition: str, share: Share) -> None:
        """Change what a partition is due; what waits already waits under it."""
        self._fair.set_share(partition, share, self._now())
        self._pump_soon()

    def _per_turn(self, partition: str) -> float:
        """Return the seconds in which a partition works off one turn, about."""
        account = self._fair.accounts.get(partition)
        return self._policy.estimate if account is None else account.pace()

    # Turns in their callers' steps.

    def may_inline(self, backlog: PartitionBacklog) -> bool:
        """Return whether a turn may run in its caller's step, and count it as begun.

        It may when it would be the next anyway: nothing of its partition waits, and no
        other that is behind it. What it takes is charged after this pass of the loop.
        """
        fair = self._fair
        if (fair.waiting or fair.free < self._all_seats) and not self._is_next(backlog):
            return False
        if backlog.tick != self._tick:
            self._begin_tick(backlog)
        backlog.inline += 1
        backlog.began = self._now()
        return backlog.inline <= self._inline and backlog.owed < self._quantum

    def spent(self, backlog: PartitionBacklog) -> bool:
        """Return whether a turn waits only because of its share of this pass."""
        had_enough = 0 < self._inline < backlog.inline or backlog.owed >= self._quantum
        return had_enough and backlog.tick == self._tick and not self._fair.waiting

    def _is_next(self, backlog: PartitionBacklog) -> bool:
        fair = self._fair
        account = fair.accounts.get(backlog.partition)
        if account is None:
            return True
        if account.waiting or account.seats >= account.share.cap:
            return False
        return not fair.contending or account.tag <= fair.tags.virtual

    def _begin_tick(self, backlog: PartitionBacklog) -> None:
        backlog.tick = self._tick
        backlog.inline = 0
        if not self._inlined:
            loop = asyncio.get_running_loop()
            loop.call_soon(self._end_tick, context=self._context)
        self._inlined.append(backlog)

    def _end_tick(self) -> None:
        self._tick += 1
        inlined, self._inlined = self._inlined, []
        now = self._now()
        for backlog in inlined:
            if backlog.owed > 0.0:
                account = self._fair.account(backlog.partition, now)
                self._fair.spend(account, backlog.owed, now)
                backlog.owed = 0.0

    # Turns that queue.

    def arrive(self, instance: Instance) -> None:
        """Give an idle instance that got mail a seat now if nothing stands before it.

        Only a worker's turn may begin here: it runs in a step of its own. Others queue,
        and so do those that come while many have begun that did not run yet.
        """
        spec = _handler(instance)
        if spec.coroutine is None or spec.needs or self._pace.crowded:
            self.submit(instance)
            return
        now = self._now()
        account = self._fair.account(instance.address.partition, now)
        ticket = self._fair.begin(account, instance, now, kind=spec.name)
        if ticket is None:
            self.submit(instance)
            return
        self._give(instance, ticket)

    def submit(self, instance: Instance) -> None:
        """Queue an instance that has mail for a seat."""
        instance.phase = READY
        now = self._now()
        account = self._fair.account(instance.address.partition, now)
        mail = instance.mail
        lane = mail.urgency(now) if mail else Priority.NORMAL
        self._enter(account, instance, lane, now)
        self._pump_soon()

    def _enter(
        self, account: Account[Seeker], instance: Instance, lane: int, now: float
    ) -> None:
        spec = _handler(instance)
        needs = None if spec.needs is None else self._resources[spec.needs]
        instance.ticket = self._fair.enter(
            account, instance, now, kind=spec.name, lane=lane, needs=needs
        )

    def hasten(self, instance: Instance, priority: Priority) -> None:
        """Queue a waiting instance anew, for a message that is more urgent."""
        ticket = instance.ticket
        if ticket is None or ticket.lane <= priority:
            return
        now = self._now()
        if self._fair.cancel(ticket, now):
            self._enter(ticket.account, instance, priority, now)

    def park(self, instance: Instance) -> bool:
        """Give a running turn's seat back while it waits; say whether it had one."""
        seat = self._seats.get(instance)
        if seat is None or not seat.held:
            return False
        seat.held = False
        self._fair.complete(seat.ticket, self._now())
        self._pump_soon()
        return True

    async def unpark(self, instance: Instance) -> None:
        """Wait for a seat again, ahead of what its partition has not begun."""
        seat = self._seats[instance]
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        now, old = self._now(), seat.ticket
        account = self._fair.account(old.account.partition, now)
        ticket = self._fair.enter(account, turn, now, kind=old.kind, lane=RETURNING)
        self._pump_soon()
        try:
            await turn
        finally:
            if turn.done() and not turn.cancelled():
                seat.ticket, seat.held = ticket, True
            else:
                self._fair.cancel(ticket, self._now())

    def cancel(self, instance: Instance) -> bool:
        """Cancel the running turn of an instance; say whether there was one."""
        seat = self._seats.get(instance)
        if seat is None or seat.task is None:
            return False
        seat.task.cancel()
        return True

    # The pump.

    def _pump_soon(self) -> None:
        if not self._pumping:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self._pump, context=self._context)

    def _pump(self) -> None:
        """Start turns until nothing may start, or the loop has other things to do."""
        self._pumping = False
        now = self._now()
        self._pace.begin(now)
        while (ticket := self._fair.pick(now)) is not None:
            self._begin(ticket)
            now = self._now()
            if self._pace.enough(now):
                self._pump_soon()
                break
        else:
            if not self._fair.waiting:
                self._pace.rest()
        if self._fair.events:
            self._report()

    def _begin(self, ticket: Ticket[Seeker]) -> None:
        seeker = ticket.item
        if isinstance(seeker, asyncio.Future):
            if seeker.done():  # its turn was cancelled while it waited
                self._fair.complete(ticket, self._now())
            else:
                seeker.set_result(None)
            return
        seeker.ticket = None
        if self._turns.begins_sync(seeker):
            seeker.phase = RUNNING
            until = ticket.started + self._policy.quantum
            try:
                self._turns.run_sync(seeker, until, _name(ticket.needs))
            finally:
                now = self._now()
                self._fair.complete(ticket, now)
                self._release(ticket.needs, now)
            return
        self._give(seeker, ticket)

    def _give(self, instance: Instance, ticket: Ticket[Seeker]) -> None:
        """Start a turn in a worker."""
        instance.phase = RUNNING
        seat = self._seats[instance] = _Seat(ticket, ticket.needs)
        self._pace.hand(instance.partition.step_of(instance.manager.name, ticket.kind))
        seat.task = self._workers.run(functools.partial(self._work, instance, seat))
        if self._accrual is None:
            self._accrue_later()

    async def _work(self, instance: Instance, seat: _Seat) -> None:
        self._pace.run()
        # What the loop did before this began is not for the partition to pay.
        now = seat.ticket.started = self._now()
        until = now + self._policy.quantum
        try:
            await self._turns.run_async(instance, until, _name(seat.resource))
        finally:
            if self._seats.get(instance) is seat:
                del self._seats[instance]
            now = self._now()
            if seat.held:
                self._fair.complete(seat.ticket, now)
            self._release(seat.resource, now)
            if self._fair.waiting or self._fair.events:
                self._pump_soon()

    def _release(self, resource: Resource[Seeker] | None, now: float) -> None:
        """Give back the resource of a turn; a parked turn keeps it to its end."""
        if resource is not None:
            self._fair.release(resource, now)

    def _accrue_later(self) -> None:
        self._accrual = self._clock.call_later(self._policy.accrual, self._accrue)

    def _accrue(self) -> None:
        """Charge the turns that run for long, and look again while any runs."""
        self._accrual = None
        held = [seat.ticket for seat in self._seats.values() if seat.held]
        self._fair.accrue(held, self._now())
        if self._seats:
            self._accrue_later()

    def _report(self) -> None:
        while self._fair.events:
            event = self._fair.events.popleft()
            log.info(
                event.kind.value,
                extra=partition_extra(
                    event.partition, seats=event.seats, debt=round(event.debt, 3)
                ),
            )


def _name(resource: Resource[Seeker] | None) -> str | None:
    return None if resource is None else resource.name


def _handler(instance: Instance) -> HandlerSpec:
    """Find the handler of the message that is next."""
    message = None if not instance.mail else instance.mail.head().message
    spec = instance.manager.spec
    return spec.handlers.get(type(message)) or spec.handler_for(message, instance)
