"""``kill -9`` at random moments, also while it opens, and a look at what is left."""

from __future__ import annotations

import functools
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import attrs

from persistence import Store

from .events import Event, Say
from .forks import ChildProcess, forked
from .ledger import Ledger
from .serving import TIMES, serve
from .stalls import Patience

__all__ = ["KillReport", "kill_again_and_again"]

_SHOWN = 20


@attrs.frozen(kw_only=True)
class KillReport:
    """Figures of a run.

    Attributes:
        kills: processes killed.
        early: of these, before they had looked at everything: in recovery or reopening.
        acked: acknowledged turns and topology changes.
        unsure: turns found done though nobody was told.
        lost: acknowledged and not found; must be 0.
        half: found and no turn's, or begun by nobody; must be 0.
        hung: processes that stood still; must be 0.
        late: processes that the machine kept waiting for longer than they may stand
            still, and that went on by themselves.
        died: processes that ended by themselves; must be 0.
        worst_open: longest time to open the store, in seconds.
        worst_look: longest time until every instance had answered, in seconds.
        work_open: most seconds of a processor that it took to open the store.
        work_look: likewise, until every instance had answered.
        integrity: what the database says of itself in the end.
        seconds: how long the run took.
        notes: what was wrong, and where the threads and tasks of a process that did
            not answer stood.
    """

    kills: int
    early: int
    acked: int
    unsure: int
    lost: int
    half: int
    hung: int
    late: int
    died: int
    worst_open: float
    worst_look: float
    work_open: float
    work_look: float
    integrity: str
    seconds: float
    notes: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether nothing was wrong."""
        wrong = self.lost or self.half or self.hung or self.died
        return not wrong and self.integrity == "ok"


@attrs.define(eq=False)
class _Run:
    url: str
    make: Callable[[], Store] | None
    dice: random.Random
    patience: Callable[[], Patience]
    ledger: Ledger = attrs.field(factory=Ledger)
    early: int = 0
    hung: int = 0
    late: int = 0
    died: int = 0
    stories: list[str] = attrs.field(factory=list[str])
    worst: dict[str, int] = attrs.field(factory=lambda: dict.fromkeys(TIMES, 0))

    def kill_one(self) -> None:
        """Start a process, kill it sooner or later, and enter what it said."""
        looks = self.ledger.looks
        acked = self.ledger.acked
        seed = self.dice.randrange(1, 1 << 30)
        with forked(functools.partial(self._serve, seed=seed)) as child:
            if self.dice.random() < 0.3:
                self._listen(child, self.dice.uniform(0, 0.05))
            else:
                enough = acked + self.dice.randint(1, 30)
                self._wait(child, lambda: self.ledger.acked >= enough)
                self._listen(child, self.dice.uniform(0, 0.004))
            for event in child.kill():
                self._take(event)
        self.early += self.ledger.looks == looks

    def look(self) -> None:
        """Let a last process look, and close in order."""
        looks = self.ledger.looks
        with forked(functools.partial(self._serve, seed=0)) as child:
            self._wait(child, lambda: self.ledger.looks > looks and child.ended)
            for event in child.kill():
                self._take(event)

    async def _serve(self, say: Say, seed: int) -> None:
        store = None if self.make is None else self.make()
        await serve(self.url, store, say, seed)

    def _listen(self, child: ChildProcess, seconds: float) -> None:
        for event in child.listen(time.monotonic() + seconds):
            self._take(event)

    def _wait(self, child: ChildProcess, done: Callable[[], bool]) -> None:
        """Listen until something is so; or note why it does not become so."""
        patience = self.patience()
        for event in child.patiently(patience):
            self._take(event)
            if done():
                break
        if done():
            self.late += patience.is_late
            return
        self.died += child.ended
        self.hung += not child.ended
        what = "died" if child.ended else "hung"
        self.stories.append(f"{what}: {patience}\n{child.where()}")

    def _take(self, event: Event) -> None:
        if event.kind in self.worst:
            self.worst[event.kind] = max(self.worst[event.kind], event.number)
        else:
            self.ledger.take(event)


def kill_again_and_again(
    url: str,
    kills: int,
    seed: int,
    *,
    make: Callable[[], Store] | None = None,
    patience: Callable[[], Patience] = Patience,
    progress: Callable[[], None] = lambda: None,
) -> KillReport:
    """Kill so many processes that use one store, one after the other.

    Args:
        url: the store.
        kills: how many.
        seed: of the moments and of the work; the scheduling of processes is not ours,
            so that a seed makes a run alike and not the same.
        make: makes a store object instead, for planted mistakes.
        patience: what each process gets; it begins to run out when it is called.
        progress: called after each kill.
    """
    began = time.monotonic()
    run = _Run(url, make, random.Random(seed), patience)
    for _ in range(kills):
        run.kill_one()
        progress()
    run.look()
    ledger = run.ledger
    return KillReport(
        kills=kills,
        early=run.early,
        acked=ledger.acked,
        unsure=ledger.unsure,
        lost=ledger.lost,
        half=ledger.half,
        hung=run.hung,
        late=run.late,
        died=run.died,
        worst_open=run.worst["open-wall"] / 1e6,
        worst_look=run.worst["look-wall"] / 1e6,
        work_open=run.worst["open-work"] / 1e6,
        work_look=run.worst["look-work"] / 1e6,
        integrity=_integrity(url),
        seconds=time.monotonic() - began,
        notes=(*ledger.notes, *run.stories[:_SHOWN]),
    )


def _integrity(url: str) -> str:
    """Ask SQLite whether the file is whole; other databases look after themselves."""
    if not url.startswith("sqlite"):
        return "ok"
    database = sqlite3.connect(Path(url.partition(":///")[2]))
    try:
        (answer,) = database.execute("PRAGMA integrity_check").fetchone()
    finally:
        database.close()
    return str(answer)
