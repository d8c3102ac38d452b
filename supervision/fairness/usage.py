"""Who held the seats while whom waited, over the last minute.

Time is cut into short periods. In each, every partition that did anything has a
stretch: the seat-seconds that it held and the item-seconds that it waited for a seat.
What one waited is laid at the others' doors in proportion to what they held in the
same period. Keeping that costs a few additions per change; the pairs, of which there
are as many as the square of the partitions, are made only when somebody asks.
"""

from __future__ import annotations

from collections import deque

import attrs

__all__ = ["Blame", "History", "Period", "Usage"]


@attrs.define(eq=False)
class Usage:
    """What one partition did in one period.

    Attributes:
        partition: which one.
        period: when.
        held: seat-seconds.
        waited: item-seconds waited because the host was busy.
        own: item-seconds waited for a limit of its own.
        lacked: item-seconds waited for a resource.
    """

    partition: str
    period: Period
    held: float = 0.0
    waited: float = 0.0
    own: float = 0.0
    lacked: float = 0.0


@attrs.define(eq=False)
class Period:
    """A few seconds of the host's life.

    Attributes:
        ends: when the next one begins.
        stretches: of the partitions that did anything.
    """

    ends: float
    stretches: list[Usage] = attrs.field(factory=list[Usage])


@attrs.frozen
class Blame:
    """How much of a partition's waiting falls to another.

    Attributes:
        waiting: who waited.
        holding: who held the seats meanwhile; it may be the same.
        seconds: item-seconds of the waiting, in proportion to the seats held.
    """

    waiting: str
    holding: str
    seconds: float


class History:
    """The last periods.

    Args:
        length: seconds of one period.
        periods: how many are kept.
    """

    def __init__(self, length: float = 5.0, periods: int = 12) -> None:
        self._length = length
        self._past: deque[Period] = deque(maxlen=periods)
        self.current = Period(0.0)

    def __repr__(self) -> str:
        return f"<History periods={len(self._past)}>"

    def at(self, now: float) -> Period:
        """Return the present period; a new one begins when the last has ended."""
        if now >= self.current.ends:
            self.current = Period(now + self._length)
            self._past.append(self.current)
        return self.current

    def recent(self) -> dict[str, Usage]:
        """Sum up the kept periods, by partition."""
        sums: dict[str, Usage] = {}
        for period in self._past:
            for s in period.stretches:
                total = sums.get(s.partition)
                if total is None:
                    total = sums[s.partition] = Usage(s.partition, period)
                total.held += s.held
                total.waited += s.waited
                total.own += s.own
                total.lacked += s.lacked
        return sums

    def blame(self, waiting: str) -> tuple[Blame, ...]:
        """Say who held the seats while a partition waited, the largest part first."""
        parts: dict[str, float] = {}
        for period in self._past:
            waited = sum(s.waited for s in period.stretches if s.partition == waiting)
            total = sum(s.held for s in period.stretches)
            if not waited or not total:
                continue
            for s in period.stretches:
                part = waited * s.held / total
                parts[s.partition] = parts.get(s.partition, 0.0) + part
        ordered = sorted(parts.items(), key=lambda pair: -pair[1])
        return tuple(Blame(waiting, name, part) for name, part in ordered if part)
