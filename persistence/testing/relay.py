"""A store that passes everything on to another: the base of doubles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from persistence import (
    Address,
    Claim,
    DeadLetter,
    Key,
    Letter,
    Loaded,
    Quarantine,
    Reply,
    SpoiledLetter,
    Store,
    StoredBytes,
    StoreError,
    Unit,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

__all__ = ["RelayStore"]


@attrs.define(eq=False, repr=False)
class RelayStore(Store):
    """Passes every call on; override ``passing`` to watch, delay or refuse them.

    Attributes:
        inner: the store below.
    """

    inner: Store

    async def passing(self, call: str, *partitions: str) -> None:
        """See a call before it reaches the store below.

        Args:
            call: the name of the method.
            partitions: those that the call names.
        """

    async def open(self) -> None:
        await self.passing("open")
        await self.inner.open()

    async def close(self) -> None:
        await self.inner.close()

    def shard(self, partition: str) -> Hashable:
        return self.inner.shard(partition)

    async def claim(self, partitions: Sequence[str]) -> list[Claim]:
        await self.passing("claim", *partitions)
        return await self.inner.claim(partitions)

    async def load(
        self, manager: str, keys: Sequence[Key], *, partition: str
    ) -> list[Loaded]:
        await self.passing("load", partition)
        return await self.inner.load(manager, keys, partition=partition)

    async def apply(self, units: Sequence[Unit]) -> list[StoreError | None]:
        await self.passing("apply", *(unit.partition for unit in units))
        return await self.inner.apply(units)

    async def keys(
        self, manager: str, *, partition: str, after: Key | None, limit: int
    ) -> list[Key]:
        await self.passing("keys", partition)
        return await self.inner.keys(
            manager, partition=partition, after=after, limit=limit
        )

    async def count(self, manager: str, *, partition: str) -> int:
        await self.passing("count", partition)
        return await self.inner.count(manager, partition=partition)

    async def partitions(self, *, after: str | None, limit: int) -> list[str]:
        await self.passing("partitions")
        return await self.inner.partitions(after=after, limit=limit)

    async def children(self, parent: Address) -> list[Address]:
        await self.passing("children", parent.partition)
        return await self.inner.children(parent)

    async def quarantined(self, *, partition: str) -> list[Quarantine]:
        await self.passing("quarantined", partition)
        return await self.inner.quarantined(partition=partition)

    async def inspect(self, address: Address) -> list[StoredBytes]:
        await self.passing("inspect", address.partition)
        return await self.inner.inspect(address)

    async def letters(
        self, *, partition: str, until: float, after: tuple[float, str], limit: int
    ) -> list[Letter | SpoiledLetter]:
        await self.passing("letters", partition)
        return await self.inner.letters(
            partition=partition, until=until, after=after, limit=limit
        )

    async def mail(self, target: Address, *, limit: int) -> list[Letter]:
        await self.passing("mail", target.partition)
        return await self.inner.mail(target, limit=limit)

    async def pending(
        self, *, after: str | None, limit: int
    ) -> list[tuple[str, float]]:
        await self.passing("pending")
        return await self.inner.pending(after=after, limit=limit)

    async def dead(self, *, partition: str, after: str, limit: int) -> list[DeadLetter]:
        await self.passing("dead", partition)
        return await self.inner.dead(partition=partition, after=after, limit=limit)

    async def reply(self, target: Address, key: str) -> Reply | None:
        await self.passing("reply", target.partition)
        return await self.inner.reply(target, key)
