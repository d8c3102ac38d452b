"""Reads the numbers of a running host at one moment, for ``health`` to judge."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from ..fairness import Period, Usage
from ..telemetry import PERIOD
from .health import HostLoad, PartitionLoad

if TYPE_CHECKING:
    from ..agents import Partition
    from ..fairness import Blame, History
    from ..host import Runtime

__all__ = ["glance", "host_load"]

_WINDOW = 60.0
"""Seconds that the dispatcher's history reaches back."""

_HOLDERS = 3
"""Partitions at whose door one victim's waiting is laid, those that held most."""

_IDLE = Usage("", Period(0.0))
"""What a partition did of which nothing was seen lately."""


def host_load(runtime: Runtime, victims: int) -> HostLoad:
    """Read the numbers of every partition that a host has met.

    Args:
        runtime: the inside of the host.
        victims: partitions whose waiting is laid at others' doors.
    """
    history = runtime.dispatcher.history()
    recent = history.recent()
    worst = heapq.nlargest(victims, recent, key=lambda name: recent[name].waited)
    running = runtime.oversight.meter.running
    now = runtime.clock.monotonic()
    held = None if running is None else now - running[2]
    blocks = held is not None and held >= runtime.policy.watchdog.warn_after
    return HostLoad(
        seats=runtime.policy.dispatch.seats,
        free=runtime.dispatcher.statistics().free,
        window=_WINDOW,
        period=2 * PERIOD,
        partitions=tuple(
            _load(runtime, partition, recent.get(partition.name, _IDLE), now)
            for partition in runtime.partitions.values()
        ),
        blame=tuple(b for name in worst for b in _blame(history, name)),
        blocked_by=running[0].address.partition if running and blocks else None,
        resources=runtime.dispatcher.resources(),
    )


def glance(runtime: Runtime) -> int | None:
    """Find out quickly whether a host has nobody who could be affected.

    Most of the time that is so. What is looked at is the least that trouble shows in.

    Returns:
        How many partitions are in use; ``None``: it takes a closer look.
    """
    policy, now, in_use = runtime.policy.health, runtime.clock.monotonic(), 0
    for partition in runtime.partitions.values():
        gained = partition.latency.gains(now)
        answered, failed, rejected, refused, _, _ = gained
        queued = partition.backlog.queued
        if not (answered or failed or rejected or refused or queued):
            continue
        in_use += 1
        silent = queued and not (answered or failed)
        if rejected or refused or silent or failed >= policy.errors:
            return None
        target = partition.policy.response_target
        if partition.latency.exceeds(
            policy.response_target if target is None else target
        ):
            return None
    return in_use


def _load(
    runtime: Runtime,
    partition: Partition,
    recent: Usage,
    now: float,
) -> PartitionLoad:
    vitals = partition.latency.vitals(now)
    account = runtime.dispatcher.account(partition.name)
    target = partition.policy.response_target
    queued = partition.backlog.queued
    if account is None:
        share = runtime.oversight.pinning.share_of(partition.name)
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
        lag=runtime.dispatcher.lag(account),
    )


def _blame(history: History, victim: str) -> list[Blame]:
    others = [b for b in history.blame(victim) if b.holding != victim]
    return others[:_HOLDERS]
