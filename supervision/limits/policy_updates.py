"""Policy updates: a changed tenant policy takes effect on the running partition."""

from __future__ import annotations

import contextlib
import functools
import logging
from typing import TYPE_CHECKING

import attrs

from persistence import Clock, Handle

from ..errors import UnknownTenant
from ..telemetry import partition_extra

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..agents import Partition
    from ..fairness import Share
    from ..telemetry import Telemetry
    from ..tenants import PolicyChange, TenantDirectory

__all__ = ["PolicyUpdates"]

log = logging.getLogger("podvisor.tenants")

_MAX_HALVINGS = 4
"""Most halvings: a weight is lowered to no less than a sixteenth."""


@attrs.define(eq=False)
class PolicyUpdates:
    """Keeps the policies and shares of one host's partitions up to date.

    It owns the timers of lowered weights, at most one for each partition. The host
    starts and closes it; ``BlockedLoopResponse`` lowers weights.

    Attributes:
        directory: the policies of the tenants.
        partitions: each partition from its first use on the host, by id.
        clock: restores lowered weights after their time.
        telemetry: records policy changes.
        share_of: returns the present share of a partition.
        set_share: sets the share of a partition in the dispatcher.
    """

    directory: TenantDirectory
    partitions: Mapping[str, Partition]
    clock: Clock
    telemetry: Telemetry
    share_of: Callable[[str], Share]
    set_share: Callable[[str, Share], None]
    _lowered: dict[str, Handle] = attrs.field(factory=dict[str, Handle])
    _unwatch: Callable[[], None] | None = None

    def _reshare(self, partition: Partition) -> None:
        self.set_share(partition.name, self.share_of(partition.name))

    def start(self) -> None:
        """Start to follow changes of the directory."""
        self._unwatch = self.directory.watch(self._changed)

    def close(self) -> None:
        """Stop to follow the directory; cancel the timers of lowered weights."""
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
        for timer in self._lowered.values():
            timer.cancel()
        self._lowered.clear()

    def lower(self, partition: Partition, seconds: float) -> None:
        """Halve the weight of a partition for a number of seconds.

        A second call before they are over halves it again and starts the time anew.
        """
        if partition.halvings < _MAX_HALVINGS:
            partition.halvings += 1
            self._reshare(partition)
        if (running := self._lowered.pop(partition.name, None)) is not None:
            running.cancel()
        self._lowered[partition.name] = self.clock.call_later(
            seconds, functools.partial(self._lift, partition)
        )

    def _lift(self, partition: Partition) -> None:
        self._lowered.pop(partition.name, None)
        partition.halvings = 0
        self._reshare(partition)
        with contextlib.suppress(Exception):  # an application's log handler may raise
            log.info("partition.weight_restored", extra=partition_extra(partition.name))

    def _changed(self, change: PolicyChange) -> None:
        self._report(change)
        partition = self.partitions.get(change.partition)
        if partition is None:
            return
        try:
            partition.policy = self.directory.policy(change.partition)
            partition.refused = False
        except UnknownTenant:
            partition.refused = True  # live instances go on; no instance starts
            return
        self._reshare(partition)

    def _report(self, change: PolicyChange) -> None:
        self.telemetry.mark("change", "policy", change.partition)
        version = "-" if change.after is None else change.after.version
        with contextlib.suppress(Exception):  # an application's log handler may raise
            log.warning(
                "tenant.policy_changed",
                extra=partition_extra(
                    change.partition,
                    number=change.number,
                    version=version,
                    actor=change.actor,
                    reason=change.reason,
                ),
            )
