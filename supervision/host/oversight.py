"""What keeps tenants within their limits on one host, wired together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..agents import Instance
from ..execution import Offloader, Seats
from ..limits import BlockedLoopResponse, PolicyUpdates
from ..loop import Meter, Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from persistence import Clock

    from ..agents import Partition
    from ..fairness import Share
    from ..telemetry import Telemetry
    from ..tenants import TenantDirectory
    from .policy import HostPolicy

__all__ = ["Oversight"]


class Oversight:
    """The policies, the meter, the watchdog and the offloader of one host.

    Attributes:
        tenants: the policies of the partitions.
        pinning: brings them to what runs.
        offloader: runs handlers outside the event loop.
        meter: times them on it.
        watchdog: names who blocks it.
    """

    def __init__(
        self,
        policy: HostPolicy,
        tenants: TenantDirectory,
        partitions: Mapping[str, Partition],
        clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        self._set_share: Callable[[str, Share], None] | None = None
        self.tenants = tenants
        self.pinning = PolicyUpdates(
            directory=tenants,
            partitions=partitions,
            clock=clock,
            telemetry=telemetry,
            default=policy.dispatch.share,
            set_share=self._reshare,
        )
        self.offloader = Offloader(policy.offload)
        offences = BlockedLoopResponse(
            clock, policy.watchdog.blocking, self.pinning.lower, self.offloader.move
        )
        self.meter = Meter[Instance](clock.monotonic, policy.watchdog.warn_after)
        self.meter.on_block = offences.ended
        self.watchdog = Watchdog(self.meter, policy.watchdog, clock.monotonic)

    def __repr__(self) -> str:
        return f"<Oversight {self.tenants!r} {self.watchdog!r}>"

    def bind(self, seats: Seats, set_share: Callable[[str, Share], None]) -> None:
        """Take the dispatcher, which is made later.

        Args:
            seats: where a turn gives its seat back while it waits.
            set_share: changes what a partition is due.
        """
        self._set_share = set_share
        self.offloader.bind(seats)

    def start(self) -> None:
        """Watch the running loop, and follow the directory."""
        self.watchdog.start()
        self.pinning.start()

    def close(self) -> None:
        """Watch and follow no more."""
        self.watchdog.stop()
        self.pinning.close()

    def _reshare(self, partition: str, share: Share) -> None:
        if self._set_share is not None:
            self._set_share(partition, share)
