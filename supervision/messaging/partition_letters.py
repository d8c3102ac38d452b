"""What memory knows of the letters of one partition, and what a reading skips."""

from __future__ import annotations

import math

import attrs

from persistence import Address, Handle, Letter, SpoiledLetter

from ..agents import Envelope

__all__ = ["PartitionLetters", "Place"]

Place = tuple[Address, str]
"""A target, and the id of a letter among the letters for it."""


@attrs.define(eq=False)
class PartitionLetters:
    """What memory has to know of the letters of one partition.

    The letters themselves are in the store. Memory knows how many there are, when the
    next one is due, and which of them are in mailboxes now. ``DueLetters`` owns one of
    these for each partition; the files of this room read and change it.

    Attributes:
        letters: number of stored letters; timers that an earlier host has posted and
            this one replaces are counted twice until the next start.
        posting: stamps of letters whose turn has not ended; no reading delivers them,
            as the end of the turn does.
        staged: number of letters that will be posted when turns under way end.
        serial: number of the last letter that was posted under this claim.
        next_due: due time of the first letter that is in no mailbox, Unix seconds.
        out: envelopes of the letters in mailboxes and in turns, by place.
        named: stamps of the timers that were posted under this claim, by place.
        held: targets with letters that could not be delivered; new letters for them
            wait behind those.
        returned: targets of letters that came back from a mailbox or a turn since the
            last reading began.
        behind: whether letters that were due when the partition was claimed have not
            been read yet; new letters wait behind them.
        settled: stamps of letters that were handled, buried or given a later due time
            since the present reading began; ``None``: no reading goes on.
        overtaken: first valid stamp of each timer that was replaced or called off since
            the present reading began, by place; smaller stamps are void.
        again: whether another reading follows the present one.
        unsaved: number of letters that came back since the last reading began, as their
            turn could not be saved.
        told: stamps of damaged letters that the store cannot remove and that the log
            has named.
        delay: seconds until held letters are tried again.
        timer: the timer of the next reading.
    """

    letters: int = 0
    posting: set[str] = attrs.field(factory=set[str])
    staged: int = 0
    serial: int = 0
    next_due: float = math.inf
    out: dict[Place, Envelope] = attrs.field(factory=dict[Place, Envelope])
    named: dict[Place, str] = attrs.field(factory=dict[Place, str])
    held: set[Address] = attrs.field(factory=set[Address])
    returned: set[Address] = attrs.field(factory=set[Address])
    behind: bool = False
    settled: set[str] | None = None
    overtaken: dict[Place, str] = attrs.field(factory=dict[Place, str])
    again: bool = False
    unsaved: int = 0
    told: set[str] = attrs.field(factory=set[str])
    delay: float = 0.0
    timer: Handle | None = None

    def keeps(self, target: Address) -> bool:
        """Return whether a letter for a target has to wait behind others."""
        return self.behind or target in self.held

    def begin_reading(self) -> None:
        """Record from now on what is settled, as a page may be older than that."""
        self.settled = set()

    def end_reading(self) -> None:
        """Forget what was settled, as later pages do not list it."""
        self.settled = None
        self.overtaken.clear()

    def overtake(self, place: Place, stamp: str) -> None:
        """Record during a reading that a timer with a smaller stamp is void."""
        if self.settled is not None:
            self.overtaken[place] = stamp

    def passes_over(self, letter: Letter | SpoiledLetter) -> bool:
        """Return whether the present reading has to skip a letter of its page."""
        done, stamp = self.settled, letter.stamp
        if done is None or stamp in done or stamp in self.posting:
            return True
        if isinstance(letter, SpoiledLetter):
            return False
        return stamp < self.overtaken.get((letter.target, letter.id), "")

    def forget(self, place: Place, stamp: str) -> None:
        """Record that a letter is stored no longer."""
        if self.settled is not None:
            self.settled.add(stamp)
        if self.named.get(place, stamp) == stamp:
            self.named.pop(place, None)
            self.letters = max(0, self.letters - 1)
