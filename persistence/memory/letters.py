"""The letters, dead letters and replies of one partition of a store in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import TypeVar

import attrs

from ..errors import AlreadyAnswered, LetterGone, StoreError
from ..identity import Address, key_to_text
from ..store import (
    Answer,
    Bury,
    DeadLetter,
    Defer,
    Exhume,
    ForgetReplies,
    Letter,
    LetterRow,
    Post,
    Reply,
    ReplyRow,
    SpoiledLetter,
    Take,
    letter_of,
    letter_row,
    reply_of,
    reply_row,
)

__all__ = ["Mail", "MailOperation", "Undo"]

K = TypeVar("K")
V = TypeVar("V")

MailOperation = Post | Take | Defer | Bury | Exhume | Answer | ForgetReplies
Undo = list[Callable[[], object]]
"""Calls that undo what a unit has done so far; to be made in reverse order."""


@attrs.define(eq=False)
class Mail:
    """The letter tables of one partition.

    A partition of ``MemoryStore`` owns it. Its rows have the columns of a database.

    Attributes:
        letters: rows by (manager, key text, id).
        dead: dead letters by stamp.
        replies: rows by (manager, key text, idempotency key).
    """

    letters: dict[tuple[str, str, str], LetterRow] = attrs.field(
        factory=dict[tuple[str, str, str], LetterRow]
    )
    dead: dict[str, DeadLetter] = attrs.field(factory=dict[str, DeadLetter])
    replies: dict[tuple[str, str, str], ReplyRow] = attrs.field(
        factory=dict[tuple[str, str, str], ReplyRow]
    )

    def apply(self, operation: MailOperation, undo: Undo) -> StoreError | None:
        """Apply one operation and add its undo call, or return why it is refused."""
        match operation:
            case Post(letter):
                row = letter_row(letter)
                _put(self.letters, row[1:4], row, undo)
            case Defer(letter):
                self._defer(letter, undo)
            case Take():
                return self._take(operation, undo)
            case Bury():
                self._bury(operation, undo)
            case Exhume():
                _remove(self.dead, operation.stamp, undo)
            case Answer(reply):
                return self._answer(reply, undo)
            case ForgetReplies():
                self._forget(operation.before, undo)
        return None

    def remove_target(self, manager: str, key: str, undo: Undo) -> None:
        """Remove the letters and replies of one target."""
        for place in [p for p in self.letters if p[:2] == (manager, key)]:
            _remove(self.letters, place, undo)
        for place in [p for p in self.replies if p[:2] == (manager, key)]:
            _remove(self.replies, place, undo)

    def due_letters(
        self, partition: str, until: float, after: tuple[float, str]
    ) -> Iterator[Letter | SpoiledLetter]:
        """Yield the letters that are due, by (due, stamp), from after a given pair."""
        for row in sorted(self.letters.values(), key=_order):
            if row.due <= until and _order(row) > after:
                yield letter_of(row, partition)

    def letters_of(self, target: Address) -> Iterator[Letter]:
        """Yield the readable letters of one target, by (due, stamp)."""
        place = (target.manager, key_to_text(target.key))
        rows = [row for at, row in self.letters.items() if at[:2] == place]
        for row in sorted(rows, key=_order):
            letter = letter_of(row, target.partition)
            if isinstance(letter, Letter):
                yield letter

    def first_due(self) -> float | None:
        """Return the due time of the first letter; ``None`` if there is no letter."""
        return min((row.due for row in self.letters.values()), default=None)

    def reply(self, target: Address, key: str) -> Reply | None:
        """Return the remembered reply to a request; ``None`` if there is none."""
        row = self.replies.get((target.manager, key_to_text(target.key), key))
        return None if row is None else reply_of(row, target)

    def _is_stored(self, place: tuple[str, str, str], stamp: str) -> bool:
        row = self.letters.get(place)
        return row is not None and stamp in ("", row.stamp)

    def _defer(self, letter: Letter, undo: Undo) -> None:
        row = letter_row(letter)
        if self._is_stored(row[1:4], letter.stamp):
            _put(self.letters, row[1:4], row, undo)

    def _take(self, take: Take, undo: Undo) -> StoreError | None:
        place = (take.target.manager, key_to_text(take.target.key), take.id)
        if self._is_stored(place, take.stamp):
            _remove(self.letters, place, undo)
        elif take.is_certain:
            return LetterGone(take.target, take.stamp)
        return None

    def _forget(self, before: float, undo: Undo) -> None:
        for key in [k for k, row in self.replies.items() if row.expires <= before]:
            _remove(self.replies, key, undo)

    def _bury(self, bury: Bury, undo: Undo) -> None:
        place = (bury.manager, bury.key, bury.id)
        if not self._is_stored(place, bury.stamp):
            return
        row = self.letters[place]
        _remove(self.letters, place, undo)
        dead = DeadLetter(*row[:8], row.sent, bury.tries, bury.reason, bury.since)
        _put(self.dead, row.stamp, dead, undo)

    def _answer(self, reply: Reply, undo: Undo) -> StoreError | None:
        row = reply_row(reply)
        if row[1:4] in self.replies:
            return AlreadyAnswered(reply.target, reply.key)
        _put(self.replies, row[1:4], row, undo)
        return None


def _order(row: LetterRow) -> tuple[float, str]:
    return row.due, row.stamp


def _put(table: MutableMapping[K, V], key: K, value: V, undo: Undo) -> None:
    old = table.get(key)
    table[key] = value
    if old is None:
        undo.append(lambda: table.pop(key))
    else:
        undo.append(lambda: table.update({key: old}))


def _remove(table: MutableMapping[K, V], key: K, undo: Undo) -> None:
    old = table.pop(key, None)
    if old is not None:
        undo.append(lambda: table.update({key: old}))
