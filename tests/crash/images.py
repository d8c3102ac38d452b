"""A database file as a bad disk leaves it, and what a host makes of it.

Whatever the bytes are, an instance may answer with what was acknowledged, or refuse
with a typed error that names it. It must never answer anything else: not another
state, and not a fresh one.
"""

from __future__ import annotations

import asyncio
import enum
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path

import attrs

from pods import Host, PodsError, add_node, lazy

from .agents import Bump, Homes, Look, Meter, Team, homes

__all__ = ["PARTITIONS", "Outcome", "Seen", "build", "see"]

PARTITIONS = tuple(f"tenant-{number}" for number in range(8))
_KEYS = tuple(f"meter-{number}" for number in range(5))
_TOTALS = dict(zip(_KEYS, (1, 2, 3, 6, 7), strict=True))
_PATIENCE = 20.0


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


async def see(file: Path) -> Seen:
    """Open a damaged copy, ask everything, and compare with what was built."""
    seen = Seen()
    try:
        async with asyncio.timeout(_PATIENCE):
            async with Host(file) as host:
                here = homes(host)
                async with asyncio.TaskGroup() as group:
                    for partition in PARTITIONS:
                        group.create_task(_see_partition(here, partition, seen))
    except PodsError:
        seen.opened = bool(seen.outcomes)  # otherwise it only could not be closed
        if not seen.opened:
            seen.hit.update(PARTITIONS)
    except Exception as error:  # noqa: BLE001  this is what is looked for
        seen.note("-", "host", Outcome.UNTYPED, repr(error))
    return seen


async def _see_partition(here: Homes, partition: str, seen: Seen) -> None:
    looks = {key: _see_meter(here, partition, key) for key in _KEYS}
    looks["team"] = _see_team(here, partition)
    async with asyncio.TaskGroup() as group:
        for subject, look in looks.items():
            group.create_task(_see_one(partition, subject, look, seen))
    key = _KEYS[0]
    await _see_one(partition, f"{key}'s next", _count_on(here, partition, key), seen)


async def _see_one(
    partition: str, subject: str, look: Coroutine[object, object, str], seen: Seen
) -> None:
    seen.note(partition, subject, *await _outcome(look))


async def _outcome(looked: Coroutine[object, object, str]) -> tuple[Outcome, str]:
    try:
        why = await looked
    except PodsError:
        return Outcome.REFUSED, ""
    except Exception as error:  # noqa: BLE001  this is what is looked for
        return Outcome.UNTYPED, repr(error)
    return (Outcome.WRONG, why) if why else (Outcome.RIGHT, "")


async def _see_meter(here: Homes, partition: str, key: str) -> str:
    """Say what is wrong with an instance, or nothing."""
    meter = await here.meters.get(key, partition=partition)
    sight = await meter.ask(Look())
    right = sight.whole and sight.total == _TOTALS[key]
    return "" if right else f"{sight} and not {_TOTALS[key]}"


async def _count_on(here: Homes, partition: str, key: str) -> str:
    meter = await here.meters.get(key, partition=partition)
    reply = await meter.ask(Bump())
    before = _TOTALS[key]
    return "" if reply == before + 1 else f"counts on with {reply} after {before}"


async def _see_team(here: Homes, partition: str) -> str:
    team = await Team.get(here.teams, "team", partition=partition)
    names = {node.name for node in await team.nodes()}
    if names != {"lead", "helper", "extra"}:
        return f"its nodes are {sorted(names)}"
    sight = await (await team.ensure_node("extra")).ask(Look())
    return "" if sight.total == 1 and sight.whole else f"its node has {sight}"
