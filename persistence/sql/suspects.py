"""Partitions on whose account a batch was lately done again.

A batch of many partitions is one try, and is done again if one unit of it cannot be
saved so. A partition that brought that about is tried by itself from then on, until
it has gone without a fault for a while: what it does wrong costs the others one try,
however often it does it. A pure decision, without a database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Suspects"]


@attrs.define(eq=False, repr=False)
class Suspects:
    """Remembers who is to be tried by itself.

    Attributes:
        batches: batches of its own without a fault after which a partition is trusted.
        most: partitions that are remembered; of more, the first is trusted again.
    """

    batches: int = 1_000
    most: int = 1_000
    _left: dict[str, int] = attrs.field(factory=dict[str, int], init=False)

    def __len__(self) -> int:
        return len(self._left)

    def __repr__(self) -> str:
        return f"<Suspects partitions={len(self._left)}>"

    def note(self, partition: str) -> None:
        """Suspect a partition, from its next batch on."""
        self._left.pop(partition, None)
        self._left[partition] = self.batches
        if len(self._left) > self.most:
            del self._left[next(iter(self._left))]

    def among(self, partitions: Iterable[str]) -> frozenset[str]:
        """Say which partitions of a batch are to be tried by themselves.

        Each call is a batch, and counts as one without a fault unless ``note`` follows.
        """
        if not self._left:
            return frozenset()
        found = frozenset(p for p in partitions if p in self._left)
        for partition in found:
            self._left[partition] -= 1
            if not self._left[partition]:
                del self._left[partition]
        return found
