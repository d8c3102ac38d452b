"""Response times and failures of one partition in the last one to two minutes.

Times are counted in buckets, four to each doubling. So a percentile is right within a
tenth at any traffic, and a partition takes half a kilobyte while it is busy and almost
nothing while it is not. Two periods are kept: the present one and the one before.
"""

from __future__ import annotations

import bisect
import itertools
import math
import operator
from array import array
from typing import TYPE_CHECKING, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .counters import Counters

__all__ = ["INSTANT", "PERIOD", "LatencyWindow", "Vitals", "percentiles"]

PERIOD = 60.0
"""Seconds of one period."""

_SLOWEST = 10  # doublings: 2**10 seconds, the last bucket
_FASTEST = -13  # halvings: an eighth of a millisecond, the first bucket
_BUCKETS = (_SLOWEST - _FASTEST + 1) * 4
_MIDDLES = tuple(
    math.ldexp(0.5 + (bucket % 4 + 0.5) / 8, bucket // 4 + _FASTEST)
    for bucket in range(_BUCKETS)
)
"""Seconds that represent the messages of each bucket: its middle."""
_P95 = 0.95
_PARTS = (0.50, _P95, 0.99)
_FULL = 0xFFFF
_EMPTY = array("H", bytes(2 * _BUCKETS))

INSTANT = 2.0 ** (_FASTEST - 1)
"""Seconds below which every time is in the first bucket."""

Marks: TypeAlias = tuple[int, int, int, int, int, float]


@attrs.frozen(kw_only=True)
class Vitals:
    """The numbers of one partition in the present period and the one before.

    Attributes:
        p50: seconds from acceptance to answer that half of the messages took at most.
        p95: seconds that 95 of a hundred messages took at most.
        p99: seconds that 99 of a hundred messages took at most.
        answered: messages whose handler returned.
        failed: messages whose handler raised.
        rejected: messages that were refused.
        store_failures: commits that the store refused.
        blocks: times that a handler of the partition blocked the loop.
        loop_seconds: seconds that its handlers held the loop.
    """

    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    answered: int = 0
    failed: int = 0
    rejected: int = 0
    store_failures: int = 0
    blocks: int = 0
    loop_seconds: float = 0.0

    @property
    def error_rate(self) -> float:
        """The part of the handled messages that failed, from 0 to 1."""
        handled = self.answered + self.failed
        return self.failed / handled if handled else 0.0


_NOTHING: Marks = (0, 0, 0, 0, 0, 0.0)


class LatencyWindow:
    """The response times of one partition, and its counters as each period began.

    It covers the present period and the one before. Execution counts answers in it;
    monitoring reads it.

    Args:
        counters: sums of the partition since its host started.
        loop_seconds: returns the seconds that its handlers have held the event loop.

    Attributes:
        ends: monotonic seconds at which the present period ends.
        instant: messages of the present period that took less than ``INSTANT`` and are
            in no bucket yet. A caller may count one here directly, before ``ends``.
    """

    __slots__ = (
        "_counters",
        "_loop_seconds",
        "_marks",
        "_past",
        "_past_marks",
        "_present",
        "ends",
        "instant",
    )

    def __init__(self, counters: Counters, loop_seconds: Callable[[], float]) -> None:
        self._counters = counters
        self._loop_seconds = loop_seconds
        self.ends = -math.inf
        self.instant = 0
        self._present: array[int] | None = None
        self._past: array[int] | None = None
        self._marks = self._past_marks = _NOTHING  # as each period began

    def __repr__(self) -> str:
        return f"<LatencyWindow messages={sum(self._present or ()) + self.instant}>"

    def note(self, seconds: float, now: float) -> None:
        """Count a message that was answered, with a result or an error.

        Args:
            seconds: from acceptance to answer.
            now: monotonic seconds.
        """
        if now >= self.ends:
            self._begin_period(now)
        counts = self._present
        if counts is None:
            counts = self._present = _EMPTY[:]
        part, doublings = math.frexp(seconds)
        if part <= 0.0 or doublings < _FASTEST:
            bucket = 0
        elif doublings > _SLOWEST:
            bucket = _BUCKETS - 1
        else:
            bucket = (doublings - _FASTEST) * 4 + int(part * 8) - 4
        if counts[bucket] == _FULL:
            self._sort_instant()
            _halve(counts)
        counts[bucket] += 1

    def _sort_instant(self) -> None:
        """Move the messages counted in ``instant`` into the first bucket."""
        instant, self.instant = self.instant, 0
        if not instant:
            return
        counts = self._present
        if counts is None:
            counts = self._present = _EMPTY[:]
        while counts[0] + instant > _FULL:
            _halve(counts)
            instant //= 2
        counts[0] += instant

    def gains(self, now: float) -> Marks:
        """Return the gains of the counters in the present period and the one before."""
        if now >= self.ends:
            self._begin_period(now)
        a, b = self._read_counters(), self._past_marks
        return (
            a[0] - b[0],
            a[1] - b[1],
            a[2] - b[2],
            a[3] - b[3],
            a[4] - b[4],
            a[5] - b[5],
        )

    def exceeds(self, seconds: float) -> bool:
        """Return whether p95 is longer: more than one message in twenty took longer."""
        self._sort_instant()
        first = bisect.bisect_right(_MIDDLES, seconds)
        kept = [counts for counts in (self._past, self._present) if counts is not None]
        slow = sum([sum(counts[first:]) for counts in kept])
        if not slow:
            return False
        total = sum(map(sum, kept))
        return total - slow < _P95 * total

    def vitals(self, now: float) -> Vitals:
        """Return the numbers of the present period and the one before."""
        gained = self.gains(now)
        self._sort_instant()
        counts, first = _merged(self._past, self._present)
        p50, p95, p99 = percentiles(counts, _PARTS, first)
        return Vitals(
            p50=p50,
            p95=p95,
            p99=p99,
            answered=gained[0],
            failed=gained[1],
            rejected=gained[2],
            store_failures=gained[3],
            blocks=gained[4],
            loop_seconds=gained[5],
        )

    def _begin_period(self, now: float) -> None:
        # Times from a period that ended more than one period ago are dropped. Gains of
        # counters since the last message are kept: they may have happened just now.
        self._sort_instant()
        recent = now < self.ends + PERIOD
        self._past = self._present if recent else None
        self._past_marks = self._marks
        if self.ends > -math.inf:
            self._marks = self._read_counters()
        self._present, self.ends = None, now + PERIOD

    def _read_counters(self) -> Marks:
        c = self._counters
        return (
            c.handled,
            c.failed,
            c.rejected,
            c.save_failures,
            c.blocks,
            self._loop_seconds(),
        )


def _halve(counts: array[int]) -> None:
    """Halve all counts to make room; percentiles need only the proportions."""
    for i, count in enumerate(counts):
        counts[i] = count // 2


def _merged(
    past: array[int] | None, present: array[int] | None
) -> tuple[Sequence[int], int]:
    """Return the used buckets of two periods, summed, and the number of the first.

    Of about a hundred buckets a partition uses a few adjacent ones. They are found in
    the bytes of the array, which takes almost no time.
    """
    if past is None or present is None:
        counts = past if past is not None else present
        if counts is None:
            return (), 0
        first, end = _span(counts)
        return counts[first:end], first
    firsts, ends = zip(_span(past), _span(present), strict=True)
    first, end = min(firsts), max(ends)
    return list(map(operator.add, past[first:end], present[first:end])), first


def _span(counts: array[int]) -> tuple[int, int]:
    content = counts.tobytes()
    first = len(content) - len(content.lstrip(b"\0"))
    end = len(content.rstrip(b"\0"))
    return first // counts.itemsize, -(-end // counts.itemsize)


def percentiles(
    counts: Sequence[int], parts: Sequence[float], first: int = 0
) -> tuple[float, ...]:
    """Return the seconds within which the given parts of messages were answered.

    Args:
        counts: messages by bucket, as in ``LatencyWindow``.
        parts: parts of all messages, each from 0 to 1.
        first: number of the first bucket.
    """
    sums = list(itertools.accumulate(counts))
    if not sums or not sums[-1]:
        return (0.0,) * len(parts)
    total = sums[-1]
    return tuple(
        [_MIDDLES[first + bisect.bisect_left(sums, part * total)] for part in parts]
    )
