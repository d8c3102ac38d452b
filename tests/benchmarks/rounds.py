"""The trivial dispatcher, which the real one is held to: rotation, uncharged."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections import deque
from collections.abc import Callable

import attrs

from persistence import Clock
from supervision.agents.instance import Instance, Seeker
from supervision.agents.phases import Phase
from supervision.execution.turns import Turns
from supervision.fairness.backpressure import Admission, PartitionBacklog
from supervision.fairness.policy import DispatchPolicy, Priority, Share
from supervision.fairness.statistics import DispatchStatistics
from supervision.loop.tasks import WorkerPool

__all__ = ["Rotation"]


@attrs.define(eq=False)
class _Lane:
    cap: int
    waiting: deque[Seeker] = attrs.field(factory=deque["Seeker"])
    seats: int = 0
    queued: bool = False
    inline: int = 0
    tick: int = 0


@attrs.define(eq=False)
class _Seat:
    lane: _Lane
    task: asyncio.Task[None] | None = None
    held: bool = True


class Rotation:
    """Round robin over partitions behind the seam of the dispatcher."""

    def __init__(
        self,
        policy: DispatchPolicy,
        turns: Turns,
        workers: WorkerPool,
        clock: Clock,
        share_of: Callable[[str], Share] | None = None,
    ) -> None:
        self._policy = policy
        self._turns = turns
        self._workers = workers
        self._now = clock.monotonic
        self.admission = Admission(policy, lambda _: policy.share, lambda _: 0.0)
        self._free = policy.seats
        self._ring: deque[_Lane] = deque()
        self._lanes: dict[str, _Lane] = {}
        self._seats: dict[Instance, _Seat] = {}
        self._pumping = False
        self._tick = 1
        self._ticking = False
        self._context = contextvars.Context()

    def set_share(self, partition: str, share: Share) -> None:
        """Nobody is due more than another."""

    def backlog(self, partition: str) -> PartitionBacklog:
        self._lanes[partition] = _Lane(self._policy.share.cap)
        return PartitionBacklog(partition, self.admission)

    def statistics(self) -> DispatchStatistics:
        return DispatchStatistics(
            free=self._free,
            running=len(self._seats),
            parked=0,
            waiting=0,
            queued=self.admission.queued,
            refused=0,
        )

    def spent(self, backlog: PartitionBacklog) -> bool:
        lane = self._lanes[backlog.partition]
        had_enough = 0 < self._policy.inline < lane.inline and lane.tick == self._tick
        return had_enough and not self._ring

    def may_inline(self, backlog: PartitionBacklog) -> bool:
        lane = self._lanes[backlog.partition]
        if lane.waiting or lane.seats >= lane.cap:
            return False
        if lane.tick != self._tick:
            lane.tick = self._tick
            lane.inline = 0
            if not self._ticking:
                self._ticking = True
                loop = asyncio.get_running_loop()
                loop.call_soon(self._next_tick, context=self._context)
        lane.inline += 1
        backlog.began = self._now()
        return lane.inline <= self._policy.inline

    def _next_tick(self) -> None:
        self._tick += 1
        self._ticking = False

    def arrive(self, instance: Instance) -> None:
        self.submit(instance)

    def submit(self, instance: Instance) -> None:
        instance.phase = Phase.READY
        self._enter(self._lanes[instance.address.partition], instance)
        self._pump_soon()

    def hasten(self, instance: Instance, priority: Priority) -> None:
        """All are alike."""

    def park(self, instance: Instance) -> bool:
        return False

    def cancel(self, instance: Instance) -> bool:
        seat = self._seats.get(instance)
        return seat is not None and seat.task is not None and seat.task.cancel()

    def _enter(self, lane: _Lane, seeker: Seeker) -> None:
        lane.waiting.append(seeker)
        self._offer(lane)

    def _offer(self, lane: _Lane) -> None:
        if not lane.queued and lane.waiting and lane.seats < lane.cap:
            lane.queued = True
            self._ring.append(lane)

    def _pick(self) -> tuple[_Lane, Seeker] | None:
        if self._free <= 0:
            return None
        while self._ring:
            lane = self._ring.popleft()
            lane.queued = False
            if not lane.waiting or lane.seats >= lane.cap:
                continue
            seeker = lane.waiting.popleft()
            lane.seats += 1
            self._free -= 1
            self._offer(lane)
            return lane, seeker
        return None

    def _leave(self, lane: _Lane) -> None:
        lane.seats -= 1
        self._free += 1
        self._offer(lane)

    def _pump_soon(self) -> None:
        if not self._pumping:
            self._pumping = True
            loop = asyncio.get_running_loop()
            loop.call_soon(self._pump, context=self._context)

    def _pump(self) -> None:
        self._pumping = False
        for _ in range(self._policy.pump):
            picked = self._pick()
            if picked is None:
                return
            self._begin(*picked)
        self._pump_soon()

    def _begin(self, lane: _Lane, seeker: Seeker) -> None:
        assert isinstance(seeker, Instance)
        seeker.phase = Phase.RUNNING
        if self._turns.begins_sync(seeker):
            try:
                self._turns.run_sync(seeker, float("inf"), None)
            finally:
                self._leave(lane)
            return
        seat = self._seats[seeker] = _Seat(lane)
        seat.task = self._workers.run(functools.partial(self._work, seeker, seat))

    async def _work(self, instance: Instance, seat: _Seat) -> None:
        try:
            await self._turns.run_async(instance, float("inf"), None)
        finally:
            if self._seats.get(instance) is seat:
                del self._seats[instance]
            if seat.held:
                self._leave(seat.lane)
            self._pump_soon()
