"""Idle hibernation: of instances without traffic, attachment or busy child.

Traffic does not touch this file. Each live instance has one entry in a heap, at the
earliest time at which it could be due. When the entry comes up, the real last use is
checked: the instance hibernates, or the entry goes back with a later time.
"""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING

from ..agents import Phase, family_used, is_busy

if TYPE_CHECKING:
    from collections.abc import Callable

    from persistence import Clock, Handle

    from ..agents import Instance

__all__ = ["Idle"]

_SOONEST = 0.02
"""Least seconds between two checks of an instance that may not hibernate yet."""
_CLEAN_FROM = 64
"""Entries of removed instances up to which no clean-up is done."""


class Idle:
    """The idle timers of one host, on one timer of the clock.

    Each watched instance has one entry. ``Activation`` adds entries, and ``Removal``
    reports removed instances.

    Args:
        clock: gives monotonic time and the timer.
        hibernate: asks an instance to hibernate.
    """

    def __init__(self, clock: Clock, hibernate: Callable[[Instance], None]) -> None:
        self._clock = clock
        self._hibernate = hibernate
        self._due: list[tuple[float, int, Instance]] = []
        self._order = count()
        self._timer: Handle | None = None
        self._timer_at = 0.0
        self._gone = 0
        self._closed = False

    def __repr__(self) -> str:
        return f"<Idle watched={len(self._due)}>"

    def watch(self, instance: Instance) -> None:
        """Start the idle timer of an instance that has just become live."""
        timeout = instance.manager.policy.idle_timeout
        if timeout is not None and not self._closed:
            due = self._clock.monotonic() + timeout
            self._enter(instance, max(due, instance.stays_until))

    def forget(self, instance: Instance) -> None:
        """Count a removed instance; the next clean-up drops its entry."""
        if instance.manager.policy.idle_timeout is None:
            return
        self._gone += 1
        if self._gone > _CLEAN_FROM and self._gone * 2 > len(self._due):
            self._due = [entry for entry in self._due if entry[2].live]
            heapq.heapify(self._due)
            self._gone = 0

    def close(self) -> None:
        """End the timer for good; instances that become live later are not watched."""
        self._closed = True
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _enter(self, instance: Instance, at: float) -> None:
        heapq.heappush(self._due, (at, next(self._order), instance))
        if self._timer is None or at < self._timer_at:
            self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._due:
            self._timer_at = self._due[0][0]
            delay = max(0.0, self._timer_at - self._clock.monotonic())
            self._timer = self._clock.call_later(delay, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._clock.monotonic()
        again: list[tuple[Instance, float]] = []
        while self._due and self._due[0][0] <= now:
            instance = heapq.heappop(self._due)[2]
            if (at := self._next_look(instance, now)) is not None:
                again.append((instance, at))
        for instance, at in again:
            heapq.heappush(self._due, (at, next(self._order), instance))
        self._arm()

    def _next_look(self, instance: Instance, now: float) -> float | None:
        """Hibernate an instance that is due; else return the time of the next check."""
        timeout = instance.manager.policy.idle_timeout
        if timeout is None or not instance.live or instance.phase is Phase.STOPPING:
            instance.watched = False
            return None
        later = now + max(timeout, _SOONEST)
        if instance.parent is not None or instance.phase is not Phase.IDLE:
            return later
        if is_busy(instance):
            return later
        due = max(family_used(instance) + timeout, instance.stays_until)
        if due > now:
            return max(due, now + _SOONEST)
        instance.watched = False
        self._hibernate(instance)
        return None
