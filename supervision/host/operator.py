"""Actions of an operator on quarantined instances and on dead letters.

Each action that changes something needs an actor and a reason, which are logged. It is
stored before it takes effect.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from persistence import (
    Address,
    DeadLetter,
    Delete,
    Exhume,
    InvalidKey,
    Letter,
    LiftQuarantine,
    Operation,
    Post,
    StoredBytes,
    Unit,
    key_from_text,
)

from ..agents import Envelope
from ..declaration import EncodedMessage
from ..errors import AgentNotFound, LetterNotFound, check_account, check_stamp
from ..telemetry import partition_extra

if TYPE_CHECKING:
    from persistence import Writer

    from ..agents import Partition
    from ..lifecycle import Catalog
    from ..messaging import DueLetters, Mailroom

__all__ = ["OperatorActions"]

log = logging.getLogger("podvisor.remedies")


class OperatorActions:
    """The operator actions of one host; managers and partition handles call them.

    It holds no state of its own.
    """

    def __init__(
        self,
        catalog: Catalog,
        writer: Writer,
        mailroom: Mailroom,
        due_letters: DueLetters,
    ) -> None:
        self._catalog = catalog
        self._writer = writer
        self._mailroom = mailroom
        self._due_letters = due_letters

    def __repr__(self) -> str:
        return "<OperatorActions>"

    async def inspect(self, address: Address) -> tuple[StoredBytes, ...]:
        """Return the stored rows of an instance, undecoded; empty if it has none."""
        found = await self._catalog.read(
            lambda store: store.inspect(address), partition=address.partition
        )
        return tuple(found)

    async def release(self, address: Address, *, actor: str, reason: str) -> None:
        """Release an instance from quarantine; its rows stay unchanged.

        Raises:
            AgentNotFound: the instance is not in quarantine.
            Unaccounted: actor or reason is empty.
        """
        partition = await self._quarantined(address, actor=actor, reason=reason)
        await self._save(partition, LiftQuarantine(address))
        self._lifted(partition, address)
        _log("instance.released", address, actor=actor, reason=reason)

    async def discard(self, address: Address, *, actor: str, reason: str) -> None:
        """Delete a quarantined instance: its rows, letters and remembered replies.

        Raises:
            AgentNotFound: the instance is not in quarantine.
            Unaccounted: actor or reason is empty.
        """
        partition = await self._quarantined(address, actor=actor, reason=reason)
        await self._save(partition, Delete(address), LiftQuarantine(address))
        self._lifted(partition, address)
        _log("instance.discarded", address, actor=actor, reason=reason)

    async def dead_letters(
        self, name: str, *, after: str, limit: int
    ) -> tuple[DeadLetter, ...]:
        """Return one page of the dead letters of a partition, the oldest first."""
        found = await self._catalog.read(
            lambda store: store.dead(partition=name, after=after, limit=limit),
            partition=name,
        )
        return tuple(found)

    async def redeliver(
        self, name: str, stamp: str, *, actor: str, reason: str
    ) -> None:
        """Post a dead letter again, with a new stamp, as if it were a new letter.

        Raises:
            LetterNotFound: the partition has no such dead letter.
            RecordError: its bytes cannot be decoded; it stays a dead letter.
            UnknownManager: its manager is not declared on this host.
            Unaccounted: actor or reason is empty.
        """
        partition, dead = await self._dead(name, stamp, actor=actor, reason=reason)
        letter, message = self._revived(partition, dead)
        await self._save(partition, Exhume(name, stamp), Post(letter))
        self._mailroom.posted(partition, letter, Envelope(message))
        _log("letter.redelivered", letter.target, actor=actor, reason=reason)

    async def drop(self, name: str, stamp: str, *, actor: str, reason: str) -> None:
        """Delete a dead letter.

        Raises:
            LetterNotFound: the partition has no such dead letter.
            Unaccounted: actor or reason is empty.
        """
        partition, dead = await self._dead(name, stamp, actor=actor, reason=reason)
        await self._save(partition, Exhume(name, stamp))
        log.warning(
            "letter.dropped",
            extra=partition_extra(
                name, manager=dead.manager, key=dead.key, actor=actor, reason=reason
            ),
        )

    async def _quarantined(
        self, address: Address, *, actor: str, reason: str
    ) -> Partition:
        check_account(actor=actor, reason=reason)
        partition = await self._catalog.claim(address.partition)
        if (address.manager, address.key) not in partition.quarantined:
            raise AgentNotFound(address.manager, address.key)
        return partition

    def _lifted(self, partition: Partition, address: Address) -> None:
        partition.quarantined.pop((address.manager, address.key), None)
        self._due_letters.look_if_known(partition)

    async def _dead(
        self, name: str, stamp: str, *, actor: str, reason: str
    ) -> tuple[Partition, DeadLetter]:
        check_account(actor=actor, reason=reason)
        stamp = check_stamp("stamp", stamp)
        partition = await self._catalog.claim(name)
        found = await self.dead_letters(name, after=_just_before(stamp), limit=1)
        if not found or found[0].stamp != stamp:
            raise LetterNotFound(stamp)
        return partition, found[0]

    def _revived(self, partition: Partition, dead: DeadLetter) -> tuple[Letter, object]:
        try:
            target = Address(dead.partition, dead.manager, key_from_text(dead.key))
        except InvalidKey:
            raise LetterNotFound(dead.stamp) from None
        packed = EncodedMessage(dead.message, dead.version, dead.body)
        message = self._catalog.manager(dead.manager).spec.wire.unpack(packed, target)
        letter = Letter(target, "", "", packed.message, packed.version, packed.body)
        return self._mailroom.stamped(partition, letter), message

    async def _save(self, partition: Partition, *operations: Operation) -> None:
        unit = Unit(partition.name, partition.epoch, operations)
        await self._writer.submit(unit)


def _just_before(stamp: str) -> str:
    """Return a text just below a stamp, so that a page after it begins there."""
    if not stamp:
        return ""
    return f"{stamp[:-1]}{chr(max(1, ord(stamp[-1]) - 1))}\U0010ffff"


def _log(event: str, address: Address, *, actor: str, reason: str) -> None:
    log.warning(
        event,
        extra=partition_extra(
            address.partition,
            manager=address.manager,
            key=str(address.key),
            actor=actor,
            reason=reason,
        ),
    )
