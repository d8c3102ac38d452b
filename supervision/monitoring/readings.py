"""Readings: the numbers of a running host at one moment, for ``health`` to judge."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, TypeVar

from ..fairness import Period, Usage
from ..telemetry import PERIOD
from .health import HostLoad, PartitionLoad

if TYPE_CHECKING:
    from ..fairness import Blame, History
    from .view import HostView, PartitionView

T = TypeVar("T")

__all__ = ["host_load", "quick_check"]

_WINDOW = 60.0
"""Seconds that the history of the dispatcher covers."""

_HOLDERS = 3
"""Most partitions blamed for the waiting of one victim: those that held most."""

_IDLE = Usage("", Period(0.0))
"""The usage of a partition without any in the history."""


def host_load(view: HostView[T], victims: int) -> HostLoad:
    """Read the numbers of every partition that was used on a host.

    Args:
        view: the numbers of the host.
        victims: how many partitions get blame; those that waited longest come first.
    """
    history = view.dispatch.history()
    recent = history.recent()
    worst = heapq.nlargest(victims, recent, key=lambda name: recent[name].waited)
    running, now = view.holds_loop(), view.now()
    blocks = running is not None and now - running[1] >= view.warn_after
    return HostLoad(
        seats=view.seats,
        free=view.dispatch.statistics().free,
        window=_WINDOW,
        period=2 * PERIOD,
        partitions=tuple(
            _load(view, partition, recent.get(partition.name, _IDLE), now)
            for partition in view.partitions.values()
        ),
        blame=tuple(b for name in worst for b in _blame(history, name)),
        blocked_by=running[0] if running and blocks else None,
        resources=view.dispatch.resources(),
    )


def quick_check(view: HostView[T]) -> int | None:
    """Return the number of partitions in use, if none of them can be affected.

    Most of the time none is. It reads only the fewest numbers that show a problem.

    Returns:
        How many partitions are in use; ``None``: some may be affected, so the full
        check is needed.
    """
    policy, now, in_use = view.policy, view.now(), 0
    for partition in view.partitions.values():
        gained = partition.latency.gains(now)
        answered, failed, rejected, refused, _, _ = gained
        queued = partition.queued
        if not (answered or failed or rejected or refused or queued):
            continue
        in_use += 1
        silent = queued and not (answered or failed)
        if rejected or refused or silent or failed >= policy.errors:
            return None
        target = partition.response_target
        if partition.latency.exceeds(
            policy.response_target if target is None else target
        ):
            return None
    return in_use


def _load(
    view: HostView[T],
    partition: PartitionView,
    recent: Usage,
    now: float,
) -> PartitionLoad:
    vitals = partition.latency.vitals(now)
    account = view.dispatch.account(partition.name)
    target = partition.response_target
    queued = partition.queued
    if account is None:
        share = view.share_of(partition.name)
        return PartitionLoad(
            partition=partition.name,
            vitals=vitals,
            target=target,
            weight=share.weight,
            queued=queued,
            cap=share.cap,
        )
    return PartitionLoad(
        partition=partition.name,
        vitals=vitals,
        target=target,
        weight=account.share.weight,
        queued=queued,
        waiting=account.waiting,
        seats=account.seats,
        cap=account.share.cap,
        cap_hits=account.cap_hits,
        held=recent.held,
        waited=recent.waited,
        waited_own=recent.own,
        waited_resources=recent.lacked,
        blocked_on=None if account.resource is None else account.resource.name,
        lag=view.dispatch.lag(account),
    )


def _blame(history: History, victim: str) -> list[Blame]:
    others = [b for b in history.blame(victim) if b.holding != victim]
    return others[:_HOLDERS]
