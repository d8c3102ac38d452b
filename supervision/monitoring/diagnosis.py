"""Which partitions are affected, and by what: a pure decision over one reading.

``readings`` has read the numbers; this file reads nothing itself.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import attrs

from .health import (
    Cause,
    Extent,
    HealthPolicy,
    HealthReport,
    HostLoad,
    PartitionHealth,
    PartitionLoad,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["entitlements", "examine", "jain"]

_GRAVEST_FIRST = (
    Cause.INFRASTRUCTURE,
    Cause.SHARED,
    Cause.OWN_LIMIT,
    Cause.OWN_CODE,
)


@attrs.frozen(kw_only=True)
class _Surroundings:
    """The numbers of the host that the cause of every partition depends on.

    They are summed once: with a sum for each partition, the verdict on a host whose
    partitions are all slow took as many sums as partitions.

    Attributes:
        free: seats that no turn holds.
        blocked_by: the partition that blocks the event loop now.
        loop_seconds: loop time of all handlers.
        busy: whether the loop is used enough for a slow partition to wait for it.
    """

    free: int
    blocked_by: str | None
    loop_seconds: float
    busy: bool

    @classmethod
    def of(cls, load: HostLoad, policy: HealthPolicy) -> _Surroundings:
        used = sum([p.vitals.loop_seconds for p in load.partitions])
        return cls(
            free=load.free,
            blocked_by=load.blocked_by,
            loop_seconds=used,
            busy=used >= policy.busy_loop * load.period,
        )


def examine(load: HostLoad, policy: HealthPolicy) -> HealthReport:
    """Return the health of a host, judged by the numbers of one moment."""
    around = _Surroundings.of(load, policy)
    due = entitlements(
        sum(p.held for p in load.partitions),
        [(p.weight, _limit(p, load.window)) for p in load.partitions],
    )
    found = [
        _judge(p, entitled, around, policy)
        for p, entitled in zip(load.partitions, due, strict=True)
    ]
    contending = [f for f in found if f.load.waited > 0.0 and f.entitled > 0.0]
    fairness = jain([f.load.held / f.entitled for f in contending])
    found.sort(key=_gravity)
    return HealthReport(
        verdict=_verdict(found, sum(1 for f in found if f.load.in_use), policy),
        partitions=tuple(found),
        fairness=fairness,
        contending=len(contending),
        fair=fairness >= policy.fair,
        seats=load.seats,
        free=load.free,
        blame=load.blame,
        resources=load.resources,
    )


def jain(ratios: Sequence[float]) -> float:
    """Return Jain's fairness index of ratios; 1 when there is nothing to compare.

    After Jain, Chiu and Hawe (1984): the square of the sum over n times the sum of the
    squares.
    """
    squares = sum(r * r for r in ratios)
    return sum(ratios) ** 2 / (len(ratios) * squares) if squares else 1.0


def entitlements(
    total: float, claims: Sequence[tuple[float, float]]
) -> tuple[float, ...]:
    """Return the part of each claim in a total, by weight, none above its limit.

    What one claim cannot take is divided among the others (weighted max-min fairness).

    Args:
        total: what is divided.
        claims: weight and limit of each; a weight is above 0.
    """
    due = [0.0] * len(claims)
    order = sorted(range(len(claims)), key=lambda i: claims[i][1] / claims[i][0])
    weights = sum(weight for weight, _ in claims)
    for i in order:
        weight, limit = claims[i]
        due[i] = min(limit, total * weight / weights if weights > 0 else total)
        total -= due[i]
        weights -= weight
    return tuple(due)


def _limit(load: PartitionLoad, window: float) -> float:
    """Return the seat-seconds that a partition would have taken at most."""
    if load.waited <= 0.0:
        return load.held
    return max(load.held, load.cap * window)


def _judge(
    load: PartitionLoad, entitled: float, host: _Surroundings, policy: HealthPolicy
) -> PartitionHealth:
    cause, why = _diagnose(load, host, policy) or (None, "")
    return PartitionHealth(load=load, entitled=entitled, cause=cause, why=why)


def _diagnose(
    load: PartitionLoad, host: _Surroundings, policy: HealthPolicy
) -> tuple[Cause, str] | None:
    """Return the gravest cause that affects a partition; ``None``: none does."""
    v = load.vitals
    if v.store_failures:
        return Cause.INFRASTRUCTURE, f"the store refused {v.store_failures} commits"
    if v.rejected:
        if not host.free and load.waited > load.waited_own:
            return Cause.SHARED, f"{v.rejected} messages refused, the host is busy"
        return Cause.OWN_LIMIT, f"{v.rejected} messages refused, its queues are full"
    if v.failed >= policy.errors and v.error_rate >= policy.error_rate:
        return Cause.OWN_CODE, f"{v.error_rate:.0%} of its messages fail"
    slow = _slowness(load, policy)
    if not slow:
        return None
    return _reason(load, host, slow)


def _slowness(load: PartitionLoad, policy: HealthPolicy) -> str:
    """Return a text on how a partition is slow; empty: it is not."""
    v = load.vitals
    target = policy.response_target if load.target is None else load.target
    if v.p95 > target:
        return f"p95 {v.p95:.3g} s, target {target:g} s"
    silent = not (v.answered or v.failed)
    if silent and load.queued and load.waited_at_all > target:
        return f"{load.queued} messages wait, and none was answered"
    return ""


def _reason(load: PartitionLoad, host: _Surroundings, slow: str) -> tuple[Cause, str]:
    """Return why a slow partition is slow."""
    v = load.vitals
    if host.blocked_by not in (None, load.partition):
        return Cause.SHARED, f"{slow}; {host.blocked_by} blocks the event loop"
    if load.waited_resources > max(load.waited, load.waited_own):
        now = "" if load.blocked_on is None else f", now for {load.blocked_on!r}"
        return Cause.SHARED, f"{slow}; it waits for resources{now}"
    if load.waited_own > load.waited:
        return Cause.OWN_LIMIT, f"{slow}; it waits for its cap of {load.cap}"
    if load.waited > load.held:
        return Cause.SHARED, f"{slow}; it waits for seats that others hold"
    if host.busy and v.loop_seconds < host.loop_seconds / 2:
        return Cause.SHARED, f"{slow}; others keep the event loop busy"
    return Cause.OWN_CODE, f"{slow}; its handlers take that long"


def _gravity(found: PartitionHealth) -> tuple[int, float]:
    if found.cause is None:
        return len(_GRAVEST_FIRST), -found.load.waited
    return _GRAVEST_FIRST.index(found.cause), -found.load.vitals.p95


def _verdict(
    found: Sequence[PartitionHealth], in_use: int, policy: HealthPolicy
) -> Verdict:
    affected = tuple(f for f in found if f.affected)
    counts = Counter(f.cause for f in affected if f.cause is not None)
    cause = max(_GRAVEST_FIRST, key=lambda c: counts[c]) if counts else None
    return Verdict(
        extent=_extent(len(affected), in_use, policy),
        cause=cause,
        affected=affected,
        in_use=in_use,
    )


def _extent(affected: int, in_use: int, policy: HealthPolicy) -> Extent:
    if affected == 0:
        return Extent.NONE
    if affected == 1:
        return Extent.ONE
    return Extent.ALL if affected >= policy.all_from * in_use else Extent.SOME
