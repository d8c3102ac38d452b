"""Taking partitions over, once at a time for all who need it."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

import attrs

from persistence import Claim, StaleOwner, Writer

from ..errors import NotServed

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..agents import Partition

__all__ = ["Ownership"]


@attrs.define(eq=False)
class Ownership:
    """Claims the partitions of one host.

    Attributes:
        writer: does it.
        serves: says which partitions this host may take; ``None``: all.
        on_claim: called with each partition that this host has claimed.
    """

    writer: Writer
    serves: Callable[[str], bool] | None
    on_claim: Callable[[Partition], None] | None = None

    def check(self, partition: Partition) -> None:
        """Check that instances of a partition may live here.

        Raises:
            NotServed: the host was told to leave it to others.
            StaleOwner: another host has taken it over.
        """
        if self.serves is not None and not self.serves(partition.name):
            raise NotServed(partition.name)
        if partition.lost:
            raise StaleOwner(partition.name, partition.epoch)

    def take(self, partition: Partition) -> asyncio.Future[Claim]:
        """Claim a partition; the future is shared, so wait for it without cancelling.

        When it resolves, the partition knows that it is ours.
        """
        if partition.claiming is None:
            partition.claiming = self.writer.claim(partition.name)
            partition.claiming.add_done_callback(
                functools.partial(self._taken, partition), context=partition.context
            )
        return partition.claiming

    async def owned(self, partition: Partition) -> None:
        """Wait until a partition is ours.

        Raises:
            NotServed: the host was told to leave it to others.
            StaleOwner: another host has taken it over.
            StoreError: it could not be claimed.
        """
        self.check(partition)
        if partition.claim is None:
            claiming = self.take(partition)
            await asyncio.wait([claiming])  # a cancelled waiter leaves it alone
            claiming.result()

    def _taken(self, partition: Partition, claiming: asyncio.Future[Claim]) -> None:
        partition.claiming = None
        if claiming.exception() is None and partition.claim is None:
            partition.claimed(claiming.result())
            if self.on_claim is not None:
                self.on_claim(partition)
