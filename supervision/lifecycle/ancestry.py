"""Ancestors of an instance that may be out of memory; their rows name the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persistence import Address, RecordError, RecordKind

from ..errors import LineageRefused

if TYPE_CHECKING:
    from ..agents import Instance
    from .catalog import Catalog

__all__ = ["ancestry", "refuse_circle"]


async def refuse_circle(runtime: Catalog, parent: Instance, child: Address) -> None:
    """Raise if an instance stands above its own parent, in memory or in the store.

    Raises:
        LineageRefused: it does.
        StoreError: the store could not be read.
    """
    seen: set[Address] = set()
    above = parent.parent_address
    while above is not None and above not in seen:
        if above == child:
            reason = "it is an ancestor of the parent"
            raise LineageRefused(parent.address, child, reason)
        seen.add(above)
        above = await _above(runtime, above)


async def ancestry(runtime: Catalog, address: Address) -> tuple[Address, ...]:
    """Return an address and all that stand above it, the nearest first.

    Raises:
        StoreError: the store could not be read.
    """
    found: dict[Address, None] = {}
    here: Address | None = address
    while here is not None and here not in found:
        found[here] = None
        here = await _above(runtime, here)
    return tuple(found)


async def _above(runtime: Catalog, address: Address) -> Address | None:
    instance = runtime.find(address)
    if instance is not None and instance.live:
        return instance.parent_address
    try:
        rows = await runtime.reader.load(address)
    except RecordError:  # nobody knows what stood above it
        return None
    return next((row.parent for row in rows if row.kind is RecordKind.STATE), None)
