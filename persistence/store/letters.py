"""Durable messages, timers and remembered replies, as values.

A *letter* is a message that is stored until the turn that handled it is committed. A
timer is a letter that is not due yet. A letter that cannot be handled becomes a *dead
letter* of its partition, with its bytes and the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from ..identity import Address

__all__ = [
    "Answer",
    "Bury",
    "DeadLetter",
    "Defer",
    "Exhume",
    "ForgetReplies",
    "Letter",
    "Post",
    "Reply",
    "SpoiledLetter",
    "Take",
]


@attrs.frozen
class Letter:
    """A stored message that was not handled yet, or a timer.

    Attributes:
        target: address of the receiver.
        id: its name among the letters of the target: the name of a timer, else the
            stamp.
        stamp: a text that no other letter of the partition ever has, and that grows:
            letters with one due time are delivered in the order of their stamps.
        message: the stored name of the message's class.
        version: schema version of the body, from 1 up.
        body: JSON text in UTF-8.
        due: earliest time of delivery, Unix seconds; 0 for at once.
        sent: time of posting, Unix seconds.
        tries: how many turns that handled it have failed.
        cron: the rule of a repeating timer, and its time zone; empty: not repeated.
        sender: address of the sender; ``None`` for code outside of every instance.
    """

    target: Address
    id: str
    stamp: str
    message: str
    version: int
    body: bytes
    due: float = 0.0
    sent: float = 0.0
    tries: int = 0
    cron: str = ""
    sender: Address | None = None


@attrs.frozen
class SpoiledLetter:
    """A stored letter that cannot be read, with the texts of its row.

    Attributes:
        partition: partition of the letter.
        manager: the target's manager, unchecked.
        key: the text of the target's key, unchecked.
        id: its name among the letters of the target.
        stamp: its place in the order of delivery.
        due: due time, Unix seconds.
        reason: why it cannot be read.
        lost: whether its row is gone and only an index entry names it.
    """

    partition: str
    manager: str
    key: str
    id: str
    stamp: str
    due: float
    reason: str
    lost: bool = False


@attrs.frozen
class DeadLetter:
    """A letter that could not be handled; it waits until an operator decides.

    Attributes:
        partition: partition of the letter.
        manager: the target's manager, as it is stored.
        key: the JSON text of the target's key, as it is stored.
        id: its name among the letters of the target.
        stamp: its name among the dead letters.
        message: the stored name of the message's class.
        version: schema version of the body.
        body: the bytes, as they were stored.
        sent: time of posting, Unix seconds.
        tries: how many turns that handled it have failed.
        reason: why it became a dead letter.
        since: when it became a dead letter, Unix seconds.
    """

    partition: str
    manager: str
    key: str
    id: str
    stamp: str
    message: str
    version: int
    body: bytes
    sent: float
    tries: int
    reason: str
    since: float


@attrs.frozen
class Reply:
    """The remembered reply to a request with an idempotency key.

    Attributes:
        target: address of the instance that replied.
        key: the idempotency key.
        digest: digest of the request; a different request under the same key has a
            different one.
        body: the reply as JSON text in UTF-8.
        expires: time from which it may be removed, Unix seconds.
    """

    target: Address
    key: str
    digest: bytes
    body: bytes
    expires: float


@attrs.frozen
class Post:
    """Store a letter; a letter of the same target and id is replaced."""

    letter: Letter


@attrs.frozen
class Take:
    """Remove a letter that was handled, or a timer that was cancelled.

    The row of a timer with a name may be gone: any turn of the target may replace or
    cancel the timer, also while it is handled. A letter without a name is removed only
    when it was handled. So if its row is gone, it was handled elsewhere, and the unit
    is refused.

    Attributes:
        target: address of the receiver.
        id: its name among the letters of the target.
        stamp: which letter of that name; empty: any.
    """

    target: Address
    id: str
    stamp: str

    @property
    def is_certain(self) -> bool:
        """Whether the row must exist: the letter has no name, only its stamp."""
        return self.id == self.stamp


@attrs.frozen
class Defer:
    """Store a letter's new ``due`` and ``tries``; no error if the letter is gone."""

    letter: Letter


@attrs.frozen
class Bury:
    """Move a letter, readable or not, to the dead letters; no error if it is gone.

    Attributes:
        partition: partition of the letter.
        manager: the target's manager, as it is stored.
        key: the text of the target's key, as it is stored.
        id: its name among the letters of the target.
        stamp: which letter of that name.
        tries: how many turns that handled it have failed.
        reason: why it becomes a dead letter.
        since: when it becomes one, Unix seconds.
    """

    partition: str
    manager: str
    key: str
    id: str
    stamp: str
    tries: int
    reason: str
    since: float


@attrs.frozen
class Exhume:
    """Remove a dead letter by its stamp; no error if it is gone."""

    partition: str
    stamp: str


@attrs.frozen
class Answer:
    """Remember a reply; refused if the target has one under the same key."""

    reply: Reply


@attrs.frozen
class ForgetReplies:
    """Remove the replies that expired at or before a time, Unix seconds."""

    partition: str
    before: float
