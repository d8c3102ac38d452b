"""A heap of entries by tag; an entry is stale once its item has a newer version.

An item whose tag changes is pushed again under a new version: to move it inside the
heap would need a search. Stale entries are passed over when they are popped. When too
many of them have gathered, all are removed at once.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Generic, Protocol, TypeVar

__all__ = ["TagHeap", "Tagged"]


class Tagged(Protocol):
    """What a heap orders.

    Attributes:
        tag: the least is popped first.
        version: number of the one entry that is valid.
    """

    tag: float
    version: int


E = TypeVar("E", bound=Tagged)


class TagHeap(Generic[E]):
    """Items by tag, the least first; equal tags in the order of their versions.

    Only the entry with the item's present version is ever returned. ``queue`` keeps one
    heap of partitions below their caps, one of those above, and one for each resource.
    """

    __slots__ = ("_entries", "_limit")

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, E]] = []
        self._limit = 64

    def __len__(self) -> int:
        """Count the entries, stale ones included."""
        return len(self._entries)

    def push(self, item: E) -> None:
        """Add an item under its present version, which no other entry has."""
        entries = self._entries
        if len(entries) >= self._limit:
            entries[:] = [entry for entry in entries if entry[2].version == entry[1]]
            heapify(entries)
            self._limit = 64 + 4 * len(entries)
        heappush(entries, (item.tag, item.version, item))

    def pop(self) -> E | None:
        """Remove and return the item with the least tag; ``None``: there is none."""
        entries = self._entries
        while entries:
            _, version, item = heappop(entries)
            if item.version == version:
                return item
        return None
