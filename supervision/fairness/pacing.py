"""How many turns may begin before the event loop does something else.

To begin a turn in a worker takes no time, but the loop runs all turns that were begun
in its next pass, and a message that arrives during that pass waits for all of them. So
a rush begins with few turns at a time, and goes on with more while the passes are
short. Pure arithmetic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .policy import DispatchPolicy

__all__ = ["StartPacing"]

_FEW = 2
"""Turns that are begun together while it is unknown how long they take."""


class StartPacing:
    """Limits the turns that the dispatcher of one host begins in one pass of the loop.

    A round begins with ``begin`` and ends when ``enough`` returns ``True``.

    Args:
        policy: the quantum, and ``pump``, the most turns that are begun together.
    """

    def __init__(self, policy: DispatchPolicy) -> None:
        self._quantum = policy.quantum
        self._most = policy.pump
        self._first = self._batch = min(_FEW, policy.pump)
        self._handed = 0  # turns that their workers have not begun to run
        self._promised = 0.0  # loop seconds that the turns of this round take
        self._begun = 0
        self._ends = 0.0
        self._paused: float | None = None

    def __repr__(self) -> str:
        return f"<StartPacing batch={self._batch} handed={self._handed}>"

    @property
    def crowded(self) -> bool:
        """Whether workers have as many turns as may run in the next pass."""
        return self._handed >= self._batch

    def hand(self, seconds: float) -> None:
        """Count a turn that was handed to a worker.

        Args:
            seconds: expected loop seconds of its next step; 0: unknown.
        """
        self._handed += 1
        self._promised += seconds

    def run(self) -> None:
        """Count a turn that its worker begins to run."""
        self._handed -= 1

    def begin(self, now: float) -> None:
        """Begin a round; the time since the last one ended is one pass of the loop."""
        if self._paused is not None:
            passed, self._paused = now - self._paused, None
            if passed > self._quantum / 2:
                self._batch = max(1, self._batch // 2)
            elif passed < self._quantum / 8:
                self._batch = min(self._most, 2 * self._batch)
        self._begun, self._promised = 0, 0.0
        self._ends = now + self._quantum

    def enough(self, now: float) -> bool:
        """Count a turn that was begun; return whether the loop has to go on first.

        Whatever the batch, a round ends once its turns are expected to take half a
        quantum together: a short pass says nothing about longer turns.
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
        """Reset the batch when nothing waits: the next rush begins with few again."""
        self._batch = self._first
