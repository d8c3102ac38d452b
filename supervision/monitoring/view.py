"""What readings and metrics may see of a running host.

The host makes one view when it is built. The view names the numbers and where they come
from, so that this room needs to know neither instances nor the parts of a host.
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
        """Response times of the last minute or two."""
        ...

    @property
    def loop(self) -> Mapping[tuple[str, str], LoopTime] | None:
        """Loop time by manager name and handler; ``None``: no step was made yet."""
        ...

    @property
    def queued(self) -> int:
        """Messages in its mailboxes."""
        ...

    @property
    def response_target(self) -> float | None:
        """Seconds that its tenant's policy allows; ``None``: no target of its own."""
        ...

    def loop_seconds(self) -> float:
        """Return the seconds for which its handlers have held the event loop."""
        ...


class DispatchView(Protocol[T]):
    """The numbers of a dispatcher."""

    def statistics(self) -> DispatchStatistics:
        """Count seats and what waits for one."""
        ...

    def account(self, partition: str) -> Account[T] | None:
        """Return the account of a partition; ``None``: it never wanted a seat."""
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

    Attributes:
        partitions: those that the host has met, by id.
        dispatch: seats, queue and shares.
        telemetry: where metrics go, and under which attributes.
        policy: when a partition counts as affected.
        seats: seats of the host.
        warn_after: seconds from which on a step blocks the loop.
        share_of: returns what a partition is due.
        holds_loop: returns the partition whose step holds the loop, and the monotonic
            time since which it does; ``None``: no step does.
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
