"""A Monday morning on a shared host, under six ways of deciding whose turn it is.

200 tenants share 100 seats. Each sends about fifty jobs a day, of 45 seconds each, and
one of them, X, sends 5,000 within half an hour. Half an hour before that the day is
joined, and left when the last decision is through with it: at other times five seats
are taken, and nobody waits. The clock is virtual, so that takes about a second, and
three of the six rows are decided by the very core that dispatches turns in a running
host. Prints a table, and draws who waited how long into ``monday.svg``.
"""

from __future__ import annotations

import heapq
import random
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import attrs
from rich.console import Console
from rich.table import Table

from supervision import DispatchPolicy, Share
from supervision.fairness.account import Ticket
from supervision.fairness.queue import FairQueue

TENANTS = 200
SEATS = 100
JOB = 45.0
"""Seconds that a job holds its seat."""
DAY = 86_400.0
FLOOD_AT = 9 * 3_600.0
FLOOD_FOR = 1_800.0
FLOOD = 5_000
FROM, UNTIL = FLOOD_AT - 1_800, FLOOD_AT + 4 * 3_600
"""The hours that are lived through and drawn."""
SLA = 60.0
"""Seconds in which a job is to be done, from its arrival."""
ACCRUAL = 15.0
"""Seconds after which running jobs are charged for what they used; for jobs as long as
these that is often enough."""


@attrs.frozen(eq=False)
class Job:
    """One job of one tenant."""

    tenant: str
    at: float


class Decision(Protocol):
    """Decides who gets a seat."""

    def enter(self, job: Job, now: float) -> None: ...

    def pick(self, now: float) -> Job | None: ...

    def complete(self, job: Job, now: float) -> None: ...

    def accrue(self, now: float) -> None: ...


class Fifo:
    """The first to come is the first to be served, as with one shared semaphore."""

    def __init__(self) -> None:
        self._waiting: deque[Job] = deque()
        self._free = SEATS

    def enter(self, job: Job, now: float) -> None:
        self._waiting.append(job)

    def pick(self, now: float) -> Job | None:
        if not self._free or not self._waiting:
            return None
        self._free -= 1
        return self._waiting.popleft()

    def complete(self, job: Job, now: float) -> None:
        self._free += 1

    def accrue(self, now: float) -> None:
        """Charge nobody."""


class RoundRobin(Fifo):
    """One job of each tenant in rotation; nobody counts what it takes."""

    def __init__(self) -> None:
        super().__init__()
        self._ring: deque[deque[Job]] = deque()
        self._queues: dict[str, deque[Job]] = {}

    def enter(self, job: Job, now: float) -> None:
        queue = self._queues.setdefault(job.tenant, deque())
        if not queue:
            self._ring.append(queue)
        queue.append(job)

    def pick(self, now: float) -> Job | None:
        if not self._free or not self._ring:
            return None
        self._free -= 1
        queue = self._ring.popleft()
        job = queue.popleft()
        if queue:
            self._ring.append(queue)
        return job


class Capped(RoundRobin):
    """Rotation under a cap: nobody holds more than so many seats, ever."""

    def __init__(self, cap: int) -> None:
        super().__init__()
        self._cap = cap
        self._held: dict[str, int] = {}

    def pick(self, now: float) -> Job | None:
        for _ in range(len(self._ring)):
            tenant = self._ring[0][0].tenant
            if self._held.get(tenant, 0) < self._cap:
                job = super().pick(now)
                if job is not None:
                    self._held[tenant] = self._held.get(tenant, 0) + 1
                return job
            self._ring.rotate(-1)
        return None

    def complete(self, job: Job, now: float) -> None:
        super().complete(job, now)
        self._held[job.tenant] -= 1


class Fair:
    """The core of the dispatcher, with whatever cap and burst it is given."""

    def __init__(self, share: Share, *, headroom: int = 0) -> None:
        policy = DispatchPolicy(
            seats=SEATS, headroom=headroom, share=share, estimate=JOB
        )
        self._queue: FairQueue[Job] = FairQueue(policy)
        self._held: dict[Job, Ticket[Job]] = {}

    def enter(self, job: Job, now: float) -> None:
        account = self._queue.account(job.tenant, now)
        self._queue.enter(account, job, now)

    def pick(self, now: float) -> Job | None:
        ticket = self._queue.pick(now)
        if ticket is None:
            return None
        self._held[ticket.item] = ticket
        return ticket.item

    def complete(self, job: Job, now: float) -> None:
        self._queue.complete(self._held.pop(job), now)

    def accrue(self, now: float) -> None:
        self._queue.accrue(self._held.values(), now)


@attrs.frozen(kw_only=True)
class Outcome:
    """How the day went under one decision.

    Attributes:
        name: of the decision.
        others_worst: the longest that a job of anybody but X took, in seconds.
        others_late: jobs of the others that took longer than they may.
        flood_took: minutes from the first of X's 5,000 jobs to the end of the last.
        waits: when a job came, how long it waited, and whether it was X's.
    """

    name: str
    others_worst: float
    others_late: int
    flood_took: float
    waits: Sequence[tuple[float, float, bool]] = attrs.field(repr=False)


def arrivals(seed: int = 7) -> list[Job]:
    """Draw the jobs of the day, and take those of these hours as they come."""
    dice = random.Random(seed)  # noqa: S311  chance, not secrecy
    jobs = [
        Job(f"tenant-{n:03}", dice.random() * DAY)
        for n in range(TENANTS - 1)
        for _ in range(dice.randint(45, 55))
    ]
    jobs += [Job("X", FLOOD_AT + FLOOD_FOR * n / FLOOD) for n in range(FLOOD)]
    shown = [job for job in jobs if FROM <= job.at <= UNTIL]
    return sorted(shown, key=lambda job: job.at)


def live_through(name: str, decision: Decision, jobs: Sequence[Job]) -> Outcome:
    """Run these hours with a virtual clock."""
    coming = deque(jobs)
    running: list[tuple[float, int, Job]] = []
    waits: list[tuple[float, float, bool]] = []
    worst = last = charged = 0.0
    late = 0
    while coming or running:
        arrival = coming[0].at if coming else float("inf")
        end = running[0][0] if running else float("inf")
        now = min(arrival, end)
        if now - charged >= ACCRUAL:
            decision.accrue(now)
            charged = now
        if arrival <= end:
            decision.enter(coming.popleft(), now)
        else:
            _, _, job = heapq.heappop(running)
            decision.complete(job, now)
            if job.tenant == "X":
                last = now
            else:
                worst = max(worst, now - job.at)
                late += now - job.at > SLA
        while (begun := decision.pick(now)) is not None:
            heapq.heappush(running, (now + JOB, len(waits), begun))
            waits.append((begun.at, now - begun.at, begun.tenant == "X"))
    return Outcome(
        name=name,
        others_worst=worst,
        others_late=late,
        flood_took=(last - FLOOD_AT) / 60,
        waits=waits,
    )


DECISIONS: dict[str, Callable[[], Decision]] = {
    "first come, first served": Fifo,
    "round robin": RoundRobin,
    "fair, no cap": lambda: Fair(Share(cap=SEATS)),
    "cap of 20, no burst": lambda: Capped(20),
    "fair + cap of 20": lambda: Fair(Share(cap=20)),
    "fair + cap + burst": lambda: Fair(
        Share(cap=20, hard_cap=80, burst=200_000.0), headroom=15
    ),
}
"""The six rows; three are baselines, three the core of the dispatcher."""


# The picture.

WIDTH, HEIGHT, MARGIN = 380, 180, 46
TALLEST = 1_200.0
"""Seconds at the top of a panel; what waited longer stands at the top."""


def draw(outcomes: Sequence[Outcome]) -> str:
    """Draw a panel per decision: when a job came, and how long it waited."""
    rows = (len(outcomes) + 1) // 2
    panels = [panel(o, n % 2, n // 2) for n, o in enumerate(outcomes)]
    size = f"0 0 {2 * (WIDTH + MARGIN) + 20} {rows * (HEIGHT + 70) + 10}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}">'
    style = "<style>text{fill:#333;font:11px sans-serif}"
    style += ".x{fill:#d1495b}.other{fill:#30638e}</style>"
    return "\n".join([head, style, *panels, "</svg>"])


def panel(outcome: Outcome, column: int, row: int) -> str:
    """Draw one decision."""
    left, top = MARGIN + column * (WIDTH + MARGIN), 30 + row * (HEIGHT + 70)
    title = f"{outcome.name}: others at most {outcome.others_worst:.0f} s, "
    title += f"X after {outcome.flood_took:.0f} min"
    parts = [
        f'<g transform="translate({left} {top})">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#bbb"/>',
        f'<text y="-8">{title}</text>',
    ]
    for minutes in (0, 5, 10, 15, 20):
        y = height(minutes * 60)
        parts.append(f'<text x="-6" y="{y + 4:.0f}" text-anchor="end">{minutes}</text>')
    for hour in range(9, 14):
        x = width(hour * 3_600)
        parts.append(f'<text x="{x:.0f}" y="{HEIGHT + 14}">{hour}:00</text>')
    parts.append(f'<text x="-6" y="{HEIGHT + 14}" text-anchor="end">min</text>')
    parts += [dot(wait, "x", 1.2) for wait in thinned(outcome, flood=True)]
    parts += [dot(wait, "other", 1.8) for wait in thinned(outcome, flood=False)]
    parts.append("</g>")
    return "\n".join(parts)


def thinned(outcome: Outcome, *, flood: bool) -> list[tuple[float, float]]:
    """Take the jobs to be drawn: all that waited of the others, a tenth of X's."""
    found = [(at, wait) for at, wait, of_x in outcome.waits if of_x is flood]
    return found[::10] if flood else [pair for pair in found if pair[1] > 0]


def dot(wait: tuple[float, float], kind: str, size: float) -> str:
    """Draw one job."""
    x, y = width(wait[0]), height(wait[1])
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{size}"/>'


def width(at: float) -> float:
    """Return where a time stands in a panel."""
    return WIDTH * (at - FROM) / (UNTIL - FROM)


def height(wait: float) -> float:
    """Return where a wait stands in a panel."""
    return HEIGHT * (1 - min(wait, TALLEST) / TALLEST)


def show(outcomes: Sequence[Outcome]) -> None:
    """Print the table."""
    table = Table(title=f"{TENANTS} tenants, {SEATS} seats; X sends {FLOOD:,} jobs")
    table.add_column("decision")
    for title in ("others, worst", "others, late", "X done after"):
        table.add_column(title, justify="right")
    for outcome in outcomes:
        table.add_row(
            outcome.name,
            f"{outcome.others_worst:.1f} s",
            str(outcome.others_late),
            f"{outcome.flood_took:.1f} min",
        )
    Console().print(table)


def main(file: Path = Path("monday.svg")) -> list[Outcome]:
    """Run all six, print the table, write the picture."""
    jobs = arrivals()
    outcomes = [live_through(name, make(), jobs) for name, make in DECISIONS.items()]
    show(outcomes)
    file.write_text(draw(outcomes), encoding="utf-8")
    return outcomes


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
