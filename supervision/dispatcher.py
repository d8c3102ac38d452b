"""Gives turns to instances that have mail, fairly over partitions.

The policy (``fairness``) decides who is next; this is its driver on the loop. Every
change of state is synchronous: no lock, no await. A turn whose first handler is a
``def`` runs here; any other is given to a worker.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools

import attrs
from attrs import validators

from .instance import Instance
from .phases import Phase
from .rounds import Lane, RoundRobin
from .turns import Turns
from .workers import Workers

__all__ = ["DispatchPolicy", "DispatchStatistics", "Dispatcher"]

Seeker = Instance | asyncio.Future[None]
"""What waits for a seat: an instance with mail, or a parked turn that comes back."""


@attrs.frozen(kw_only=True)
class DispatchPolicy:
    """How many turns run at a time.

    Attributes:
        seats: turns of all partitions together.
        partition_cap: turns of one partition.
        inline: turns of one partition that may run in their callers' steps within one
            pass of the event loop, before they queue like everybody else's.
        burst: turns started before the loop gets to do something else.
    """

    seats: int = attrs.field(default=512, validator=validators.ge(1))
    partition_cap: int = attrs.field(default=64, validator=validators.ge(1))
    inline: int = attrs.field(default=64, validator=validators.ge(0))
    burst: int = attrs.field(default=64, validator=validators.ge(1))


@attrs.frozen(kw_only=True)
class DispatchStatistics:
    """What the dispatcher holds now.

    Attributes:
        free: seats nobody holds.
        running: turns in workers.
        parked: turns that gave their seat back while they wait for a reply.
    """

    free: int
    running: int
    parked: int


@attrs.define(eq=False)
class _Seat:
    lane: Lane[Seeker]
    task: asyncio.Task[None] | None = None
    held: bool = True


class Dispatcher:
    """Seats, lanes and the pump of one host."""

    def __init__(self, policy: DispatchPolicy, turns: Turns, workers: Workers) -> None:
        self._policy = policy
        self._turns = turns
        self._workers = workers
        self._fair: RoundRobin[Seeker] = RoundRobin(policy.seats)
        self._seats: dict[Instance, _Seat] = {}
        self._pumping = False
        self._tick = 1
        self._ticking = False
        self._context = contextvars.Context()

    def __repr__(self) -> str:
        return f"<Dispatcher free={self._fair.free} running={len(self._seats)}>"

    def lane(self, partition: str) -> Lane[Seeker]:
        """Make the lane of a partition."""
        return Lane(partition, self._policy.partition_cap)

    def statistics(self) -> DispatchStatistics:
        return DispatchStatistics(
            free=self._fair.free,
            running=len(self._seats),
            parked=sum(1 for seat in self._seats.values() if not seat.held),
        )

    def may_inline(self, lane: Lane[Seeker]) -> bool:
        """Say whether a turn may run in its caller's step, and count it.

        It may not while others of the partition wait, or when the partition has used
        up its share of this pass of the loop.
        """
        if lane.waiting or lane.seats >= lane.cap:
            return False
        if lane.tick != self._tick:
            lane.tick = self._tick
            lane.inline = 0
            if not self._ticking:
                self._ticking = True
                asyncio.get_running_loop().call_soon(
                    self._next_tick, context=self._context
                )
        lane.inline += 1
        return lane.inline <= self._policy.inline

    def submit(self, instance: Instance) -> None:
        """Queue an instance that has mail for a seat."""
        instance.phase = Phase.READY
        self._fair.enter(instance.partition.lane, instance)
        self._pump_soon()

    def park(self, instance: Instance) -> bool:
        """Give a running turn's seat back while it waits; say whether it had one."""
        seat = self._seats.get(instance)
        if seat is None or not seat.held:
            return False
        seat.held = False
        self._fair.leave(seat.lane)
        self._pump_soon()
        return True

    async def unpark(self, instance: Instance) -> None:
        """Wait for a seat again, ahead of those that have not begun."""
        seat = self._seats[instance]
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._fair.enter(seat.lane, turn, first=True)
        self._pump_soon()
        try:
            await turn
        finally:
            seat.held = turn.done() and not turn.cancelled()

    def cancel(self, instance: Instance) -> bool:
        """Cancel the running turn of an instance; say whether there was one."""
        seat = self._seats.get(instance)
        if seat is None or seat.task is None:
            return False
        seat.task.cancel()
        return True

    def _next_tick(self) -> None:
        self._tick += 1
        self._ticking = False

    def _pump_soon(self) -> None:
        if not self._pumping:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self._pump, context=self._context)

    def _pump(self) -> None:
        self._pumping = False
        for _ in range(self._policy.burst):
            picked = self._fair.pick()
            if picked is None:
                return
            self._seat(*picked)
        self._pump_soon()

    def _seat(self, lane: Lane[Seeker], seeker: Seeker) -> None:
        if isinstance(seeker, asyncio.Future):
            if seeker.done():  # its turn was cancelled while it waited
                self._fair.leave(lane)
            else:
                seeker.set_result(None)
            return
        seeker.phase = Phase.RUNNING
        if self._turns.begins_sync(seeker):
            try:
                self._turns.run_sync(seeker)
            finally:
                self._fair.leave(lane)
            return
        seat = self._seats[seeker] = _Seat(lane)
        seat.task = self._workers.run(functools.partial(self._work, seeker, seat))

    async def _work(self, instance: Instance, seat: _Seat) -> None:
        try:
            await self._turns.run_async(instance)
        finally:
            if self._seats.get(instance) is seat:
                del self._seats[instance]
            if seat.held:
                self._fair.leave(seat.lane)
            self._pump_soon()
