"""What turns stage and mailboxes carry for letters and remembered requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from persistence import Defer, Letter, Operation, Post, Take

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..agents import Envelope, Partition, Staged
    from .mailroom import Mailroom
    from .partition_letters import Place

__all__ = ["CancelledTimer", "HandledLetter", "IncomingLetter", "OutgoingLetter"]


@attrs.define(eq=False, repr=False)
class OutgoingLetter:
    """A letter that leaves with a commit."""

    mailroom: Mailroom
    partition: Partition
    letter: Letter
    envelope: Envelope

    @property
    def place(self) -> Place:
        """Where it is put; what has no name gets one with its stamp."""
        return self.letter.target, self.letter.id

    def operations(self) -> tuple[Operation, ...]:
        """Give it its place in the order, and store it."""
        self.letter = self.mailroom.stamped(self.partition, self.letter)
        self.mailroom.letters[self.partition.name].posting.add(self.letter.stamp)
        return (Post(self.letter),)

    def committed(self) -> None:
        """Deliver it, or wait until it is due."""
        self._end()
        self.mailroom.posted(self.partition, self.letter, self.envelope)

    def undone(self) -> None:
        """Forget it; look for it all the same if its commit may have happened."""
        self._end()
        if self.letter.stamp:  # it was on its way, and a broken medium says nothing
            self.mailroom.due_letters.doubt(self.partition)

    def _end(self) -> None:
        box = self.mailroom.letters[self.partition.name]
        box.staged -= 1
        box.posting.discard(self.letter.stamp)


@attrs.define(eq=False, repr=False)
class CancelledTimer:
    """A timer that is called off with a commit."""

    mailroom: Mailroom
    partition: Partition
    place: Place

    def operations(self) -> tuple[Operation, ...]:
        """Remove its row, whichever stands there."""
        return (Take(*self.place, stamp=""),)

    def committed(self) -> None:
        """Let nobody handle it any more."""
        self.mailroom.called_off(self.partition, self.place)

    def undone(self) -> None:
        """Leave it alone."""


@attrs.define(eq=False, repr=False)
class IncomingLetter:
    """A letter in a mailbox or in a turn.

    Attributes:
        recalled: it was called off.
    """

    mailroom: Mailroom
    partition: Partition
    letter: Letter
    recalled: bool = False

    def waits_for(self, staged: Sequence[Staged]) -> bool:
        """Tell whether one of these puts another timer in its place, or none."""
        place = (self.letter.target, self.letter.id)
        return any(
            isinstance(one, OutgoingLetter | CancelledTimer) and one.place == place
            for one in staged
        )

    def handled(self, value: object) -> HandledLetter:
        """Take it away with the commit of the turn that handled it."""
        return HandledLetter(self.mailroom, self.partition, self.letter)

    def failed(self, error: BaseException, *, answered: bool) -> None:
        """Try it again later; not if its handler was declared to raise this."""
        mailroom = self.mailroom
        mailroom.failed(self.partition, self.letter, error, final=answered)

    def returned(self) -> None:
        """Deliver it again later."""
        self.mailroom.returned(self.partition, self.letter)


@attrs.define(eq=False, repr=False)
class HandledLetter:
    """A letter that was handled: gone with the commit, or due again by its rule."""

    mailroom: Mailroom
    partition: Partition
    letter: Letter
    due: float = 0.0

    def operations(self) -> tuple[Operation, ...]:
        """Remove its row, or move it to the next occurrence."""
        letter = self.letter
        self.due = self.mailroom.again(letter)
        if self.due < float("inf"):
            return (Defer(attrs.evolve(letter, due=self.due, tries=0)),)
        return (Take(letter.target, letter.id, letter.stamp),)

    def committed(self) -> None:
        """Note that it was handled."""
        self.mailroom.settled(self.partition, self.letter, self.due)

    def undone(self) -> None:
        """Deliver it again later."""
        self.mailroom.unsaved(self.partition, self.letter)
