"""The contract that every store keeps.

A store is used by one host, in one event loop, and only from tasks that podvisor owns
(``Writer`` and ``Reader``): a caller's cancellation never reaches a connection. The
suite in ``persistence.testing`` is the contract in executable form.
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
"""What a load finds of one key: its records, or why they are unusable."""


class Store(abc.ABC):
    """Partitioned rows with revisions, under an owner epoch per partition.

    Every method may raise ``StoreUnavailable`` when the medium refuses, and
    ``StoreClosed`` outside ``open`` … ``close``. No method reads or writes a row of
    another partition than the one it is given.
    """

    @abc.abstractmethod
    async def open(self) -> None:
        """Connect, and make or check the tables.

        Raises:
            SchemaMismatch: the tables were made by another release.
        """

    @abc.abstractmethod
    async def close(self) -> None:
        """Let go of every connection; a second call does nothing."""

    def shard(self, partition: str) -> Hashable:
        """Say what a partition shares its transactions with; by default with all.

        Calls that write to one shard are made one after the other, calls that write to
        two of them side by side. The answer is the same for the life of the store.
        """
        return None

    @abc.abstractmethod
    async def claim(self, partitions: Sequence[str]) -> list[Claim]:
        """Take partitions over: raise the owner epoch of each by one, durably."""

    @abc.abstractmethod
    async def load(
        self, manager: str, keys: Sequence[Key], *, partition: str
    ) -> list[Loaded]:
        """Read the records of keys, in their order.

        An unusable record is returned as its error and leaves the other keys readable.
        """

    @abc.abstractmethod
    async def apply(self, units: Sequence[Unit]) -> list[StoreError | None]:
        """Save units in one durable transaction; say for each why it was refused.

        A refused unit (``StaleRevision``, ``StaleOwner``, ``AlreadyAnswered``,
        ``LetterGone``) leaves nothing behind and does not disturb the others. Units of
        one partition are applied in order.

        Raises:
            StoreUnavailable: nothing of any unit was saved.
        """

    @abc.abstractmethod
    async def keys(
        self, manager: str, *, partition: str, after: Key | None, limit: int
    ) -> list[Key]:
        """List stored keys in the order of their canonical text, a page at a time."""

    @abc.abstractmethod
    async def count(self, manager: str, *, partition: str) -> int:
        """Count the instances of a manager that have a stored state."""

    @abc.abstractmethod
    async def partitions(self, *, after: str | None, limit: int) -> list[str]:
        """List partitions that were ever claimed, sorted, a page at a time."""

    @abc.abstractmethod
    async def children(self, parent: Address) -> list[Address]:
        """List the stored instances whose parent is the given one."""

    @abc.abstractmethod
    async def quarantined(self, *, partition: str) -> list[Quarantine]:
        """List the instances of a partition that may not start."""

    @abc.abstractmethod
    async def inspect(self, address: Address) -> list[StoredBytes]:
        """Return the stored rows of an instance as they are, without judging them."""

    @abc.abstractmethod
    async def letters(
        self, *, partition: str, until: float, after: tuple[float, str], limit: int
    ) -> list[Letter | SpoiledLetter]:
        """List letters that are due by a time, in the order of (due, stamp).

        Args:
            partition: whose they are.
            until: Unix seconds.
            after: (due, stamp) of the last letter of the page before; ``(-1, "")``.
            limit: most letters.
        """

    @abc.abstractmethod
    async def mail(self, target: Address, *, limit: int) -> list[Letter]:
        """List the readable letters of one target, in the order of (due, stamp)."""

    @abc.abstractmethod
    async def pending(
        self, *, after: str | None, limit: int
    ) -> list[tuple[str, float]]:
        """List partitions that have letters, with when the first is due, by name."""

    @abc.abstractmethod
    async def dead(self, *, partition: str, after: str, limit: int) -> list[DeadLetter]:
        """List dead letters in the order of their stamps, after one of them."""

    @abc.abstractmethod
    async def reply(self, target: Address, key: str) -> Reply | None:
        """Return the remembered reply of a request.

        Raises:
            CorruptRecord: the row is damaged.
        """
