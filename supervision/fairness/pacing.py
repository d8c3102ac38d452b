"""How many turns may begin before the event loop does something else.

A worker's turn costs nothing when it is begun, but the loop runs all that were begun
in its next pass, and whoever arrives meanwhile waits for all. So a rush begins with
few at a time, and goes on with more while the passes are short. Pure arithmetic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .policy import DispatchPolicy

__all__ = ["StartPacing"]

_FEW = 2
"""Turns that are begun together before it is known how long they take."""


class StartPacing:
    """The pace of one host's dispatcher.

    Args:
        policy: the quantum, and the most that are begun together.
    """

    def __init__(self, policy: DispatchPolicy) -> None:
        self._quantum = policy.quantum
        self._most = policy.pump
        self._first = self._batch = min(_FEW, policy.pump)
        self._handed = 0  # turns that no worker has begun to run
        self._promised = 0.0  # seconds of the loop that those of this round will take
        self._begun = 0
        self._ends = 0.0
        self._paused: float | None = None

    def __repr__(self) -> str:
        return f"<Pace batch={self._batch} handed={self._handed}>"

    @property
    def crowded(self) -> bool:
        """Whether as many were handed to workers as may run in the next pass."""
        return self._handed >= self._batch

    def hand(self, seconds: float) -> None:
        """Count a turn that was handed to a worker.

        Args:
            seconds: of the loop that its next step is expected to take; 0: unknown.
        """
        self._handed += 1
        self._promised += seconds

    def run(self) -> None:
        """Count a turn that its worker begins to run."""
        self._handed -= 1

    def begin(self, now: float) -> None:
        """Begin a round; the time since the last one is how long the loop took."""
        if self._paused is not None:
            passed, self._paused = now - self._paused, None
            if passed > self._quantum / 2:
                self._batch = max(1, self._batch // 2)
            elif passed < self._quantum / 8:
                self._batch = min(self._most, 2 * self._batch)
        self._begun, self._promised = 0, 0.0
        self._ends = now + self._quantum

    def enough(self, now: float) -> bool:
        """Count a turn that was begun, and say whether the loop has to go on first.

        Whatever the number, no more are begun than are known to take half a quantum
        together: a pass that was short says nothing about longer turns.
        """
        self._begun += 1
        if (
            self._begun < self._batch
            and now < self._ends
            and self._promised < self._quantum / 2
        ):
            return False
        self._paused = now
        return True

    def rest(self) -> None:
        """Note that nothing waits any more: the next rush begins with few again."""
        self._batch = self._first
