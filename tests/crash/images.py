"""A database file as a bad disk leaves it, and what a host makes of it.

Whatever the bytes are, an instance may answer with what was acknowledged, or refuse
with a typed error that names it. It must never answer anything else: not another
state, and not a fresh one.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import time
from collections import Counter
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from pathlib import Path

import attrs

from persistence import SystemClock
from pods import Host, PodsError, add_node, lazy

from .agents import Arrange, Bump, Count, Homes, Look, Meter, Team, homes

__all__ = ["PARTITIONS", "Outcome", "Seen", "build", "see"]

PARTITIONS = tuple(f"tenant-{number}" for number in range(8))
_KEYS = tuple(f"meter-{number}" for number in range(5))
_TOTALS = dict(zip(_KEYS, (1, 2, 3, 6, 7), strict=True))
_PATIENCE = 20.0
_POST = "post"
_LETTERS = 12
_AHEAD = 86_400.0
"""Seconds for which letters wait: nobody handles them while the file is built."""
_ARRIVES = 5.0
"""Seconds after which a letter that has not come does not come."""
_REST = 0.3
"""Seconds after which those have come that the host has not complained of."""


class Outcome(enum.Enum):
    """What came of asking one instance."""

    RIGHT = "right"
    REFUSED = "refused"
    WRONG = "wrong"
    UNTYPED = "untyped"


@attrs.define
class Seen:
    """What came of one image.

    Attributes:
        outcomes: how many instances ended how.
        hit: partitions of which not everything answered right.
        opened: whether the store could be opened at all.
        notes: what was wrong, in words.
    """

    outcomes: Counter[Outcome] = attrs.field(factory=Counter[Outcome])
    hit: set[str] = attrs.field(factory=set[str])
    opened: bool = True
    notes: list[str] = attrs.field(factory=list[str])

    def note(self, partition: str, subject: str, outcome: Outcome, why: str) -> None:
        """Enter what one instance did."""
        self.outcomes[outcome] += 1
        if outcome is not Outcome.RIGHT:
            self.hit.add(partition)
        if outcome in (Outcome.WRONG, Outcome.UNTYPED):
            self.notes.append(f"{partition} {subject}: {outcome.value}, {why}")


class _Tomorrow(SystemClock):
    """The wall clock, when all letters are due."""

    def wall(self) -> float:
        return super().wall() + _AHEAD + 1


class _Told(logging.Handler):
    """Keeps the names of the partitions of whose letters the host has complained."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.partitions: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.partitions.add(str(record.__dict__.get("podvisor.partition.id")))


async def build(file: Path) -> None:
    """Write the file whose copies are damaged."""
    async with Host(file) as host:
        here = homes(host)
        for partition in PARTITIONS:
            for key, total in _TOTALS.items():
                meter = await here.meters.get(key, partition=partition)
                for _ in range(total):
                    await meter.ask(Bump())
            team = await Team.get(here.teams, "team", partition=partition)
            await team.mutate([add_node("extra", lazy(Meter, manager="meters"))])
            await (await team.ensure_node("extra")).ask(Bump())
            sender = await here.senders.get(_POST, partition=partition)
            await sender.ask(Arrange(_LETTERS, _AHEAD))


async def see(file: Path) -> Seen:
    """Open a damaged copy, ask everything, and compare with what was built."""
    seen = Seen()
    try:
        with _listening() as told:
            async with asyncio.timeout(_PATIENCE):
                async with Host(file, clock=_Tomorrow()) as host:
                    look = _Look(host, homes(host), told, seen)
                    async with asyncio.TaskGroup() as group:
                        for partition in PARTITIONS:
                            group.create_task(look.at(partition))
    except PodsError:
        seen.opened = bool(seen.outcomes)  # otherwise it only could not be closed
        if not seen.opened:
            seen.hit.update(PARTITIONS)
    except Exception as error:  # noqa: BLE001  this is what is looked for
        seen.note("-", "host", Outcome.UNTYPED, repr(error))
    return seen


@contextmanager
def _listening() -> Generator[_Told]:
    """Hear what the host says of letters; logging is off otherwise."""
    log, told = logging.getLogger("podvisor"), _Told()
    off, propagates = logging.root.manager.disable, log.propagate
    logging.disable(logging.NOTSET)
    log.propagate = False
    mail = logging.getLogger("podvisor.mail")
    log.addHandler(logging.NullHandler())
    mail.addHandler(told)
    try:
        yield told
    finally:
        mail.removeHandler(told)
        log.propagate = propagates
        logging.disable(off)


@attrs.define(eq=False)
class _Look:
    """What is asked of a host on one image."""

    host: Host
    here: Homes
    told: _Told
    seen: Seen

    async def at(self, partition: str) -> None:
        """Ask everything of one partition."""
        looks = {key: self._meter(partition, key) for key in _KEYS}
        looks["team"] = self._team(partition)
        looks["mail"] = self._mail(partition)
        async with asyncio.TaskGroup() as group:
            for subject, look in looks.items():
                group.create_task(self._one(partition, subject, look))
        key = _KEYS[0]
        await self._one(partition, f"{key}'s next", self._next(partition, key))

    async def _one(
        self, partition: str, subject: str, look: Coroutine[object, object, str]
    ) -> None:
        self.seen.note(partition, subject, *await _outcome(look))

    async def _meter(self, partition: str, key: str) -> str:
        """Say what is wrong with an instance, or nothing."""
        meter = await self.here.meters.get(key, partition=partition)
        sight = await meter.ask(Look())
        right = sight.whole and sight.total == _TOTALS[key]
        return "" if right else f"{sight} and not {_TOTALS[key]}"

    async def _next(self, partition: str, key: str) -> str:
        meter = await self.here.meters.get(key, partition=partition)
        reply = await meter.ask(Bump())
        before = _TOTALS[key]
        return "" if reply == before + 1 else f"counts on with {reply} after {before}"

    async def _team(self, partition: str) -> str:
        team = await Team.get(self.here.teams, "team", partition=partition)
        names = {node.name for node in await team.nodes()}
        if names != {"lead", "helper", "extra"}:
            return f"its nodes are {sorted(names)}"
        sight = await (await team.ensure_node("extra")).ask(Look())
        return "" if sight.total == 1 and sight.whole else f"its node has {sight}"

    async def _mail(self, partition: str) -> str:
        """Say whether letters have vanished without a word, or came twice."""
        receiver = await self.here.receivers.get(_POST, partition=partition)
        began = time.monotonic()
        while True:
            tally = (await receiver.ask(Count())).timers
            missing = _LETTERS - tally.low - len(tally.beyond)
            wait = _REST if partition in self.told.partitions else _ARRIVES
            if not missing or time.monotonic() > began + wait:
                break
            await asyncio.sleep(0.01)
        if tally.twice or missing < 0:
            return f"{tally} of {_LETTERS} letters"
        if missing and partition in self.told.partitions:
            raise _Refused
        return f"{missing} letters vanished" if missing else ""


class _Refused(PodsError):
    """Letters are missing, and the host has said so."""


async def _outcome(looked: Coroutine[object, object, str]) -> tuple[Outcome, str]:
    try:
        why = await looked
    except PodsError:
        return Outcome.REFUSED, ""
    except Exception as error:  # noqa: BLE001  this is what is looked for
        return Outcome.UNTYPED, repr(error)
    return (Outcome.WRONG, why) if why else (Outcome.RIGHT, "")
