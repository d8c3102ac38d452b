"""How a letter becomes a dead letter, and what the log says of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from persistence import Bury, key_to_text

from ..telemetry import partition_extra

if TYPE_CHECKING:
    from persistence import Letter, SpoiledLetter

    from ..agents import Partition
    from .partition_letters import PartitionLetters

__all__ = ["bury_letter", "bury_spoiled", "count_buried", "log_damaged"]

log = logging.getLogger("podvisor.mail")


def bury_letter(partition: str, letter: Letter, reason: str, now: float) -> Bury:
    """Return the operation that moves a letter to the dead letters.

    Args:
        partition: the id of its partition.
        letter: the letter, with the number of its tries.
        reason: why it is buried.
        now: wall time, Unix seconds.
    """
    return Bury(
        partition=partition,
        manager=letter.target.manager,
        key=key_to_text(letter.target.key),
        id=letter.id,
        stamp=letter.stamp,
        tries=letter.tries,
        reason=reason,
        since=now,
    )


def bury_spoiled(partition: str, letter: SpoiledLetter, now: float) -> Bury:
    """Return the operation that moves an unreadable letter to the dead letters.

    Args:
        partition: the id of its partition.
        letter: the texts of its row.
        now: wall time, Unix seconds.
    """
    return Bury(
        partition=partition,
        manager=letter.manager,
        key=letter.key,
        id=letter.id,
        stamp=letter.stamp,
        tries=0,
        reason=letter.reason,
        since=now,
    )


def count_buried(partition: Partition, manager: str, stamp: str, reason: str) -> None:
    """Count and log a letter that was moved to the dead letters."""
    partition.counters.dead_letters += 1
    log.error(
        "letter.buried",
        extra=partition_extra(
            partition.name, manager=manager, letter=stamp, reason=reason
        ),
    )


def log_damaged(
    partition: Partition, known: PartitionLetters, letter: SpoiledLetter
) -> None:
    """Log, once, a letter that can be neither handled nor buried."""
    if letter.stamp in known.told:
        return
    known.told.add(letter.stamp)
    log.error(
        "letter.damaged",
        extra=partition_extra(
            partition.name,
            manager=ascii(letter.manager),
            letter=ascii(letter.stamp),
            reason=letter.reason,
        ),
    )
