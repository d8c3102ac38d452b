"""How many handlers run outside the loop: a limit of the host, and of partitions."""

from __future__ import annotations

import asyncio
from collections import deque

__all__ = ["PartitionLimiter"]


class PartitionLimiter:
    """Gives a bounded number of permits to partitions in turn.

    Inside a partition the order is that of the requests. A partition at its own limit
    waits until it gives a permit back; it never holds more than its limit.
    ``execution`` takes a permit for each handler in a thread or a process.

    Args:
        total: permits of all partitions together.
    """

    def __init__(self, total: int) -> None:
        self._free = total
        self._held: dict[str, int] = {}
        self._limits: dict[str, int] = {}
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    def __repr__(self) -> str:
        return f"<PartitionLimiter free={self._free} waiting={len(self._waiting)}>"

    def held(self, partition: str) -> int:
        """Return the number of permits that a partition holds."""
        return self._held.get(partition, 0)

    def take_now(self, partition: str, limit: int) -> bool:
        """Take a permit without waiting; return whether there was one to take."""
        if partition in self._waiting or not self._may(partition, limit):
            return False
        self._grant(partition)
        return True

    async def take(self, partition: str, limit: int) -> None:
        """Wait for a permit.

        Args:
            partition: the partition that wants it.
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
                self.give(partition)  # granted in the same step as the cancellation
            raise

    def give(self, partition: str) -> None:
        """Give a permit back; a partition that waits gets it if its limit allows."""
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
        """Grant one permit to a partition that waits, and move it to the tail."""
        turns = self._waiting[partition]
        while turns and turns[0].done():
            _ = turns.popleft()  # cancelled while it waited
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
