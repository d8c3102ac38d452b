"""A heap of partitions by tag whose entries may go stale.

Moving a partition inside a heap would need a search for it. Instead it gets a new
version and a new entry, and entries of older versions are passed over when they come
up. When too many of them have gathered, they are swept out.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from .account import Account

__all__ = ["TagHeap"]

T = TypeVar("T")


class TagHeap(Generic[T]):
    """Partitions, the least tag first; equal tags in the order of their coming."""

    __slots__ = ("_entries", "_limit")

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Account[T]]] = []
        self._limit = 64

    def __len__(self) -> int:
        """Count the entries, stale ones too."""
        return len(self._entries)

    def push(self, account: Account[T]) -> None:
        """Put a partition in under its present version, which no other entry has."""
        entries = self._entries
        if len(entries) >= self._limit:
            entries[:] = [entry for entry in entries if entry[2].version == entry[1]]
            heapify(entries)
            self._limit = 64 + 4 * len(entries)
        heappush(entries, (account.tag, account.version, account))

    def pop(self) -> Account[T] | None:
        """Take the first partition out; ``None`` when there is none."""
        entries = self._entries
        while entries:
            _, version, account = heappop(entries)
            if account.version == version:
                return account
        return None
