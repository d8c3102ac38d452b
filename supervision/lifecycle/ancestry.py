"""Ancestors of an instance; the row of a hibernated ancestor names the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from persistence import Address, RecordError, RecordKind

from ..errors import LineageRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from persistence import Reader

    from ..agents import Instance

__all__ = ["ancestry", "refuse_circle"]

Find: TypeAlias = "Callable[[Address], Instance | None]"
"""Returns the instance published at an address, in any phase."""


async def refuse_circle(
    find: Find, reader: Reader, parent: Instance, child: Address
) -> None:
    """Raise if a child is an ancestor of its parent, in memory or in the store.

    Raises:
        LineageRefused: the child is an ancestor of the parent.
        StoreError: the store could not be read.
    """
    seen: set[Address] = set()
    above = parent.parent_address
    while above is not None and above not in seen:
        if above == child:
            reason = "it is an ancestor of the parent"
            raise LineageRefused(parent.address, child, reason)
        seen.add(above)
        above = await _above(find, reader, above)


async def ancestry(find: Find, reader: Reader, address: Address) -> tuple[Address, ...]:
    """Return an address and those of its ancestors, the nearest first.

    Raises:
        StoreError: the store could not be read.
    """
    found: dict[Address, None] = {}
    here: Address | None = address
    while here is not None and here not in found:
        found[here] = None
        here = await _above(find, reader, here)
    return tuple(found)


async def _above(find: Find, reader: Reader, address: Address) -> Address | None:
    instance = find(address)
    if instance is not None and instance.live:
        return instance.parent_address
    try:
        rows = await reader.load(address)
    except RecordError:  # a damaged row names no parent
        return None
    return next((row.parent for row in rows if row.kind is RecordKind.STATE), None)
