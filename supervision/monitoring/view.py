"""The view of a running host that readings and metrics are given.

A host builds one view. The view names each number and the function that reads it, so
this room needs neither instances nor the parts of a host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..fairness import (
        Account,
        DispatchStatistics,
        History,
        ResourceNumbers,
        Share,
    )
    from ..loop import LoopTime
    from ..telemetry import Counters, LatencyWindow, Telemetry
    from .health import HealthPolicy

__all__ = ["HostView", "PartitionView"]

T = TypeVar("T")


class PartitionView(Protocol):
    """The numbers that a host keeps of one partition."""

    @property
    def name(self) -> str:
        """The partition id."""
        ...

    @property
    def counters(self) -> Counters:
        """Sums since the host started."""
        ...

    @property
    def latency(self) -> LatencyWindow:
        """Response times of the last one to two minutes."""
        ...

    @property
    def loop(self) -> Mapping[tuple[str, str], LoopTime] | None:
        """Loop time by manager name and handler; ``None``: no step has run yet."""
        ...

    @property
    def queued(self) -> int:
        """Messages in the mailboxes of the partition."""
        ...

    @property
    def response_target(self) -> float | None:
        """Response target in its tenant's policy, in seconds; ``None``: none."""
        ...

    def loop_seconds(self) -> float:
        """Return the seconds that the partition's handlers have held the loop."""
        ...


class DispatchView(Protocol[T]):
    """The numbers of a dispatcher."""

    def statistics(self) -> DispatchStatistics:
        """Count seats, and instances that wait for one."""
        ...

    def account(self, partition: str) -> Account[T] | None:
        """Return the account of a partition; ``None``: it never asked for a seat."""
        ...

    def lag(self, account: Account[T]) -> float:
        """Return the seat-seconds by which an account is behind its fair share."""
        ...

    def history(self) -> History:
        """Return which partitions held seats and waited in the last minute."""
        ...

    def resources(self) -> tuple[ResourceNumbers, ...]:
        """Return the state of each resource that handlers need."""
        ...


@attrs.frozen(kw_only=True, eq=False)
class HostView(Generic[T]):
    """The numbers of one host, each with the way to read it.

    It holds no numbers, and reading changes nothing. ``readings`` and ``Metrics`` read
    it.

    Attributes:
        partitions: each partition from its first use on the host, by id.
        dispatch: seats, queue and shares.
        telemetry: the destination and the attributes of metrics.
        policy: the limits beyond which a partition counts as affected.
        seats: seats of the host.
        warn_after: least seconds of a step that blocks the loop.
        share_of: returns the share of a partition.
        holds_loop: returns the partition whose step holds the loop, and the monotonic
            time at which the step began; ``None``: no step holds it.
        now: returns monotonic seconds.
        is_open: returns whether the host runs.
        live: counts instances in memory by partition.
        mailboxes: counts messages in mailboxes by partition.
    """

    partitions: Mapping[str, PartitionView]
    dispatch: DispatchView[T]
    telemetry: Telemetry
    policy: HealthPolicy
    seats: int
    warn_after: float
    share_of: Callable[[str], Share]
    holds_loop: Callable[[], tuple[str, float] | None]
    now: Callable[[], float]
    is_open: Callable[[], bool]
    live: Callable[[], Mapping[str, int]]
    mailboxes: Callable[[], Mapping[str, int]]
