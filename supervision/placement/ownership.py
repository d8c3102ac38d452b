"""The ownership of partitions: one claim at a time, shared by all callers."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from typing import TYPE_CHECKING

import attrs

from persistence import Claim, StaleOwner, Writer

from ..errors import NotServed
from ..telemetry import partition_extra

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..agents import Partition

__all__ = ["Ownership"]

log = logging.getLogger("podvisor.placement")


@attrs.define(eq=False)
class Ownership:
    """Claims partitions for one host.

    At most one claim of a partition is under way. ``Activation``, ``Catalog`` and the
    turns use it.

    Attributes:
        writer: stores the claims.
        serves: returns whether this host may claim a partition; ``None``: all.
        on_claim: called with each partition after this host has claimed it.
    """

    writer: Writer
    serves: Callable[[str], bool] | None
    on_claim: Callable[[Partition], None] | None = None

    def check(self, partition: Partition) -> None:
        """Raise if instances of a partition must not live on this host.

        Raises:
            NotServed: the host policy leaves the partition to other hosts, or its
                ``serves`` has raised, which is the cause of this error then.
            StaleOwner: another host has claimed the partition.
        """
        if self.serves is not None:
            try:
                served = self.serves(partition.name)
            except Exception as error:  # no answer fails closed, for this one alone
                _log_failure(partition.name, error)
                raise NotServed(partition.name) from error
            if not served:
                raise NotServed(partition.name)
        if partition.lost:
            raise StaleOwner(partition.name, partition.epoch)

    def take(self, partition: Partition) -> asyncio.Future[Claim]:
        """Start a claim of a partition, or return the one under way.

        Returns:
            A future that all callers share: a caller must not cancel it. When it is
            done, the claim is set on the partition.
        """
        if partition.claiming is None:
            partition.claiming = self.writer.claim(partition.name)
            partition.claiming.add_done_callback(
                functools.partial(self._taken, partition), context=partition.context
            )
        return partition.claiming

    async def owned(self, partition: Partition) -> None:
        """Wait until this host has claimed a partition.

        Raises:
            NotServed: the host policy leaves the partition to other hosts.
            StaleOwner: another host has claimed the partition.
            StoreError: the claim failed.
        """
        self.check(partition)
        if partition.claim is None:
            claiming = self.take(partition)
            await asyncio.wait([claiming])  # a cancelled caller must not cancel it
            claiming.result()

    def _taken(self, partition: Partition, claiming: asyncio.Future[Claim]) -> None:
        partition.claiming = None
        if claiming.exception() is None and partition.claim is None:
            partition.claimed(claiming.result())
            if self.on_claim is not None:
                self.on_claim(partition)


def _log_failure(partition: str, error: Exception) -> None:
    extra = partition_extra(partition, error=type(error).__qualname__)
    with contextlib.suppress(Exception):  # the application's log handler
        log.error("partition.serves_failed", exc_info=error, extra=extra)
