"""Many processes, one store: each takes the partitions from the one before it.

Whoever owned them is in the middle of writing when that happens. It must notice by one
refused write, and nothing of what it was told is saved may be missing from what its
successor finds.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections import Counter
from collections.abc import Callable

import attrs

from pods import Host, InstanceManager, StaleOwner

from .agents import Bump, Look, Meter, homes
from .events import Event, Say
from .forks import ChildProcess, fork

__all__ = ["RelayReport", "relay"]

_KEY = "runner"
_INSIST = 5
_PATIENCE = 20.0
_SLICE = 0.002


@attrs.frozen(kw_only=True)
class RelayReport:
    """Figures of a run.

    Attributes:
        handovers: how often a process took the partitions from another.
        writes: acknowledged writes of all of them.
        lost: acknowledged writes that the next process did not find; must be 0.
        extra: found writes of which nobody had been told; must be 0.
        stale: writes accepted that began after another process had taken over; must
            be 0.
        refused: refused writes of processes that had lost their partitions.
        fenced: partitions that processes lost; one refused write for each.
        insisted: writes that fenced processes tried after that; must be 0.
        hung: processes that did not get or give their partitions; must be 0.
        seconds: how long the run took.
    """

    handovers: int
    writes: int
    lost: int
    extra: int
    stale: int
    refused: int
    fenced: int
    insisted: int
    hung: int
    seconds: float

    @property
    def good(self) -> bool:
        """Whether nothing was wrong."""
        wrong = self.lost or self.extra or self.stale or self.hung or self.insisted
        return not wrong and self.refused == self.fenced


@attrs.define(eq=False)
class _Runner:
    """What one process has said."""

    child: ChildProcess
    acked: Counter[str] = attrs.field(factory=Counter[str])
    found: dict[str, int] = attrs.field(factory=dict[str, int])
    began: dict[str, int] = attrs.field(factory=dict[str, int])
    last_begun: dict[str, int] = attrs.field(factory=dict[str, int])
    took_at: dict[str, int] = attrs.field(factory=dict[str, int])
    total: dict[str, int] = attrs.field(factory=dict[str, int])
    numbers: Counter[str] = attrs.field(factory=Counter[str])

    def hear(self, seconds: float) -> None:
        """Enter what it says within so many seconds."""
        for event in self.child.listen(time.monotonic() + seconds):
            self._take(event)

    def _take(self, event: Event) -> None:
        place = event.partition
        match event.kind:
            case "found":
                self.found[place] = self.total[place] = event.number
                self.took_at[place] = event.at
            case "begun":
                self.began[place] = event.at
            case "acked":
                self.acked[place] += 1
                self.total[place] = event.number
                self.last_begun[place] = self.began[place]
            case _:
                self.numbers[event.kind] += event.number


@attrs.define(eq=False)
class _Course:
    partitions: tuple[str, ...]
    lost: int = 0
    extra: int = 0
    stale: int = 0
    hung: int = 0
    writes: int = 0
    numbers: Counter[str] = attrs.field(factory=Counter[str])

    def run(self, runner: _Runner, writes: int) -> None:
        """Let a process write so many times."""
        until = time.monotonic() + _PATIENCE
        while runner.acked.total() < writes and time.monotonic() < until:
            runner.hear(_SLICE)
        self.hung += runner.acked.total() < writes

    def hand_over(self, old: _Runner, new: _Runner) -> None:
        """Let a new process take everything from one that is still writing."""
        until = time.monotonic() + _PATIENCE
        while len(new.found) < len(self.partitions) and time.monotonic() < until:
            old.hear(_SLICE)
            new.hear(_SLICE)
        while not old.child.ended and time.monotonic() < until:
            old.hear(_SLICE)
            new.hear(_SLICE)
        self.hung += not (old.child.ended and old.numbers["fenced"])
        self._compare(old, new)
        self.writes += old.acked.total()
        self.numbers.update(old.numbers)

    def _compare(self, old: _Runner, new: _Runner) -> None:
        for place in self.partitions:
            difference = new.found.get(place, 0) - old.total.get(place, 0)
            self.lost += max(0, -difference)
            self.extra += max(0, difference)
            taken = new.took_at.get(place, 0)
            self.stale += old.last_begun.get(place, 0) > taken


def relay(
    url: str,
    handovers: int,
    share: int,
    *,
    partitions: tuple[str, ...] = ("acme", "globex", "initech"),
    progress: Callable[[], None] = lambda: None,
) -> RelayReport:
    """Hand the partitions of a store from process to process.

    Args:
        url: the store.
        handovers: how often.
        share: acknowledged writes of each process before it is overtaken.
        partitions: names that nothing else in the store uses.
        progress: called after each handover.
    """
    began = time.monotonic()
    course = _Course(partitions)
    work = functools.partial(_run, url, partitions)
    runner = _Runner(fork(work))
    try:
        for _ in range(handovers):
            course.run(runner, share)
            before, runner = runner, _Runner(fork(work))
            try:
                course.hand_over(before, runner)
            finally:
                before.child.end()
            progress()
    finally:
        runner.child.end()
    return RelayReport(
        handovers=handovers,
        writes=course.writes,
        lost=course.lost,
        extra=course.extra,
        stale=course.stale,
        refused=course.numbers["refused"],
        fenced=course.numbers["fenced"],
        insisted=course.numbers["insisted"],
        hung=course.hung,
        seconds=time.monotonic() - began,
    )


async def _run(url: str, partitions: tuple[str, ...], say: Say) -> None:
    """Take the partitions, write until somebody else has each, then insist."""
    async with Host(url) as host:
        meters = homes(host).meters
        async with asyncio.TaskGroup() as group:
            for partition in partitions:
                group.create_task(_write(meters, partition, say))
        refused = host.runtime.writer.statistics().refused
        say("refused", number=refused)
        say("fenced", number=len(partitions))
        await _insist(meters, partitions)
        say("insisted", number=host.runtime.writer.statistics().refused - refused)


async def _write(meters: InstanceManager[Meter], partition: str, say: Say) -> None:
    meter = await meters.get(_KEY, partition=partition)
    total = (await meter.ask(Look())).total
    say("found", partition, _KEY, total)
    while True:
        say("begun", partition, _KEY, total + 1)
        try:
            total = await meter.ask(Bump())
        except StaleOwner:
            return
        say("acked", partition, _KEY, total)


async def _insist(meters: InstanceManager[Meter], partitions: tuple[str, ...]) -> None:
    """Ask again and again where another process serves."""
    for partition in partitions:
        for _ in range(_INSIST):
            try:
                meter = await meters.get(_KEY, partition=partition)
                await meter.ask(Bump())
            except StaleOwner:
                continue
            msg = f"{partition} is served by two processes"
            raise AssertionError(msg)
