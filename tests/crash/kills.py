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

from .events import Say
from .forks import Child, forked
from .ledger import Ledger
from .serving import serve

__all__ = ["KillReport", "kill_again_and_again"]

_PATIENCE = 20.0
"""Seconds after which a child that says nothing is taken for hung."""


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
        hung: processes that did not answer; must be 0.
        worst_open: longest time to open the store, in seconds.
        worst_look: longest time until every instance had answered, in seconds.
        integrity: what the database says of itself in the end.
        seconds: how long the run took.
        notes: what was wrong.
    """

    kills: int
    early: int
    acked: int
    unsure: int
    lost: int
    half: int
    hung: int
    worst_open: float
    worst_look: float
    integrity: str
    seconds: float
    notes: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether nothing was wrong."""
        return not (self.lost or self.half or self.hung) and self.integrity == "ok"


@attrs.define(eq=False)
class _Run:
    url: str
    make: Callable[[], Store] | None
    dice: random.Random
    ledger: Ledger = attrs.field(factory=Ledger)
    early: int = 0
    hung: int = 0
    worst: dict[str, int] = attrs.field(factory=lambda: {"opened": 0, "looked": 0})

    def kill_one(self) -> None:
        """Start a process, kill it sooner or later, and enter what it said."""
        looks = self.ledger.looks
        acked = self.ledger.acked
        seed = self.dice.randrange(1, 1 << 30)
        with forked(functools.partial(self._serve, seed=seed)) as child:
            if self.dice.random() < 0.3:
                self._listen(child, time.monotonic() + self.dice.uniform(0, 0.05))
            else:
                enough = acked + self.dice.randint(1, 30)
                self._listen(child, time.monotonic() + _PATIENCE, enough)
                self.hung += self.ledger.acked < enough
                self._listen(child, time.monotonic() + self.dice.uniform(0, 0.004))
            for event in child.kill():
                self.ledger.take(event)
        self.early += self.ledger.looks == looks

    def look(self) -> None:
        """Let a last process look, and close in order."""
        looks = self.ledger.looks
        with forked(functools.partial(self._serve, seed=0)) as child:
            self._listen(child, time.monotonic() + _PATIENCE)
            for event in child.kill():
                self.ledger.take(event)
        self.hung += self.ledger.looks == looks

    async def _serve(self, say: Say, seed: int) -> None:
        store = None if self.make is None else self.make()
        await serve(self.url, store, say, seed)

    def _listen(self, child: Child, until: float, enough: int | None = None) -> None:
        for event in child.listen(until):
            self.ledger.take(event)
            if event.kind in self.worst:
                self.worst[event.kind] = max(self.worst[event.kind], event.number)
            if enough is not None and self.ledger.acked >= enough:
                return


def kill_again_and_again(
    url: str,
    kills: int,
    seed: int,
    *,
    make: Callable[[], Store] | None = None,
    progress: Callable[[], None] = lambda: None,
) -> KillReport:
    """Kill so many processes that use one store, one after the other.

    Args:
        url: the store.
        kills: how many.
        seed: of the moments and of the work; the scheduling of processes is not ours,
            so that a seed makes a run alike and not the same.
        make: makes a store object instead, for planted mistakes.
        progress: called after each kill.
    """
    began = time.monotonic()
    run = _Run(url, make, random.Random(seed))
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
        worst_open=run.worst["opened"] / 1e6,
        worst_look=run.worst["looked"] / 1e6,
        integrity=_integrity(url),
        seconds=time.monotonic() - began,
        notes=tuple(ledger.notes),
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
