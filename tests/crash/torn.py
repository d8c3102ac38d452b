"""A power cut in the middle of a write: the log ends anywhere, and its tail is garbage.

What was synced before an acknowledgement is whole; what came after may be cut at any
byte and hold any bits. Whatever that leaves, all that lies in the whole part must be
found, and what is found beyond it must be what was written up to one moment.
"""

from __future__ import annotations

import asyncio
import functools
import random
import time
from collections.abc import Callable
from pathlib import Path

import attrs

from pods import AgentRef, Host, InstanceManager, PodsError

from .agents import Bump, Look, Meter, Sight, homes
from .events import Event, Say
from .forks import forked

__all__ = ["TornReport", "Written", "compare", "tear_again_and_again"]

_PARTITIONS = ("acme", "globex", "initech")
_KEYS = ("a", "b")
_EACH = 25
_PATIENCE = 20.0

Place = tuple[str, str]


@attrs.frozen(kw_only=True)
class TornReport:
    """Figures of a run.

    Attributes:
        images: torn copies of one log.
        writes: acknowledged writes in the log.
        lost: of those in the whole part, not found; must be 0.
        half: states of no turn, or of two moments; must be 0.
        refused: instances that did not answer; must be 0, as a torn log is no damage.
        seconds: how long the run took.
        notes: what was wrong.
    """

    images: int
    writes: int
    lost: int
    half: int
    refused: int
    seconds: float
    notes: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether nothing was wrong."""
        return not (self.lost or self.half or self.refused)


@attrs.frozen
class Written:
    """One acknowledged write.

    Attributes:
        place: the partition and key.
        total: what the instance counted to.
        begun: when it was asked, in nanoseconds.
        acked: when it answered.
        end: bytes of the log at that moment; its own lie below.
    """

    place: Place
    total: int
    begun: int
    acked: int
    end: int


@attrs.define
class _Verdict:
    lost: int = 0
    half: int = 0
    refused: int = 0
    notes: list[str] = attrs.field(factory=list[str])


def compare(
    written: list[Written], found: dict[Place, Sight], whole: int
) -> tuple[int, int]:
    """Count what is lost and what is half.

    Args:
        written: all that was acknowledged.
        found: what each instance has.
        whole: bytes of the log that are as they were written.
    """
    totals = {place: sight.total for place, sight in found.items()}
    kept = [w for w in written if totals.get(w.place, 0) >= w.total]
    missing = [w for w in written if totals.get(w.place, 0) < w.total]
    lost = sum(1 for w in missing if w.end <= whole)
    latest = max((w.begun for w in kept), default=0)
    half = sum(1 for sight in found.values() if not sight.whole)
    half += sum(1 for w in missing if w.acked < latest)
    return lost, half


def tear_again_and_again(
    folder: Path, images: int, seed: int, *, progress: Callable[[], None] = lambda: None
) -> TornReport:
    """Tear so many copies of one log and let a host open each.

    Args:
        folder: where the files go.
        images: how many.
        seed: of the tears.
        progress: called after each.
    """
    began = time.monotonic()
    dice = random.Random(seed)
    original = folder / "original.db"
    written = _write(original)
    database, log = original.read_bytes(), _log_of(original).read_bytes()
    verdict = _Verdict()
    copy = folder / "copy.db"
    for _ in range(images):
        torn, whole = _tear(log, dice)
        copy.write_bytes(database)
        _log_of(copy).write_bytes(torn)
        asyncio.run(_judge(copy, written, whole, verdict))
        for left in folder.glob("copy.db*"):
            left.unlink()
        progress()
    return TornReport(
        images=images,
        writes=len(written),
        lost=verdict.lost,
        half=verdict.half,
        refused=verdict.refused,
        seconds=time.monotonic() - began,
        notes=tuple(verdict.notes[:20]),
    )


def _log_of(file: Path) -> Path:
    return file.with_name(f"{file.name}-wal")


def _tear(log: bytes, dice: random.Random) -> tuple[bytes, int]:
    """Return a torn log, and how much of its beginning is as it was."""
    whole = dice.randrange(len(log))
    torn = bytearray(log[: dice.randint(whole, len(log))])
    if len(torn) > whole:
        torn[whole] ^= dice.randrange(1, 256)
        for _ in range(dice.randrange(4)):
            torn[dice.randrange(whole, len(torn))] ^= 1 << dice.randrange(8)
    return bytes(torn), whole


def _write(file: Path) -> list[Written]:
    """Let a process write, kill it, and return what it was told."""
    begun: dict[Place, Event] = {}
    written: list[Written] = []
    with forked(functools.partial(_work, file)) as child:
        for event in child.listen(time.monotonic() + _PATIENCE):
            place = (event.partition, event.subject)
            if event.kind == "begun":
                begun[place] = event
                continue
            if event.kind == "done":
                break
            asked = begun[place]
            written.append(
                Written(place, asked.number, asked.at, event.at, event.number)
            )
    return written


async def _work(file: Path, say: Say) -> None:
    log = _log_of(file)
    async with Host(file) as host:
        meters = homes(host).meters
        async with asyncio.TaskGroup() as group:
            for partition in _PARTITIONS:
                for key in _KEYS:
                    place = (partition, key)
                    group.create_task(_count(meters, place, log, say))
        say("done")
        await asyncio.Event().wait()


async def _count(
    meters: InstanceManager[Meter], place: Place, log: Path, say: Say
) -> None:
    meter = await _meter(meters, place)
    for total in range(1, _EACH + 1):
        say("begun", *place, total)
        await meter.ask(Bump())
        say("acked", *place, log.stat().st_size)  # noqa: ASYNC240  a few microseconds


async def _meter(meters: InstanceManager[Meter], place: Place) -> AgentRef[Meter]:
    partition, key = place
    return await meters.get(key, partition=partition)


async def _judge(
    file: Path, written: list[Written], whole: int, verdict: _Verdict
) -> None:
    found: dict[Place, Sight] = {}
    try:
        async with asyncio.timeout(_PATIENCE), Host(file) as host:
            meters = homes(host).meters
            for partition in _PARTITIONS:
                for key in _KEYS:
                    place = (partition, key)
                    meter = await _meter(meters, place)
                    found[place] = await meter.ask(Look())
    except (PodsError, TimeoutError) as error:
        verdict.refused += 1
        verdict.notes.append(f"refused with {whole} whole bytes: {error}")
        return
    lost, half = compare(written, found, whole)
    verdict.lost += lost
    verdict.half += half
    if lost or half:
        verdict.notes.append(f"lost {lost}, half {half} with {whole} whole bytes")
