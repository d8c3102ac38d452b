"""A store whose medium can be made to fail, and parts that run beside a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager

import attrs

from persistence import (
    Claim,
    CommitPolicy,
    Key,
    Loaded,
    MemoryStore,
    Reader,
    ReadPolicy,
    StoreError,
    Unit,
    Writer,
)

__all__ = ["FaultyStore", "reading", "writing"]


@attrs.define(eq=False, repr=False)
class FaultyStore(MemoryStore):
    """Keeps the contract until it is told to fail, to wait, or to choke.

    Attributes:
        fail: raised by the next calls, one each, before anything is done.
        gate: calls wait until it is set.
        chokes_on: units and keys whose batch makes the driver raise.
        batches: the units of each ``apply`` that was begun.
        loads: likewise, for ``load``.
        entered: set when the first call was begun.
        claimed: the partitions of each ``claim`` that was begun.
    """

    fail: list[BaseException] = attrs.field(factory=list[BaseException])
    gate: asyncio.Event = attrs.field(factory=asyncio.Event)
    chokes_on: Callable[[object], bool] = lambda _: False
    batches: list[list[Unit]] = attrs.field(factory=list[list[Unit]])
    loads: list[tuple[str, str, list[Key]]] = attrs.field(
        factory=list[tuple[str, str, list[Key]]]
    )
    claimed: list[list[str]] = attrs.field(factory=list[list[str]])

    entered: asyncio.Event = attrs.field(factory=asyncio.Event)

    def __attrs_post_init__(self) -> None:
        self.gate.set()

    async def claim(self, partitions: Sequence[str]) -> list[Claim]:
        self.claimed.append(list(partitions))
        await self._pass(partitions)
        return await super().claim(partitions)

    async def apply(self, units: Sequence[Unit]) -> list[StoreError | None]:
        self.batches.append(list(units))
        await self._pass(units)
        return await super().apply(units)

    async def load(
        self, manager: str, keys: Sequence[Key], *, partition: str
    ) -> list[Loaded]:
        self.loads.append((partition, manager, list(keys)))
        await self._pass(keys)
        return await super().load(manager, keys, partition=partition)

    async def count(self, manager: str, *, partition: str) -> int:
        await self._pass(())
        return await super().count(manager, partition=partition)

    async def _pass(self, things: Sequence[object]) -> None:
        self.entered.set()
        await self.gate.wait()
        if self.fail:
            raise self.fail.pop(0)
        if any(self.chokes_on(thing) for thing in things):
            await asyncio.sleep(0)
            msg = "the value 'secret' cannot be bound"
            raise TypeError(msg)


@asynccontextmanager
async def writing(
    store: MemoryStore, *partitions: str, policy: CommitPolicy | None = None
) -> AsyncGenerator[Writer]:
    """Open a store, claim partitions, and run a writer on it until the block ends."""
    await store.open()
    await MemoryStore.claim(store, partitions)
    writer = Writer(store, policy=policy or CommitPolicy())
    async with asyncio.TaskGroup() as group:
        group.create_task(writer.run())
        yield writer
        writer.close()
    await store.close()


@asynccontextmanager
async def reading(
    store: MemoryStore, *partitions: str, policy: ReadPolicy | None = None
) -> AsyncGenerator[Reader]:
    """Open a store, claim partitions, and run a reader on it until the block ends."""
    await store.open()
    await MemoryStore.claim(store, partitions)
    reader = Reader(store, policy=policy or ReadPolicy())
    async with asyncio.TaskGroup() as group:
        group.create_task(reader.run())
        yield reader
        reader.close()
    await store.close()
