"""The seats held by some partitions while others waited, over the last minute.

Time is cut into short periods. Each period has one usage for every partition that did
anything: the seat-seconds that it held and the item-seconds that it waited for a seat.
The waiting of one partition is divided among the partitions that held seats in the same
period, in proportion to what they held. To keep that costs a few additions per change.
The pairs, as many as the square of the partitions, are made only on request.
"""

from __future__ import annotations

from collections import deque

import attrs

__all__ = ["Blame", "History", "Period", "Usage"]


@attrs.define(eq=False)
class Usage:
    """What one partition held and waited in one period.

    Attributes:
        partition: its id.
        period: the period.
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
        usages: one for each partition that did anything.
    """

    ends: float
    usages: list[Usage] = attrs.field(factory=list[Usage])


@attrs.frozen
class Blame:
    """How much of the waiting of a partition is due to another.

    Attributes:
        waiting: the partition that waited.
        holding: the partition that held seats at that time; it may be the same.
        seconds: item-seconds of the waiting, in proportion to the seats held.
    """

    waiting: str
    holding: str
    seconds: float


class History:
    """The last periods of one host, the current one included.

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
        """Return the sums of the kept periods, by partition."""
        sums: dict[str, Usage] = {}
        for period in self._past:
            for used in period.usages:
                total = sums.get(used.partition)
                if total is None:
                    total = sums[used.partition] = Usage(used.partition, period)
                total.held += used.held
                total.waited += used.waited
                total.own += used.own
                total.lacked += used.lacked
        return sums

    def blame(self, waiting: str) -> tuple[Blame, ...]:
        """Return the partitions that held seats while one waited, the worst first."""
        parts: dict[str, float] = {}
        for period in self._past:
            waited = sum(u.waited for u in period.usages if u.partition == waiting)
            total = sum(u.held for u in period.usages)
            if not waited or not total:
                continue
            for used in period.usages:
                part = waited * used.held / total
                parts[used.partition] = parts.get(used.partition, 0.0) + part
        ordered = sorted(parts.items(), key=lambda pair: -pair[1])
        return tuple(Blame(waiting, name, part) for name, part in ordered if part)
