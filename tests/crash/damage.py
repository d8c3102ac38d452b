"""Flipped bits, overwritten sectors, files cut short: image after image."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import attrs

from .images import PARTITIONS, Outcome, Seen, build, see

__all__ = ["DamageReport", "cut_short", "damage_again_and_again", "flip_bits"]

Damage = Callable[[bytearray, random.Random], None]


@attrs.frozen(kw_only=True)
class DamageReport:
    """Figures of a run.

    Attributes:
        images: damaged files.
        right: instances that answered with what was acknowledged.
        refused: instances that refused with a typed error.
        silent: instances that answered anything else; must be 0.
        untyped: errors that are not podvisor's; must be 0.
        unopened: files that the host refused to open.
        unharmed: files of which every instance answered right.
        hit_mean: partitions of which not everything answered right, among the files
            that could be opened and were harmed.
        hit_max: most of them.
        partitions: how many there are in a file.
        seconds: how long the run took.
        notes: what was wrong.
    """

    images: int
    right: int
    refused: int
    silent: int
    untyped: int
    unopened: int
    unharmed: int
    hit_mean: float
    hit_max: int
    partitions: int
    seconds: float
    notes: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether nothing was wrong."""
        return not (self.silent or self.untyped)


def flip_bits(image: bytearray, dice: random.Random) -> None:
    """Flip one bit; sometimes more of the same byte's neighbours, or a whole sector."""
    place = dice.randrange(len(image))
    kind = dice.random()
    if kind < 0.8:
        image[place] ^= 1 << dice.randrange(8)
    elif kind < 0.9:
        for near in range(place, min(len(image), place + dice.randint(2, 8))):
            image[near] ^= dice.randrange(1, 256)
    else:
        start = place // 512 * 512
        garbage = dice.choice((bytes(512), dice.randbytes(512)))
        image[start : start + 512] = garbage


def cut_short(image: bytearray, dice: random.Random) -> None:
    """Leave the beginning of a file."""
    del image[dice.randrange(1, len(image)) :]


def damage_again_and_again(
    folder: Path,
    damage: Damage,
    images: int,
    seed: int,
    *,
    progress: Callable[[], None] = lambda: None,
) -> DamageReport:
    """Damage so many copies of one file and let a host open each.

    Args:
        folder: where the files go.
        damage: what is done to a copy.
        images: how many.
        seed: of the damage; the same seed does the same.
        progress: called after each.
    """
    began = time.monotonic()
    dice = random.Random(seed)
    original = folder / "original.db"
    asyncio.run(build(original))
    whole = original.read_bytes()
    everything: list[Seen] = []
    for _ in range(images):
        image = bytearray(whole)
        damage(image, dice)
        copy = folder / "copy.db"
        copy.write_bytes(image)
        everything.append(asyncio.run(see(copy)))
        for left in folder.glob("copy.db*"):
            left.unlink()
        progress()
    return _report(everything, time.monotonic() - began)


def _report(everything: list[Seen], seconds: float) -> DamageReport:
    outcomes: Counter[Outcome] = Counter()
    for seen in everything:
        outcomes.update(seen.outcomes)
    hits = [len(seen.hit) for seen in everything if seen.opened and seen.hit]
    return DamageReport(
        images=len(everything),
        right=outcomes[Outcome.RIGHT],
        refused=outcomes[Outcome.REFUSED],
        silent=outcomes[Outcome.WRONG],
        untyped=outcomes[Outcome.UNTYPED],
        unopened=sum(1 for seen in everything if not seen.opened),
        unharmed=sum(1 for seen in everything if not seen.hit),
        hit_mean=sum(hits) / max(1, len(hits)),
        hit_max=max(hits, default=0),
        partitions=len(PARTITIONS),
        seconds=seconds,
        notes=tuple(note for seen in everything for note in seen.notes)[:20],
    )
