"""The health of a host in values, without behaviour.

An operator at 2 AM has two questions. How many tenants are affected: one, some, or all?
What is the cause: a limit or the code of the tenant, another tenant, or the
infrastructure? ``diagnosis`` answers them.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import attrs
from attrs import validators

from ..telemetry import Vitals

if TYPE_CHECKING:
    from ..fairness import Blame, ResourceNumbers

__all__ = [
    "Cause",
    "Extent",
    "HealthPolicy",
    "HealthReport",
    "HostLoad",
    "PartitionHealth",
    "PartitionLoad",
    "Verdict",
]


class Extent(enum.Enum):
    """How many of the partitions in use are affected."""

    NONE = "none"
    ONE = "one"
    SOME = "some"
    ALL = "all"


class Cause(enum.Enum):
    """The cause that affects a partition.

    ``OWN_LIMIT``: a limit of the partition itself (cap, full mailboxes). ``OWN_CODE``:
    its own handlers fail, or take long. ``SHARED``: other partitions use what all
    share: seats, resources or the event loop. ``INFRASTRUCTURE``: what is below the
    host, such as the store.
    """

    OWN_LIMIT = "own-limit"
    OWN_CODE = "own-code"
    SHARED = "shared"
    INFRASTRUCTURE = "infrastructure"


@attrs.frozen(kw_only=True)
class HealthPolicy:
    """The thresholds from which a partition counts as affected.

    Attributes:
        response_target: seconds within which 95 % of the messages should be answered,
            for a tenant whose policy has no target of its own.
        error_rate: the part of the messages, from 0 to 1, that may fail.
        errors: failures from which on the rate counts.
        busy_loop: the part of the time, from 0 to 1, from which on a slow partition is
            taken to wait for the event loop.
        all_from: the part of the partitions in use, from 0 to 1, that counts as all.
        fair: the least value of Jain's index that is healthy.
        victims: partitions whose waiting is divided among others as blame, at most.
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
        partition: its id.
        vitals: its latest response times and failures.
        target: seconds within which 95 % should be answered; ``None``: no own target.
        weight: its weight.
        queued: messages in its mailboxes.
        waiting: turns that want a seat.
        seats: seats it holds.
        cap: seats it may hold.
        cap_hits: times that something began to wait for its cap, since the start.
        held: seat-seconds over the last minute.
        waited: turn-seconds waited over the last minute because the host was busy.
        waited_own: turn-seconds waited over the last minute for a limit of its own.
        waited_resources: turn-seconds waited over the last minute for resources that
            its handlers need.
        blocked_on: the resource that its next turn waits for now; ``None``: for none.
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
    waited_resources: float = 0.0
    blocked_on: str | None = None
    lag: float = 0.0

    @property
    def waited_at_all(self) -> float:
        """Turn-seconds waited over the last minute, for any reason."""
        return self.waited + self.waited_own + self.waited_resources

    @property
    def in_use(self) -> bool:
        """Whether it had messages lately, or has some now."""
        v = self.vitals
        return bool(
            v.answered or v.failed or v.rejected or v.store_failures or self.queued
        )


@attrs.frozen(kw_only=True)
class HostLoad:
    """The numbers of a host at one moment.

    Attributes:
        seats: turns that may run at a time.
        free: seats that no turn holds.
        window: seconds over which ``held`` and the waiting were summed up.
        period: seconds that the vitals reach back.
        partitions: one load each.
        blame: seats held by one partition while another waited, the worst first.
        blocked_by: the partition that blocks the event loop now, if there is one.
        resources: what handlers need in addition to seats, one value each.
    """

    seats: int
    free: int
    window: float
    period: float
    partitions: tuple[PartitionLoad, ...]
    blame: tuple[Blame, ...] = ()
    blocked_by: str | None = None
    resources: tuple[ResourceNumbers, ...] = ()


@attrs.frozen(kw_only=True)
class PartitionHealth:
    """The health of one partition.

    Attributes:
        load: its numbers.
        entitled: seat-seconds that it was due over the last minute.
        cause: the cause that affects it; ``None``: none does.
        why: the same in words; empty: none does.
    """

    load: PartitionLoad
    entitled: float
    cause: Cause | None = None
    why: str = ""

    @property
    def partition(self) -> str:
        """Its id."""
        return self.load.partition

    @property
    def affected(self) -> bool:
        """Whether any cause affects it."""
        return self.cause is not None

    @property
    def cap_use(self) -> float:
        """The part of its cap that it uses now; above 1 in a burst."""
        return self.load.seats / self.load.cap


@attrs.frozen(kw_only=True)
class Verdict:
    """How many partitions are affected, which ones, and by what.

    Attributes:
        extent: one, some, all, or none.
        cause: the cause that affects most of them; ``None``: none is affected.
        affected: the health of each, the gravest cause first.
        in_use: partitions that had messages lately, or have some now.
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
        verdict: which partitions are affected, and by what.
        partitions: every partition, the affected ones first.
        fairness: Jain's index over received/entitled of the contending partitions,
            from 1/n (one gets all) to 1.
        contending: partitions that wanted more than they got over the last minute.
        fair: whether the index is as high as ``HealthPolicy.fair``.
        seats: turns that may run at a time.
        free: seats that no turn holds.
        blame: seats held by one partition while another waited, the worst first.
        resources: what handlers need in addition to seats, and how many wait for it.
    """

    verdict: Verdict
    partitions: tuple[PartitionHealth, ...]
    fairness: float
    contending: int
    fair: bool
    seats: int
    free: int
    blame: tuple[Blame, ...]
    resources: tuple[ResourceNumbers, ...]

    @property
    def healthy(self) -> bool:
        """Whether no partition is affected and the seats are shared fairly."""
        return self.verdict.extent is Extent.NONE and self.fair
