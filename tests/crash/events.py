"""What a process says through a pipe about what it does.

A line is smaller than ``PIPE_BUF``, so that a process which is killed has written all
of it or nothing.
"""

from __future__ import annotations

import os
import time
from typing import NamedTuple

__all__ = ["Event", "Say", "parse"]


class Event(NamedTuple):
    """One line.

    Attributes:
        kind: what happened; see ``Ledger``.
        partition: to whom.
        subject: to what of it.
        number: how much.
        at: when, on the clock that all processes of a machine share, in nanoseconds.
    """

    kind: str
    partition: str = "-"
    subject: str = "-"
    number: int = 0
    at: int = 0


class Say:
    """The writing end of a pipe."""

    def __init__(self, end: int) -> None:
        self._end = end

    def __call__(
        self, kind: str, partition: str = "-", subject: str = "-", number: int = 0
    ) -> None:
        """Write an event; a parent that is gone ends the process."""
        line = f"{kind} {partition} {subject} {number} {time.monotonic_ns()}\n"
        try:
            os.write(self._end, line.encode())
        except BrokenPipeError:
            os._exit(1)


def parse(line: bytes) -> Event:
    """Read a line back."""
    kind, partition, subject, number, at = line.decode().split(" ")
    return Event(kind, partition, subject, int(number), int(at))
