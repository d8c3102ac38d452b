"""What is counted of one partition as it happens: its mail, and its inline turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from .backpressure import Admission

__all__ = ["Tally"]


@attrs.define(eq=False)
class Tally:
    """Counts of one partition that last as long as the host knows it.

    Attributes:
        partition: whose they are.
        admission: the counts of the host.
        queued: messages that wait in its mailboxes.
        inline: turns run in their callers' steps during pass ``tick`` of the loop.
        tick: the last pass of the loop in which one was.
        began: when the last one began.
        owed: seconds that they took and that are not charged yet.
    """

    partition: str
    admission: Admission
    queued: int = 0
    inline: int = 0
    tick: int = 0
    began: float = 0.0
    owed: float = 0.0

    def put(self) -> None:
        """Count a message that begins to wait."""
        self.queued += 1
        self.admission.queued += 1

    def take(self) -> None:
        """Count a message that waits no more."""
        self.queued -= 1
        self.admission.queued -= 1
