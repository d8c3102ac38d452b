"""A queue with one lane per partition, emptied round robin."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

import attrs

__all__ = ["RoundRobinQueue"]

T = TypeVar("T")


@attrs.define(eq=False, repr=False)
class RoundRobinQueue(Generic[T]):
    """First in, first out inside a partition; turn about between partitions.

    A partition with ten thousand items delays another one's first item by one item.
    Every call costs the same however many partitions wait. The caller bounds a lane
    with ``depth`` before it puts anything in.
    """

    _lanes: OrderedDict[str, deque[T]] = attrs.field(
        factory=OrderedDict[str, deque[T]], init=False
    )
    _size: int = attrs.field(default=0, init=False)

    def __len__(self) -> int:
        return self._size

    def __repr__(self) -> str:
        return f"<Lanes partitions={len(self._lanes)} items={self._size}>"

    def depth(self, partition: str) -> int:
        """Count what waits in one partition."""
        lane = self._lanes.get(partition)
        return 0 if lane is None else len(lane)

    def put(self, partition: str, item: T) -> None:
        """Add an item at the end of its partition's lane."""
        lane = self._lanes.get(partition)
        if lane is None:
            lane = self._lanes[partition] = deque()
        lane.append(item)
        self._size += 1

    def take(self) -> T | None:
        """Remove the next item of the partition whose turn it is."""
        if not self._lanes:
            return None
        partition, lane = self._lanes.popitem(last=False)
        item = lane.popleft()
        if lane:
            self._lanes[partition] = lane
        self._size -= 1
        return item
