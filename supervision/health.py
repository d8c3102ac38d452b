"""Who is affected, and by what: a pure decision over the numbers of one moment.

At 2 AM there are two questions: is it one tenant, some, or all; and is it a limit of
theirs, the company they keep, or what lies below. Nothing here looks anything up.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Sequence

import attrs
from attrs import validators

from .blame import Blame
from .pulse import Vitals

__all__ = [
    "Cause",
    "Extent",
    "HealthPolicy",
    "HealthReport",
    "HostLoad",
    "PartitionHealth",
    "PartitionLoad",
    "Verdict",
    "entitlements",
    "examine",
    "jain",
]


class Extent(enum.Enum):
    """How many partitions are affected, of those that are in use."""

    NONE = "none"
    ONE = "one"
    SOME = "some"
    ALL = "all"


class Cause(enum.Enum):
    """Where the trouble comes from.

    ``OWN_LIMIT``: a limit of the partition itself (cap, full mailboxes). ``OWN_CODE``:
    its own handlers fail, or take their time. ``SHARED``: others use what is shared,
    seats or the event loop. ``INFRASTRUCTURE``: what lies below, such as the store.
    """

    OWN_LIMIT = "own-limit"
    OWN_CODE = "own-code"
    SHARED = "shared"
    INFRASTRUCTURE = "infrastructure"


_GRAVEST_FIRST = (
    Cause.INFRASTRUCTURE,
    Cause.SHARED,
    Cause.OWN_LIMIT,
    Cause.OWN_CODE,
)


@attrs.frozen(kw_only=True)
class HealthPolicy:
    """From when on a partition counts as affected.

    Attributes:
        response_target: seconds within which 95 % of the messages are to be answered,
            where the tenant's policy has no target of its own.
        error_rate: the part of the messages, from 0 to 1, that may fail.
        errors: failures that must have happened before the rate means anything.
        busy_loop: the part of the time, from 0 to 1, from which on the event loop is
            what a slow partition waits for.
        all_from: the part of the partitions in use, from 0 to 1, that are called all.
        fair: the least value of Jain's index that is healthy.
        victims: partitions whose waiting is laid at others' doors.
    """

    response_target: float = attrs.field(default=10.0, validator=validators.gt(0))
    error_rate: float = attrs.field(default=0.05, validator=validators.gt(0))
    errors: int = attrs.field(default=5, validator=validators.ge(1))
    busy_loop: float = attrs.field(default=0.8, validator=validators.gt(0))
    all_from: float = attrs.field(default=0.9, validator=validators.gt(0))
    fair: float = attrs.field(default=0.95, validator=validators.gt(0))
    victims: int = attrs.field(default=5, validator=validators.ge(0))


@attrs.frozen(kw_only=True)
class PartitionLoad:
    """The numbers of one partition at one moment.

    Attributes:
        partition: which one.
        vitals: how it was answered lately.
        target: seconds within which 95 % are to be answered; ``None``: no own target.
        weight: its weight.
        queued: messages in its mailboxes.
        waiting: turns that want a seat.
        seats: seats it holds.
        cap: seats it may hold.
        cap_hits: times that something began to wait for its cap, since the start.
        held: seat-seconds over the last minute.
        waited: turn-seconds waited over the last minute because the host was busy.
        waited_own: likewise for a limit of its own.
        lag: seat-seconds by which it is behind its fair share now.
    """

    partition: str
    vitals: Vitals = attrs.field(factory=Vitals)
    target: float | None = None
    weight: float = 1.0
    queued: int = 0
    waiting: int = 0
    seats: int = 0
    cap: int = 1
    cap_hits: int = 0
    held: float = 0.0
    waited: float = 0.0
    waited_own: float = 0.0
    lag: float = 0.0

    @property
    def in_use(self) -> bool:
        """Whether anybody has wanted anything of it lately."""
        v = self.vitals
        return bool(
            v.answered or v.failed or v.rejected or v.store_failures or self.queued
        )


@attrs.frozen(kw_only=True)
class HostLoad:
    """The numbers of a host at one moment.

    Attributes:
        seats: turns that may run at a time.
        free: seats nobody holds.
        window: seconds over which ``held`` and the waiting were summed up.
        period: seconds that the vitals reach back.
        partitions: one load each.
        blame: who held the seats while whom waited, the worst first.
        blocked_by: the partition that holds the event loop just now, if it blocks it.
    """

    seats: int
    free: int
    window: float
    period: float
    partitions: tuple[PartitionLoad, ...]
    blame: tuple[Blame, ...] = ()
    blocked_by: str | None = None


@attrs.frozen(kw_only=True)
class PartitionHealth:
    """One partition and what is the matter with it.

    Attributes:
        load: its numbers.
        entitled: seat-seconds that it was due over the last minute.
        cause: where its trouble comes from; ``None``: it has none.
        why: the same in words; empty: nothing.
    """

    load: PartitionLoad
    entitled: float
    cause: Cause | None = None
    why: str = ""

    @property
    def partition(self) -> str:
        """Which one."""
        return self.load.partition

    @property
    def affected(self) -> bool:
        """Whether anything is the matter."""
        return self.cause is not None

    @property
    def cap_use(self) -> float:
        """The part of its cap that it uses now; above 1 in a burst."""
        return self.load.seats / self.load.cap


@attrs.frozen(kw_only=True)
class Verdict:
    """The answer to both questions, and whom it is about.

    Attributes:
        extent: one, some, all, or none.
        cause: the cause that most of them share; ``None`` for none.
        affected: what is the matter with each, the gravest first.
        in_use: partitions that anybody wanted anything of lately.
    """

    extent: Extent
    cause: Cause | None
    affected: tuple[PartitionHealth, ...]
    in_use: int

    def __str__(self) -> str:
        if self.cause is None:
            return f"none of {self.in_use} partitions in use is affected"
        count = len(self.affected)
        return (
            f"{self.extent.value}: {count} of {self.in_use} partitions in use, "
            f"cause: {self.cause.value}"
        )


@attrs.frozen(kw_only=True)
class HealthReport:
    """The health of a host.

    Attributes:
        verdict: who is affected, and by what.
        partitions: every partition, those with trouble first.
        fairness: Jain's index over received/entitled of the contending partitions,
            from 1/n (one gets all) to 1.
        contending: partitions that wanted more than they got over the last minute.
        fair: whether the index is as high as ``HealthPolicy.fair``.
        seats: turns that may run at a time.
        free: seats nobody holds.
        blame: who held the seats while whom waited, the worst first.
    """

    verdict: Verdict
    partitions: tuple[PartitionHealth, ...]
    fairness: float
    contending: int
    fair: bool
    seats: int
    free: int
    blame: tuple[Blame, ...]

    @property
    def healthy(self) -> bool:
        """Whether nobody is affected, and the seats are shared as they should be."""
        return self.verdict.extent is Extent.NONE and self.fair


def examine(load: HostLoad, policy: HealthPolicy) -> HealthReport:
    """Judge the numbers of one moment."""
    due = entitlements(
        sum(p.held for p in load.partitions),
        [(p.weight, _limit(p, load.window)) for p in load.partitions],
    )
    found = [
        _look(p, entitled, load, policy)
        for p, entitled in zip(load.partitions, due, strict=True)
    ]
    contending = [f for f in found if f.load.waited > 0.0 and f.entitled > 0.0]
    fairness = jain([f.load.held / f.entitled for f in contending])
    found.sort(key=_gravity)
    return HealthReport(
        verdict=_verdict(found, policy),
        partitions=tuple(found),
        fairness=fairness,
        contending=len(contending),
        fair=fairness >= policy.fair,
        seats=load.seats,
        free=load.free,
        blame=load.blame,
    )


def jain(ratios: Sequence[float]) -> float:
    """Return Jain's fairness index of some ratios; 1 when there is nothing to compare.

    After Jain, Chiu and Hawe (1984): the square of the sum over n times the sum of the
    squares.
    """
    squares = sum(r * r for r in ratios)
    return sum(ratios) ** 2 / (len(ratios) * squares) if squares else 1.0


def entitlements(
    total: float, claims: Sequence[tuple[float, float]]
) -> tuple[float, ...]:
    """Divide something by weight among those who want it, none beyond its limit.

    What one cannot take is divided among the others (weighted max-min fairness).

    Args:
        total: what there is.
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
    """Return the seat-seconds that a partition would have taken, had it got them."""
    if load.waited <= 0.0:
        return load.held
    return max(load.held, load.cap * window)


def _look(
    load: PartitionLoad, entitled: float, host: HostLoad, policy: HealthPolicy
) -> PartitionHealth:
    cause, why = _diagnose(load, host, policy) or (None, "")
    return PartitionHealth(load=load, entitled=entitled, cause=cause, why=why)


def _diagnose(
    load: PartitionLoad, host: HostLoad, policy: HealthPolicy
) -> tuple[Cause, str] | None:
    """Say what is the matter with one partition, the gravest cause first."""
    v = load.vitals
    if v.store_failures:
        return Cause.INFRASTRUCTURE, f"the store refused {v.store_failures} commits"
    if v.rejected:
        if host.free == 0 and load.waited > load.waited_own:
            return Cause.SHARED, f"{v.rejected} messages refused, the host is busy"
        return Cause.OWN_LIMIT, f"{v.rejected} messages refused, its queues are full"
    if v.failed >= policy.errors and v.error_rate >= policy.error_rate:
        return Cause.OWN_CODE, f"{v.error_rate:.0%} of its messages fail"
    slow = _slowness(load, policy)
    if not slow:
        return None
    return _reason(load, host, policy, slow)


def _slowness(load: PartitionLoad, policy: HealthPolicy) -> str:
    """Say how it is slow; nothing if it is not."""
    v = load.vitals
    target = policy.response_target if load.target is None else load.target
    if v.p95 > target:
        return f"p95 {v.p95:.3g} s, target {target:g} s"
    silent = not (v.answered or v.failed)
    if silent and load.queued and load.waited + load.waited_own > target:
        return f"{load.queued} messages wait, and none was answered"
    return ""


def _reason(
    load: PartitionLoad, host: HostLoad, policy: HealthPolicy, slow: str
) -> tuple[Cause, str]:
    """Say why it is slow."""
    v = load.vitals
    if host.blocked_by not in (None, load.partition):
        return Cause.SHARED, f"{slow}; {host.blocked_by} blocks the event loop"
    if load.waited_own > load.waited:
        return Cause.OWN_LIMIT, f"{slow}; it waits for its cap of {load.cap}"
    if load.waited > load.held:
        return Cause.SHARED, f"{slow}; it waits for seats that others hold"
    busy = sum(p.vitals.loop_seconds for p in host.partitions)
    if busy >= policy.busy_loop * host.period and v.loop_seconds < busy / 2:
        return Cause.SHARED, f"{slow}; others keep the event loop busy"
    return Cause.OWN_CODE, f"{slow}; its handlers take that long"


def _gravity(found: PartitionHealth) -> tuple[int, float]:
    if found.cause is None:
        return len(_GRAVEST_FIRST), -found.load.waited
    return _GRAVEST_FIRST.index(found.cause), -found.load.vitals.p95


def _verdict(found: Sequence[PartitionHealth], policy: HealthPolicy) -> Verdict:
    in_use = sum(1 for f in found if f.load.in_use)
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
