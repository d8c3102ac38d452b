"""The contract that every store keeps.

One host uses a store, in one event loop, and only from tasks that podvisor owns (those
of ``Writer`` and ``Reader``). So a caller's cancellation never reaches a connection.
The suite in ``persistence.testing`` is the contract in executable form.
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

from ..errors import RecordError, StoreError
from .records import Claim, Quarantine, Record, StoredBytes, Unit

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from ..identity import Address, Key
    from .letters import DeadLetter, Letter, Reply, SpoiledLetter

__all__ = ["Loaded", "Store"]

Loaded = tuple[Record, ...] | RecordError
"""The result of loading one key: its records, or the error that makes them unusable."""


class Store(abc.ABC):
    """Partitioned rows with revisions, under an owner epoch per partition.

    Every method may raise ``StoreUnavailable`` if the medium refuses, and
    ``StoreClosed`` before ``open`` and after ``close``. No method reads or writes a row
    of a partition that it was not given.
    """

    @abc.abstractmethod
    async def open(self) -> None:
        """Connect, and create or check the tables.

        Raises:
            SchemaMismatch: the tables were made by another release.
        """

    @abc.abstractmethod
    async def close(self) -> None:
        """Close every connection; a second call does nothing."""

    def shard(self, partition: str) -> Hashable:
        """Return the shard of a partition; by default all partitions have the same.

        Partitions of one shard share transactions. Calls that write to one shard are
        made one after the other. Calls that write to different shards run at the same
        time. The result is the same for the life of the store.
        """
        return None

    @abc.abstractmethod
    async def claim(self, partitions: Sequence[str]) -> list[Claim]:
        """Take partitions for this host: raise each owner epoch by one, durably."""

    @abc.abstractmethod
    async def load(
        self, manager: str, keys: Sequence[Key], *, partition: str
    ) -> list[Loaded]:
        """Return the records of keys, in the order of the keys.

        An unusable record is returned as its error; the other keys are still read.
        """

    @abc.abstractmethod
    async def apply(self, units: Sequence[Unit]) -> list[StoreError | None]:
        """Save units in one durable transaction; return for each why it was refused.

        The result has ``None`` for each unit that was saved. A refused unit
        (``StaleRevision``, ``StaleOwner``, ``AlreadyAnswered``, ``LetterGone``) saves
        nothing and does not affect the others. Units of one partition are applied in
        order.

        Raises:
            StoreUnavailable: nothing of any unit was saved, or the medium failed during
                the commit and the outcome is unknown.
        """

    @abc.abstractmethod
    async def keys(
        self, manager: str, *, partition: str, after: Key | None, limit: int
    ) -> list[Key]:
        """Return a page of stored keys, in the order of their canonical text.

        Args:
            manager: name of the manager.
            partition: partition of the keys.
            after: last key of the page before; ``None`` for the first page.
            limit: most keys in the page.
        """

    @abc.abstractmethod
    async def count(self, manager: str, *, partition: str) -> int:
        """Return how many instances of a manager have a stored state."""

    @abc.abstractmethod
    async def partitions(self, *, after: str | None, limit: int) -> list[str]:
        """Return a page of the partitions that were ever claimed, sorted by name."""

    @abc.abstractmethod
    async def children(self, parent: Address) -> list[Address]:
        """Return the stored instances that have the given parent."""

    @abc.abstractmethod
    async def quarantined(self, *, partition: str) -> list[Quarantine]:
        """Return the quarantined instances of a partition; they may not start."""

    @abc.abstractmethod
    async def inspect(self, address: Address) -> list[StoredBytes]:
        """Return the stored rows of an instance as they are, readable or not."""

    @abc.abstractmethod
    async def letters(
        self, *, partition: str, until: float, after: tuple[float, str], limit: int
    ) -> list[Letter | SpoiledLetter]:
        """Return a page of the letters that are due by a time, by (due, stamp).

        Args:
            partition: partition of the letters.
            until: the time, in Unix seconds.
            after: (due, stamp) of the last letter of the page before; ``(-1, "")`` for
                the first page.
            limit: most letters in the page.
        """

    @abc.abstractmethod
    async def mail(self, target: Address, *, limit: int) -> list[Letter]:
        """Return the readable letters of one target, in the order of (due, stamp)."""

    @abc.abstractmethod
    async def pending(
        self, *, after: str | None, limit: int
    ) -> list[tuple[str, float]]:
        """Return a page of partitions with letters, by name, and their first due time.

        The time is in Unix seconds.
        """

    @abc.abstractmethod
    async def dead(self, *, partition: str, after: str, limit: int) -> list[DeadLetter]:
        """Return a page of dead letters by stamp, after a stamp; ``""`` for all."""

    @abc.abstractmethod
    async def reply(self, target: Address, key: str) -> Reply | None:
        """Return the remembered reply to a request; ``None`` if there is none.

        Args:
            target: address of the instance that replied.
            key: the idempotency key of the request.

        Raises:
            CorruptRecord: the row is damaged.
        """
