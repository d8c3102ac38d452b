"""What the contract of a store makes its records, units and open stores with."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

from persistence import Address, Key, Operation, Record, RecordKind, Save, Store, Unit

__all__ = ["Make", "body_of", "opened", "save", "state", "unit"]

Make: TypeAlias = Callable[[], Store]
"""Makes an unopened store; every store of one test stands on the same storage."""


def state(
    key: Key,
    rev: int = 1,
    body: bytes = b"{}",
    *,
    partition: str = "acme",
    parent: Address | None = None,
) -> Record:
    address = Address(partition, "workers", key)
    return Record(address, RecordKind.STATE, rev, 1, body, parent)


def unit(*operations: Operation, partition: str = "acme", epoch: int = 1) -> Unit:
    return Unit(partition, epoch, operations)


def save(
    key: Key, rev: int = 1, body: bytes = b"{}", *, partition: str = "acme"
) -> Unit:
    return unit(Save(state(key, rev, body, partition=partition)), partition=partition)


@asynccontextmanager
async def opened(make: Make, *partitions: str) -> AsyncGenerator[Store]:
    """Open a store, claim partitions, and close it in the end."""
    store = make()
    await store.open()
    try:
        await store.claim(partitions)
        yield store
    finally:
        await store.close()  # noqa: ASYNC102  a test of its own


async def body_of(store: Store, key: Key, partition: str = "acme") -> bytes | None:
    (found,) = await store.load("workers", [key], partition=partition)
    assert isinstance(found, tuple)
    return found[0].body if found else None
