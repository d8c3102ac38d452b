"""Tells a process that stands still from one that the machine keeps waiting.

On a busy machine a process that is ready to run may wait for a processor, or for the
disk, for seconds; that is no fault of its program. The kernel counts how long each
thread was ready and did not run (``schedstat``); a thread that the disk keeps waiting
is in state ``D``. What is left is the program's own time.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import attrs

__all__ = ["Patience", "Spent", "Stopwatch", "spent_by"]

_SECONDS = 20.0
_AT_MOST = 15
"""However busy the machine is, this many times as long is too long."""


@attrs.frozen
class Spent:
    """What became of the seconds of a process, those of its threads added up.

    Attributes:
        running: on a processor.
        queued: ready to run, while others had the processors.
        asleep: a thread waits for the disk at this moment.
    """

    running: float = 0.0
    queued: float = 0.0
    asleep: bool = False


def spent_by(pid: int) -> Spent:
    """Look at a process; it has spent nothing if it is gone or the kernel is silent."""
    running = queued = 0
    asleep = False
    for thread in _threads(pid):
        with contextlib.suppress(OSError):  # it may end meanwhile
            ran, waited, _ = _read(thread / "schedstat").split()
            running, queued = running + int(ran), queued + int(waited)
            asleep |= _read(thread / "stat").rpartition(") ")[2].startswith("D")
    return Spent(running / 1e9, queued / 1e9, asleep)


def _threads(pid: int) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from Path(f"/proc/{pid}/task").iterdir()


def _read(file: Path) -> str:
    return file.read_text(encoding="ascii", errors="replace")


@attrs.define(eq=False)
class Patience:
    """How much longer a process may keep us waiting.

    Attributes:
        seconds: time of its own that it may take.
        began: when it began, on the monotonic clock.
        own: what it has taken of its own until it was last looked at.
        queued: what others have taken from it.
        disk: what the disk has.
    """

    seconds: float = _SECONDS
    began: float = attrs.field(factory=time.monotonic)
    own: float = 0.0
    queued: float = 0.0
    disk: float = 0.0
    _looked: float = attrs.field(init=False)
    _before: Spent = attrs.field(factory=Spent, init=False)

    def __attrs_post_init__(self) -> None:
        self._looked = self.began

    def __str__(self) -> str:
        return (
            f"in {self._looked - self.began:.1f} s it waited {self.queued:.1f} s for a "
            f"processor, {self.disk:.1f} s for the disk, and took {self.own:.1f} s"
        )

    @property
    def is_late(self) -> bool:
        """Whether it has taken longer than that, be it by itself or not."""
        return self._looked - self.began > self.seconds

    def is_over(self, now: float, spent: Spent) -> bool:
        """Say whether it has had its time, by what it has spent since it began."""
        passed, self._looked = now - self._looked, now
        queued = min(passed, max(0.0, spent.queued - self._before.queued))
        disk = passed - queued if spent.asleep else 0.0
        self._before = spent
        self.queued += queued
        self.disk += disk
        self.own += passed - queued - disk
        return self.own >= self.seconds or now - self.began >= self.seconds * _AT_MOST


class Stopwatch:
    """Measures a process from inside: how long something takes, and how much work."""

    def __init__(self) -> None:
        self._wall, self._work = time.monotonic(), time.process_time()

    def wall(self) -> int:
        """Return the microseconds that have passed."""
        return round((time.monotonic() - self._wall) * 1e6)

    def work(self) -> int:
        """Return those of them that it had a processor for."""
        return round((time.process_time() - self._work) * 1e6)
