"""How many handlers run outside the loop: so many of a host, fewer of one partition."""

from __future__ import annotations

import asyncio
from collections import deque

__all__ = ["PartitionLimiter"]


class PartitionLimiter:
    """Permits that partitions take in turn, each in the order in which it asked.

    A partition that uses up its own limit waits for itself; it takes nothing from the
    others but what the limit allows.

    Args:
        total: permits of all partitions together.
    """

    def __init__(self, total: int) -> None:
        self._free = total
        self._held: dict[str, int] = {}
        self._limits: dict[str, int] = {}
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    def __repr__(self) -> str:
        return f"<Permits free={self._free} waiting={len(self._waiting)}>"

    def held(self, partition: str) -> int:
        """Count the permits that a partition holds."""
        return self._held.get(partition, 0)

    def take_now(self, partition: str, limit: int) -> bool:
        """Take a permit if there is one that nobody waits for; say whether."""
        if partition in self._waiting or not self._may(partition, limit):
            return False
        self._grant(partition)
        return True

    async def take(self, partition: str, limit: int) -> None:
        """Wait for a permit.

        Args:
            partition: who wants it.
            limit: permits that it may hold at a time.
        """
        if self.take_now(partition, limit):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._limits[partition] = limit
        self._waiting.setdefault(partition, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(partition)  # it was granted in the very same moment
            raise

    def give(self, partition: str) -> None:
        """Give a permit back, to who waits for it if anybody does."""
        self._free += 1
        left = self._held.pop(partition) - 1
        if left:
            self._held[partition] = left
        for name in list(self._waiting):
            if not self._free:
                return
            self._serve(name)

    def _may(self, partition: str, limit: int) -> bool:
        return self._free > 0 and self.held(partition) < limit

    def _grant(self, partition: str) -> None:
        self._free -= 1
        self._held[partition] = self.held(partition) + 1

    def _serve(self, partition: str) -> None:
        """Grant one permit to a partition that waits, and let it go to the tail."""
        turns = self._waiting[partition]
        while turns and turns[0].done():
            _ = turns.popleft()  # it was cancelled while it waited
        if turns and not self._may(partition, self._limits[partition]):
            return
        del self._waiting[partition]
        if not turns:
            del self._limits[partition]
            return
        self._grant(partition)
        turns.popleft().set_result(None)
        if turns:
            self._waiting[partition] = turns
        else:
            del self._limits[partition]
