"""What turns stage and mailboxes carry for letters, by the state of the letter.

An ``OutgoingLetter`` is posted with the commit of its sender's turn. In a mailbox it is
an ``IncomingLetter``. In the commit of the turn that handled it, it is a
``HandledLetter``. A ``CancelledTimer`` removes a timer with a commit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from persistence import Defer, Letter, Operation, Post, Take

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..agents import Envelope, Partition, Staged
    from .mailroom import Mailroom
    from .partition_letters import PartitionLetters, Place

__all__ = [
    "CancelledTimer",
    "HandledLetter",
    "IncomingLetter",
    "OutgoingLetter",
    "clear_place",
    "recall_letter",
]


@attrs.define(eq=False, repr=False)
class OutgoingLetter:
    """A letter that is posted with a commit; made by the mailroom."""

    mailroom: Mailroom
    partition: Partition
    letter: Letter
    envelope: Envelope

    @property
    def place(self) -> Place:
        """The target and the id; a letter without a name gets its stamp as id."""
        return self.letter.target, self.letter.id

    def operations(self) -> tuple[Operation, ...]:
        """Stamp the letter, and return the operation that stores it."""
        self.letter = self.mailroom.stamped(self.partition, self.letter)
        self.mailroom.letters[self.partition.name].posting.add(self.letter.stamp)
        return (Post(self.letter),)

    def committed(self) -> None:
        """Deliver the letter, or watch its due time."""
        self._end()
        self.mailroom.posted(self.partition, self.letter, self.envelope)

    def undone(self) -> None:
        """Forget the letter; read again if its commit may have happened."""
        self._end()
        if self.letter.stamp:
            # It was given to the writer. A failed save leaves open if it is stored.
            self.mailroom.due_letters.doubt(self.partition)

    def _end(self) -> None:
        known = self.mailroom.letters[self.partition.name]
        known.staged -= 1
        known.posting.discard(self.letter.stamp)


@attrs.define(eq=False, repr=False)
class CancelledTimer:
    """A timer that is called off with a commit; made by the mailroom."""

    mailroom: Mailroom
    partition: Partition
    place: Place

    def operations(self) -> tuple[Operation, ...]:
        """Return the operation that removes the timer's row, whatever its stamp."""
        return (Take(*self.place, stamp=""),)

    def committed(self) -> None:
        """Recall the timer's letter if it is in a mailbox."""
        self.mailroom.called_off(self.partition, self.place)

    def undone(self) -> None:
        """Change nothing: the timer stays."""


@attrs.define(eq=False, repr=False)
class IncomingLetter:
    """A letter in a mailbox or in a turn; the turn reports how it ended.

    Attributes:
        mailroom: the mailroom that delivered it.
        partition: the partition of the letter.
        letter: the letter as it is stored.
        recalled: whether its timer was called off or replaced.
    """

    mailroom: Mailroom
    partition: Partition
    letter: Letter
    recalled: bool = False

    def waits_for(self, staged: Sequence[Staged]) -> bool:
        """Return whether one of these replaces or calls off this timer."""
        place = (self.letter.target, self.letter.id)
        return any(
            isinstance(one, OutgoingLetter | CancelledTimer) and one.place == place
            for one in staged
        )

    def handled(self, value: object) -> HandledLetter:
        """Return what removes the letter in the commit of the turn that handled it."""
        return HandledLetter(self.mailroom, self.partition, self.letter)

    def failed(self, error: BaseException, *, answered: bool) -> None:
        """Schedule another try, or bury it if its handler was declared to raise."""
        mailroom = self.mailroom
        mailroom.failed(self.partition, self.letter, error, final=answered)

    def returned(self) -> None:
        """Return the letter to the store, from which it is delivered again."""
        self.mailroom.returned(self.partition, self.letter)


@attrs.define(eq=False, repr=False)
class HandledLetter:
    """A letter that was handled: removed by the commit, or due again by its rule.

    Attributes:
        mailroom: the mailroom that delivered it.
        partition: the partition of the letter.
        letter: the letter as it was delivered.
        due: when it is due again, Unix seconds; infinity: never.
    """

    mailroom: Mailroom
    partition: Partition
    letter: Letter
    due: float = 0.0

    def operations(self) -> tuple[Operation, ...]:
        """Return the operation that removes the row or sets its next due time."""
        letter = self.letter
        self.due = self.mailroom.again(letter)
        if self.due < float("inf"):
            return (Defer(attrs.evolve(letter, due=self.due, tries=0)),)
        return (Take(letter.target, letter.id, letter.stamp),)

    def committed(self) -> None:
        """Record that the letter was handled."""
        self.mailroom.settled(self.partition, self.letter, self.due)

    def undone(self) -> None:
        """Return the letter to the store, as its turn could not be saved."""
        self.mailroom.unsaved(self.partition, self.letter)


def recall_letter(known: PartitionLetters, place: Place) -> None:
    """Mark the letter at a place as called off, if it is in a mailbox or a turn."""
    envelope = known.out.pop(place, None)
    if envelope is not None and isinstance(envelope.delivery, IncomingLetter):
        envelope.delivery.recalled = True


def clear_place(known: PartitionLetters, letter: Letter) -> None:
    """Record that a letter is in no mailbox; one that replaced it may be in one."""
    place = (letter.target, letter.id)
    envelope = known.out.get(place)
    delivery = None if envelope is None else envelope.delivery
    if isinstance(delivery, IncomingLetter) and delivery.letter.stamp == letter.stamp:
        del known.out[place]
