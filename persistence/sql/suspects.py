"""Partitions that recently made a shared transaction fail.

The units of a batch share one transaction. If one of them cannot be saved that way, the
transaction is undone and repeated in parts. From then on the partition of that unit is
a suspect: its units have transactions of their own, until enough batches passed without
a fault. So its faults cost the other partitions one repetition, however often they
occur. This file decides only; it uses no database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Suspects"]


@attrs.define(eq=False, repr=False)
class Suspects:
    """The partitions whose units are saved in transactions of their own.

    Their number is bounded. The stores in SQLite and PostgreSQL each have one.

    Attributes:
        batches: batches without a fault after which a partition shares transactions
            again; at least 1.
        max_partitions: the most suspects; beyond it, the oldest is dropped.
    """

    batches: int = 1_000
    max_partitions: int = 1_000
    _batches_left: dict[str, int] = attrs.field(factory=dict[str, int], init=False)

    def __len__(self) -> int:
        return len(self._batches_left)

    def __repr__(self) -> str:
        return f"<Suspects partitions={len(self._batches_left)}>"

    def add(self, partition: str) -> None:
        """Make a partition a suspect, from its next batch on."""
        self._batches_left.pop(partition, None)
        self._batches_left[partition] = self.batches
        if len(self._batches_left) > self.max_partitions:
            del self._batches_left[next(iter(self._batches_left))]

    def count_batch(self, partitions: Iterable[str]) -> frozenset[str]:
        """Return the partitions whose units need a transaction of their own.

        Each call counts as one batch without a fault, unless ``add`` follows.

        Args:
            partitions: those of the batch; repetitions do not matter.
        """
        if not self._batches_left:
            return frozenset()
        found = frozenset(p for p in partitions if p in self._batches_left)
        for partition in found:
            self._batches_left[partition] -= 1
            if not self._batches_left[partition]:
                del self._batches_left[partition]
        return found
