"""What a host knows of the letters of one partition, and how it treats them."""

from __future__ import annotations

import math

import attrs

from persistence import Address, Handle, Letter, SpoiledLetter

from ..agents import Envelope

__all__ = ["PartitionLetters", "Place"]

Place = tuple[Address, str]
"""A target and what a letter is called in its mail."""


@attrs.define(eq=False)
class PartitionLetters:
    """The letters of one partition, as far as memory has to know them.

    The letters themselves are in the store; here is how many, when the next is due, and
    which of them are in mailboxes now.

    Attributes:
        letters: how many are stored; timers that an earlier host has posted and this
            one replaces are counted twice until the next start.
        posting: stamps of letters whose turn has not ended; no reading delivers them,
            as the end of the turn does.
        staged: how many turns under way want posted.
        serial: number of the last letter that was posted under this claim.
        next_due: Unix seconds of the first that is not in a mailbox.
        out: those in mailboxes and in turns, by place.
        named: stamps of the timers that were posted under this claim.
        held: targets some of whose letters could not be delivered; what comes for them
            now waits behind those.
        returned: targets of letters that came back since the last reading began.
        behind: letters of an earlier time were not looked at yet.
        settled: stamps that were settled while a page is being read; ``None``: none is.
        overtaken: by place of a timer that was replaced or called off meanwhile: the
            first stamp whose letter was not.
        again: read again when the reading that goes on is over.
        unsaved: how many came back since then as their turn could not be saved.
        told: stamps of damaged letters that stay where they are, and of which the log
            was told.
        delay: seconds until held letters are tried again.
        timer: the next look.
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
        """Say whether a letter for a target has to wait behind others."""
        return self.behind or target in self.held

    def begin_reading(self) -> None:
        """Note from now on what a page that is being read need not know yet."""
        self.settled = set()

    def end_reading(self) -> None:
        """Forget it: whatever is read from now on knows."""
        self.settled = None
        self.overtaken.clear()

    def overtake(self, place: Place, stamp: str) -> None:
        """Note that a timer is gone whose stamp is a smaller one."""
        if self.settled is not None:
            self.overtaken[place] = stamp

    def passes_over(self, letter: Letter | SpoiledLetter) -> bool:
        """Say whether a reading that goes on has nothing to do with a letter."""
        done, stamp = self.settled, letter.stamp
        if done is None or stamp in done or stamp in self.posting:
            return True
        if isinstance(letter, SpoiledLetter):
            return False
        return stamp < self.overtaken.get((letter.target, letter.id), "")

    def forget(self, place: Place, stamp: str) -> None:
        """Note that a letter is no longer stored."""
        if self.settled is not None:
            self.settled.add(stamp)
        if self.named.get(place, stamp) == stamp:
            self.named.pop(place, None)
            self.letters = max(0, self.letters - 1)
