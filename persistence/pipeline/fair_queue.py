"""A queue of items by partition, emptied round robin."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

import attrs

__all__ = ["RoundRobinQueue"]

T = TypeVar("T")


@attrs.define(eq=False, repr=False)
class RoundRobinQueue(Generic[T]):
    """A queue for each partition that has items; each call takes from the next one.

    Inside a partition, items leave in the order in which they came. A partition with
    ten thousand items delays another one's first item by one item. Every call takes the
    same time, however many partitions wait. The queue sets no bound: the writer and the
    reader ask for ``depth`` before they put an item in.
    """

    _queues: OrderedDict[str, deque[T]] = attrs.field(
        factory=OrderedDict[str, deque[T]], init=False
    )
    _size: int = attrs.field(default=0, init=False)

    def __len__(self) -> int:
        return self._size

    def __repr__(self) -> str:
        return f"<RoundRobinQueue partitions={len(self._queues)} items={self._size}>"

    def depth(self, partition: str) -> int:
        """Return how many items of one partition wait."""
        queue = self._queues.get(partition)
        return 0 if queue is None else len(queue)

    def put(self, partition: str, item: T) -> None:
        """Add an item at the end of the queue of its partition."""
        queue = self._queues.get(partition)
        if queue is None:
            queue = self._queues[partition] = deque()
        queue.append(item)
        self._size += 1

    def take_next(self) -> T | None:
        """Remove and return the first item of the next partition; ``None`` if empty.

        The partition goes behind the others.
        """
        if not self._queues:
            return None
        partition, queue = self._queues.popitem(last=False)
        item = queue.popleft()
        if queue:
            self._queues[partition] = queue
        self._size -= 1
        return item
