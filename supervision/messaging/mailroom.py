"""Durable messages and timers: rows until the turn that handled them is committed.

A letter is posted in the commit of the turn that sends it and taken in the commit of
the turn that handles it. In between it is a row; if it is due and its target has room
it is in the target's mailbox as well. What is not in a mailbox is found again by
reading the partition's letters in the order in which they are due: after a start, when
a timer fires, and when a target that had no room has some.
"""

from __future__ import annotations

import functools
import logging
import math
from typing import TYPE_CHECKING

import attrs

from persistence import (
    Address,
    Bury,
    Defer,
    Letter,
    Operation,
    PodsError,
    Post,
    RecordError,
    SpoiledLetter,
    Unit,
    key_to_text,
)

from ..agents import Envelope, Schedule, Timing, next_due, schedule_of
from ..declaration import EncodedMessage
from ..errors import InvalidSchedule, MailroomFull, describe_error
from ..telemetry import partition_extra
from .staged_letters import CancelledTimer, IncomingLetter, OutgoingLetter

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from persistence import Clock, Writer

    from ..agents import Instance, Partition
    from ..lifecycle import Catalog
    from .due_letters import DueLetters
    from .partition_letters import PartitionLetters, Place

__all__ = ["Mailroom"]

log = logging.getLogger("podvisor.mail")


class Mailroom:
    """The letters of one host.

    Args:
        catalog: finds targets and asks the store.
        writer: stores what happens to a letter outside of a turn.
        hand_in: puts a message into a mailbox.
        due_letters: finds letters again that are in no mailbox; it calls
            ``deliver_page`` with them.
        clock: wall time, for timers.

    Attributes:
        letters: what is known of the letters of each partition, by its id.
    """

    def __init__(
        self,
        catalog: Catalog,
        writer: Writer,
        hand_in: Callable[[Instance, Envelope], None],
        due_letters: DueLetters,
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._writer = writer
        self._hand_in = hand_in
        self._policy = due_letters.policy
        self._clock = clock
        self.due_letters = due_letters
        self.letters = due_letters.letters
        due_letters.deliver = self.deliver_page

    def __repr__(self) -> str:
        out = sum(len(known.out) for known in list(self.letters.values()))
        return f"<Mailroom out={out}>"

    # Sending.

    def post(
        self,
        target: Instance,
        envelope: Envelope,
        *,
        sender: Address | None = None,
        timing: Timing | None = None,
        name: str = "",
    ) -> OutgoingLetter:
        """Prepare a letter; it is posted when what it is staged with is committed.

        Args:
            target: the live instance, or one that stands for it.
            envelope: the message and what it carries.
            sender: who posts it.
            timing: when it is due; ``None``: at once.
            name: what a timer is called; empty: it has no name.

        Raises:
            NotHandled: the target has no handler for it.
            UnstorableMessage: it has no stored form.
            MailroomFull: the partition has too many letters.
        """
        target.manager.spec.handler_for(envelope.message, target)
        packed = target.manager.spec.wire.pack(envelope.message, target.address)
        box = self.letters[target.partition.name]
        if box.letters + box.staged >= self._policy.max_letters:
            target.partition.counters.rejected += 1
            raise MailroomFull(target.address, self._policy.max_letters)
        box.staged += 1
        timing = timing or Timing(0.0)
        letter = Letter(
            target=target.address,
            id=name,
            stamp="",
            message=packed.message,
            version=packed.version,
            body=packed.body,
            due=timing.due,
            cron=timing.cron,
            sender=sender,
        )
        return OutgoingLetter(self, target.partition, letter, envelope)

    def stamped(self, partition: Partition, letter: Letter) -> Letter:
        """Give a letter its place in the order of its partition."""
        box = self.letters[partition.name]
        stamp = self._next_stamp(partition)
        box.serial += 1
        return attrs.evolve(
            letter, stamp=stamp, id=letter.id or stamp, sent=self._clock.wall()
        )

    def _next_stamp(self, partition: Partition) -> str:
        """Return the stamp of the next letter; letters are ordered by their stamps."""
        serial = self.letters[partition.name].serial + 1
        return f"{partition.epoch:08x}-{serial:010x}"

    def posted(self, partition: Partition, letter: Letter, envelope: Envelope) -> None:
        """Go on with a letter that is stored now."""
        box = self.letters[partition.name]
        place = (letter.target, letter.id)
        self._recall(box, place)
        if place not in box.named:
            box.letters += 1
        if letter.id != letter.stamp:
            box.named[place] = letter.stamp
            box.overtake(place, letter.stamp)
        if letter.due > self._clock.wall():
            self.due_letters.watch(partition, letter.due)
        elif box.keeps(letter.target):
            box.again = True  # it waits behind others, for which a look is due anyway
        else:
            self._hand_over(partition, letter, envelope)

    def call_off(self, partition: Partition, place: Place) -> CancelledTimer:
        """Prepare to remove a timer with a commit."""
        return CancelledTimer(self, partition, place)

    async def schedules(self, target: Address) -> tuple[Schedule, ...]:
        """List the timers of an instance that have a name, the next one first."""
        limit = self._policy.max_letters
        letters = await self._catalog.read(
            lambda store: store.mail(target, limit=limit), partition=target.partition
        )
        found = [schedule_of(letter) for letter in letters]
        return tuple(schedule for schedule in found if schedule is not None)

    def called_off(self, partition: Partition, place: Place) -> None:
        """Forget a timer whose row was removed."""
        box = self.letters[partition.name]
        self._recall(box, place)
        box.overtake(place, self._next_stamp(partition))
        if (stamp := box.named.get(place)) is not None:
            box.forget(place, stamp)

    def _take_out(self, box: PartitionLetters, letter: Letter) -> None:
        """Note that a letter is in no mailbox; one that has replaced it may be."""
        place = (letter.target, letter.id)
        envelope = box.out.get(place)
        delivery = None if envelope is None else envelope.delivery
        if (
            isinstance(delivery, IncomingLetter)
            and delivery.letter.stamp == letter.stamp
        ):
            del box.out[place]

    def _recall(self, box: PartitionLetters, place: Place) -> None:
        """Let nobody handle a letter that is in a mailbox still."""
        envelope = box.out.pop(place, None)
        if envelope is not None and isinstance(envelope.delivery, IncomingLetter):
            envelope.delivery.recalled = True

    # Delivering.

    def _hand_over(
        self, partition: Partition, letter: Letter, envelope: Envelope
    ) -> bool:
        """Put a stored letter into its target's mailbox; say whether that could be."""
        box = self.letters[partition.name]
        try:
            instance = self._catalog.resolve(letter.target)
        except PodsError:  # it may not start now, or has no manager here
            return self._hold(partition, letter.target)
        if instance.queued >= instance.manager.policy.mailbox:
            return self._hold(partition, letter.target)
        envelope.delivery = IncomingLetter(self, partition, letter)
        box.out[letter.target, letter.id] = envelope
        self._hand_in(instance, envelope)
        return True

    def _hold(self, partition: Partition, target: Address) -> bool:
        self.letters[partition.name].held.add(target)
        self.due_letters.retry(partition)
        return False

    def settled(self, partition: Partition, letter: Letter, again: float) -> None:
        """Note that a letter was handled, and when it comes again (never: infinity)."""
        box = self.letters[partition.name]
        place = (letter.target, letter.id)
        self._take_out(box, letter)
        if again < math.inf:
            if box.settled is not None:
                box.settled.add(letter.stamp)
            self.due_letters.watch(partition, again)
        else:
            box.forget(place, letter.stamp)
        if letter.target in box.held and self._has_room(letter.target):
            self.due_letters.look(partition)

    def _has_room(self, target: Address) -> bool:
        instance = self._catalog.find(target)
        if instance is None:
            return True
        return instance.queued <= instance.manager.policy.mailbox // 2

    def returned(self, partition: Partition, letter: Letter) -> None:
        """Take back a letter that was not handled; it is delivered again later."""
        box = self.letters[partition.name]
        self._take_out(box, letter)
        box.returned.add(letter.target)
        self._hold(partition, letter.target)

    def unsaved(self, partition: Partition, letter: Letter) -> None:
        """Take back a letter that was handled by a turn which could not be saved."""
        self.letters[partition.name].unsaved += 1
        self.returned(partition, letter)

    def failed(
        self, partition: Partition, letter: Letter, error: BaseException, *, final: bool
    ) -> None:
        """Store that a letter was handled in vain; bury it when that is enough."""
        tries = letter.tries + 1
        if final or tries >= self._policy.max_tries:
            self._bury(
                partition, attrs.evolve(letter, tries=tries), describe_error(error)
            )
            return
        due = self._clock.wall() + self._policy.delay_after(tries)
        self._submit(
            partition,
            (Defer(attrs.evolve(letter, tries=tries, due=due)),),
            functools.partial(self.settled, partition, letter, due),
            functools.partial(self.returned, partition, letter),
        )

    def _bury(self, partition: Partition, letter: Letter, reason: str) -> None:
        """Move a letter to the dead ones; a rule goes on with its next occurrence."""
        place = (letter.target, letter.id)
        following = self._following(partition, letter)

        def buried() -> None:
            self.settled(partition, letter, math.inf)
            self._report(partition, letter.target.manager, letter.stamp, reason)
            if following is not None:
                box = self.letters[partition.name]
                box.letters += 1
                box.named[place] = following.stamp
                self.due_letters.watch(partition, following.due)

        bury = Bury(
            partition=partition.name,
            manager=letter.target.manager,
            key=key_to_text(letter.target.key),
            id=letter.id,
            stamp=letter.stamp,
            tries=letter.tries,
            reason=reason,
            since=self._clock.wall(),
        )
        self._submit(
            partition,
            (bury,) if following is None else (bury, Post(following)),
            buried,
            functools.partial(self.returned, partition, letter),
        )

    def _following(self, partition: Partition, letter: Letter) -> Letter | None:
        due = self.again(letter)
        if due == math.inf:
            return None
        return self.stamped(partition, attrs.evolve(letter, due=due, tries=0))

    def _report(
        self, partition: Partition, manager: str, stamp: str, reason: str
    ) -> None:
        partition.counters.dead_letters += 1
        log.error(
            "letter.buried",
            extra=partition_extra(
                partition.name, manager=manager, letter=stamp, reason=reason
            ),
        )

    def again(self, letter: Letter) -> float:
        """Return when a letter comes again, Unix seconds; infinity: never."""
        if not letter.cron:
            return math.inf
        try:
            return next_due(letter.cron, max(self._clock.wall(), letter.due))
        except InvalidSchedule:  # a rule or a zone that this machine does not know
            return math.inf

    def _submit(
        self,
        partition: Partition,
        operations: tuple[Operation, ...],
        then: Callable[[], None],
        otherwise: Callable[[], None],
    ) -> None:
        def saved(future: asyncio.Future[None]) -> None:
            if future.exception() is None:
                then()
            else:
                partition.counters.save_failures += 1
                otherwise()

        unit = Unit(partition.name, partition.epoch, operations)
        future = self._writer.submit(unit)
        future.add_done_callback(saved, context=partition.context)

    def deliver_page(
        self,
        partition: Partition,
        page: Iterable[Letter | SpoiledLetter],
        still: set[Address],
    ) -> None:
        """Deliver a page of what is due; note in ``still`` who cannot get theirs."""
        box = self.letters[partition.name]
        for letter in page:
            if box.passes_over(letter):
                continue
            if isinstance(letter, SpoiledLetter):
                self._bury_spoiled(partition, letter)
                continue
            place = (letter.target, letter.id)
            if place in box.out or letter.target in still:
                continue
            try:
                message = self._unpack(letter)
            except RecordError as error:
                self.failed(partition, letter, error, final=True)
                continue
            except PodsError:  # no manager of that name has been declared here yet
                still.add(letter.target)
                continue
            if not self._hand_over(partition, letter, Envelope(message)):
                still.add(letter.target)

    def _unpack(self, letter: Letter) -> object:
        info = self._catalog.manager(letter.target.manager)
        packed = EncodedMessage(letter.message, letter.version, letter.body)
        return info.spec.wire.unpack(packed, letter.target)

    def _bury_spoiled(self, partition: Partition, letter: SpoiledLetter) -> None:
        if letter.lost:
            self._complain(partition, letter)
            return
        bury = Bury(
            partition=partition.name,
            manager=letter.manager,
            key=letter.key,
            id=letter.id,
            stamp=letter.stamp,
            tries=0,
            reason=letter.reason,
            since=self._clock.wall(),
        )

        def buried() -> None:
            box = self.letters[partition.name]
            box.letters = max(0, box.letters - 1)
            self._report(partition, letter.manager, letter.stamp, letter.reason)

        complain = functools.partial(self._complain, partition, letter)
        self._submit(partition, (bury,), buried, complain)

    def _complain(self, partition: Partition, letter: SpoiledLetter) -> None:
        """Say, once, that there is a letter which can be neither handled nor buried."""
        told = self.letters[partition.name].told
        if letter.stamp in told:
            return
        told.add(letter.stamp)
        log.error(
            "letter.damaged",
            extra=partition_extra(
                partition.name,
                manager=ascii(letter.manager),
                letter=ascii(letter.stamp),
                reason=letter.reason,
            ),
        )
