"""Durable messages, timers and remembered replies, as values.

A *letter* is a message that is stored until the turn that handled it is committed. A
timer is a letter that is not due yet. A letter that cannot be handled ends among the
dead letters of its partition, with its bytes and the reason.
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
    """A durable message on its way, or a timer.

    Attributes:
        target: who gets it.
        id: what it is called in the target's mail: the name of a timer, else its stamp.
        stamp: unique in the partition for ever, and growing: letters that are due at
            the same time are delivered in its order.
        message: the stored name of the message's class.
        version: schema version of the body, from 1 up.
        body: JSON text in UTF-8.
        due: not to be delivered before; Unix seconds, 0 for at once.
        sent: when it was posted, Unix seconds.
        tries: how often it was handled in vain.
        cron: the rule of a timer that comes again, and its time zone; empty: once.
        sender: who posted it; ``None`` for code outside of every instance.
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
    """A stored letter that cannot be read, by the texts of its row.

    Attributes:
        partition: whose it is.
        manager: the target's manager, unchecked.
        key: the text of the target's key, unchecked.
        id: what it is called in the target's mail.
        stamp: its place in the order of delivery.
        due: when it is due, Unix seconds.
        reason: why it cannot be read.
        lost: there is no row of it any more, only something that names it.
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
    """A letter that nobody will handle unless somebody decides so.

    Attributes:
        partition: whose it is.
        manager: the target's manager, as it is stored.
        key: the JSON text of the target's key, as it is stored.
        id: what it was called in the target's mail.
        stamp: what names it among the dead letters.
        message: the stored name of its class.
        version: schema version of the body.
        body: its bytes, as they were stored.
        sent: when it was posted, Unix seconds.
        tries: how often it was handled in vain.
        reason: why it is here.
        since: when it came here, Unix seconds.
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
    """What a request with an idempotency key was answered.

    Attributes:
        target: who answered.
        key: the idempotency key.
        digest: digest of the request, to tell another one under the same key.
        body: the reply as JSON text in UTF-8.
        expires: when it may be forgotten, Unix seconds.
    """

    target: Address
    key: str
    digest: bytes
    body: bytes
    expires: float


@attrs.frozen
class Post:
    """Store a letter; one of the same target and id is replaced."""

    letter: Letter


@attrs.frozen
class Take:
    """Remove a letter that was handled, or called off.

    A timer with a name may be gone: whoever has its name replaces it or calls it off,
    also while it is handled. Nothing removes a letter without a name but its being
    handled, so one that is gone was handled elsewhere: refused.

    Attributes:
        target: whose mail it is in.
        id: what it is called there.
        stamp: which letter of that name; empty: whichever there is.
    """

    target: Address
    id: str
    stamp: str

    @property
    def is_certain(self) -> bool:
        """Whether it has to be there: it has no name, only its stamp."""
        return self.id == self.stamp


@attrs.frozen
class Defer:
    """Store a letter's new ``due`` and ``tries``; one that is gone is no error."""

    letter: Letter


@attrs.frozen
class Bury:
    """Move a letter, readable or not, to the dead letters; no error if it is gone.

    Attributes:
        partition: whose it is.
        manager: the target's manager, as it is stored.
        key: the text of the target's key, as it is stored.
        id: what it is called in the target's mail.
        stamp: which letter of that name.
        tries: how often it was handled in vain.
        reason: why.
        since: when, Unix seconds.
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
    """Remove a dead letter by its stamp; one that is gone is no error."""

    partition: str
    stamp: str


@attrs.frozen
class Answer:
    """Remember a reply; one of the same target and key is there already: refused."""

    reply: Reply


@attrs.frozen
class ForgetReplies:
    """Remove the replies that have expired by a time, Unix seconds."""

    partition: str
    before: float
