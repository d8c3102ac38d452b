"""Reads the numbers of a running host at one moment, for ``health`` to judge."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from .health import HostLoad, PartitionLoad
from .pulse import PERIOD

if TYPE_CHECKING:
    from .blame import Blame, History
    from .partitions import Partition
    from .runtime import Runtime

__all__ = ["host_load"]

_WINDOW = 60.0
"""Seconds that the dispatcher's history reaches back."""

_HOLDERS = 3
"""Partitions at whose door one victim's waiting is laid, those that held most."""

_NOTHING = (0.0, 0.0, 0.0)


def host_load(runtime: Runtime, victims: int) -> HostLoad:
    """Read the numbers of every partition that a host has met.

    Args:
        runtime: the inside of the host.
        victims: partitions whose waiting is laid at others' doors.
    """
    history = runtime.dispatcher.history()
    recent = history.recent()
    worst = heapq.nlargest(victims, recent, key=lambda name: recent[name][1])
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
            _load(runtime, partition, recent.get(partition.name, _NOTHING), now)
            for partition in runtime.partitions.values()
        ),
        blame=tuple(b for name in worst for b in _blame(history, name)),
        blocked_by=running[0].address.partition if running and blocks else None,
    )


def _load(
    runtime: Runtime,
    partition: Partition,
    recent: tuple[float, float, float],
    now: float,
) -> PartitionLoad:
    vitals = partition.pulse.vitals(partition, now)
    numbers = runtime.dispatcher.numbers(partition.name)
    target = partition.policy.response_target
    queued = partition.tally.queued
    if numbers is None:
        share = runtime.oversight.pinning.share_of(partition.name)
        return PartitionLoad(
            partition=partition.name,
            vitals=vitals,
            target=target,
            weight=share.weight,
            queued=queued,
            cap=share.cap,
        )
    held, waited, own = recent
    return PartitionLoad(
        partition=partition.name,
        vitals=vitals,
        target=target,
        weight=numbers.share.weight,
        queued=queued,
        waiting=numbers.waiting,
        seats=numbers.seats,
        cap=numbers.share.cap,
        cap_hits=numbers.cap_hits,
        held=held,
        waited=waited,
        waited_own=own,
        lag=numbers.lag,
    )


def _blame(history: History, victim: str) -> list[Blame]:
    others = [b for b in history.blame(victim) if b.holding != victim]
    return others[:_HOLDERS]
