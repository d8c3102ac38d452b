"""Mistakes that the runs must find; without them nobody knows that they find any."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import attrs

from persistence import Store, StoreError, StoreUnavailable, Unit, open_store

__all__ = ["PLANTED", "hasty", "refusing", "silent"]


@attrs.define(eq=False)
class _Hasty:
    """Answers before the transaction has begun."""

    store: Store
    tasks: set[asyncio.Task[list[StoreError | None]]] = attrs.field(
        factory=set[asyncio.Task[list[StoreError | None]]]
    )

    async def apply(self, units: Sequence[Unit]) -> list[StoreError | None]:
        task = asyncio.get_running_loop().create_task(self._later(units))
        self.tasks.add(task)
        return [None] * len(units)

    async def _later(self, units: Sequence[Unit]) -> list[StoreError | None]:
        return await type(self.store).apply(self.store, units)


def hasty(url: str) -> Store:
    """Open a store that acknowledges what it has not written yet."""
    store = open_store(url)
    store.apply = _Hasty(store).apply  # type: ignore[method-assign]
    return store


async def _never(units: Sequence[Unit]) -> list[StoreError | None]:
    await asyncio.get_running_loop().create_future()
    return [None] * len(units)


async def _not_now(units: Sequence[Unit]) -> list[StoreError | None]:
    raise StoreUnavailable("save", f"it is planted for all {len(units)} units")


def silent(url: str) -> Store:
    """Open a store whose first transaction does not end."""
    store = open_store(url)
    store.apply = _never  # type: ignore[method-assign]
    return store


def refusing(url: str) -> Store:
    """Open a store that saves nothing."""
    store = open_store(url)
    store.apply = _not_now  # type: ignore[method-assign]
    return store


PLANTED = {"hasty": hasty, "silent": silent, "refusing": refusing}
