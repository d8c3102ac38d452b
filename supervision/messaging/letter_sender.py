"""Sending of letters: messages that are stored until they are handled."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

import attrs

from persistence import Address, Unit, Writer

from ..agents import Envelope, Instance, Timing

if TYPE_CHECKING:
    from ..declaration import Message
    from ..lifecycle import Catalog
    from .delivery import Delivery
    from .mailroom import Mailroom
    from .staged_letters import OutgoingLetter

__all__ = ["LetterSender"]


@attrs.define(eq=False)
class LetterSender:
    """Sends the letters of one host, from a turn or from outside of every turn.

    Holds no letters: a turn keeps those that it stages, the writer those on their way.
    ``Calls`` and the host use it.

    Attributes:
        catalog: claims the partition of a letter that no turn sends.
        delivery: finds the target and makes the span.
        mailroom: prepares the letter, and delivers it once it is stored.
        writer: stores a letter that no turn sends.
    """

    catalog: Catalog
    delivery: Delivery
    mailroom: Mailroom
    writer: Writer

    def stage(
        self,
        sender: Instance,
        address: Address,
        message: Message[object],
        *,
        timing: Timing | None = None,
        name: str = "",
    ) -> None:
        """Add a letter to the sender's turn; a quarantined target gets it too.

        Args:
            sender: the instance whose turn sends the letter.
            address: the target.
            message: the durable message.
            timing: when it is due; ``None``: at once.
            name: name of a timer; empty: it has none.

        Raises:
            NotHandled: the target has no handler for the message.
            UnstorableMessage: the message has no stored form.
            MailroomFull: the partition has too many letters.
        """
        target = self.delivery.target_of(address)
        letter = self.mailroom.post(
            target,
            self._envelope(target, message),
            sender=sender.address,
            timing=timing,
            name=name,
        )
        sender.staged = [*(sender.staged or ()), letter]

    async def store(self, address: Address, message: Message[object]) -> None:
        """Store a letter that belongs to no turn; it is durable when this returns.

        Args:
            address: the target.
            message: the durable message.

        Raises:
            NotHandled: the target has no handler for the message.
            UnstorableMessage: the message has no stored form.
            MailroomFull: the partition has too many letters.
            StoreError: the letter could not be stored.
        """
        partition = await self.catalog.claim(address.partition)
        target = self.delivery.target_of(address)
        letter = self.mailroom.post(target, self._envelope(target, message))
        unit = Unit(partition.name, partition.epoch, letter.operations())
        saved = self.writer.submit(unit)
        saved.add_done_callback(
            functools.partial(_stored, letter), context=partition.context
        )
        # Cancelling the caller does not cancel the save: the writer has the letter.
        await asyncio.wait([saved])
        saved.result()

    def _envelope(self, target: Instance, message: Message[object]) -> Envelope:
        envelope = Envelope(message)
        if self.delivery.traces(None):
            envelope.span = self.delivery.sending(target)
        return envelope


def _stored(letter: OutgoingLetter, saved: asyncio.Future[None]) -> None:
    if saved.exception() is None:
        letter.committed()
    else:
        letter.undone()
