"""Durable messages and timers: rows until the turn that handled them is committed.

A letter is posted in the commit of the turn that sends it and taken in the commit of
the turn that handles it. In between it is a row. If it is due and its target has room,
it is in the target's mailbox as well. ``DueLetters`` finds the others by reading the
partition's letters in the order in which they are due: after a start, when a timer
fires, and when a target that had no room has some.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import attrs

from persistence import (
    Address,
    Defer,
    Letter,
    Operation,
    PodsError,
    Post,
    RecordError,
    SpoiledLetter,
    Unit,
)

from ..agents import Envelope, Schedule, Timing, next_due, schedule_of
from ..declaration import EncodedMessage
from ..errors import InvalidSchedule, MailroomFull, describe_error
from .dead_letters import bury_letter, bury_spoiled, count_buried, log_damaged
from .staged_letters import (
    CancelledTimer,
    IncomingLetter,
    OutgoingLetter,
    clear_place,
    recall_letter,
)

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from persistence import Clock, Writer

    from ..agents import Instance, Partition
    from ..lifecycle import Catalog
    from .due_letters import DueLetters
    from .partition_letters import Place

__all__ = ["Mailroom"]


class Mailroom:
    """Posts, delivers, defers and buries the letters of one host.

    Each stored letter is in one mailbox or turn at most, and its row stays until it is
    handled or buried. The letter sender, staged letters and the host use it.

    Args:
        catalog: finds targets and reads the store.
        writer: stores what happens to a letter outside of a turn.
        hand_in: puts a message into a mailbox.
        due_letters: reads the letters that are in no mailbox, and calls
            ``deliver_page`` with them.
        clock: wall time, for timers.

    Attributes:
        letters: what memory knows of the letters of each partition, by partition id.
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
        """Prepare a letter, which is posted with the commit that it is staged for.

        Args:
            target: the live instance, or one that stands for it.
            envelope: the message and what it carries.
            sender: address of the instance that posts it; ``None``: none does.
            timing: when it is due; ``None``: at once.
            name: name of a timer; empty: it has none.

        Raises:
            NotHandled: the target has no handler for the message.
            UnstorableMessage: the message has no stored form.
            MailroomFull: the partition has too many letters.
        """
        target.manager.spec.handler_for(envelope.message, target)
        packed = target.manager.spec.wire.pack(envelope.message, target.address)
        known = self.letters[target.partition.name]
        if known.letters + known.staged >= self._policy.max_letters:
            target.partition.counters.rejected += 1
            raise MailroomFull(target.address, self._policy.max_letters)
        known.staged += 1
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
        """Return a letter with its stamp, its place in the order of its partition."""
        known = self.letters[partition.name]
        stamp = self._next_stamp(partition)
        known.serial += 1
        return attrs.evolve(
            letter, stamp=stamp, id=letter.id or stamp, sent=self._clock.wall()
        )

    def _next_stamp(self, partition: Partition) -> str:
        """Return the stamp of the next letter; each letter and claim raises it."""
        serial = self.letters[partition.name].serial + 1
        return f"{partition.epoch:08x}-{serial:010x}"

    def posted(self, partition: Partition, letter: Letter, envelope: Envelope) -> None:
        """Deliver a letter that is stored now, or schedule its delivery."""
        known = self.letters[partition.name]
        place = (letter.target, letter.id)
        recall_letter(known, place)
        if place not in known.named:
            known.letters += 1
        if letter.id != letter.stamp:
            known.named[place] = letter.stamp
            known.overtake(place, letter.stamp)
        if letter.due > self._clock.wall():
            self.due_letters.watch(partition, letter.due)
        elif known.keeps(letter.target):
            known.again = True  # older letters are before it, and will be read anyway
        else:
            self._hand_over(partition, letter, envelope)

    def call_off(self, partition: Partition, place: Place) -> CancelledTimer:
        """Prepare to remove a timer with a commit."""
        return CancelledTimer(self, partition, place)

    async def schedules(self, target: Address) -> tuple[Schedule, ...]:
        """Return the timers of an instance that have a name, the next one first."""
        limit = self._policy.max_letters
        letters = await self._catalog.read(
            lambda store: store.mail(target, limit=limit), partition=target.partition
        )
        found = [schedule_of(letter) for letter in letters]
        return tuple(schedule for schedule in found if schedule is not None)

    def called_off(self, partition: Partition, place: Place) -> None:
        """Forget a timer whose row was removed."""
        known = self.letters[partition.name]
        recall_letter(known, place)
        known.overtake(place, self._next_stamp(partition))
        if (stamp := known.named.get(place)) is not None:
            known.forget(place, stamp)

    # Delivering.

    def _hand_over(
        self, partition: Partition, letter: Letter, envelope: Envelope
    ) -> bool:
        """Put a stored letter into its target's mailbox; return False if it is held."""
        known = self.letters[partition.name]
        try:
            instance = self._catalog.resolve(letter.target)
        except PodsError:  # the target may not start now, or has no manager here
            return self._hold(partition, letter.target)
        if instance.queued >= instance.manager.policy.mailbox:
            return self._hold(partition, letter.target)
        envelope.delivery = IncomingLetter(self, partition, letter)
        known.out[letter.target, letter.id] = envelope
        self._hand_in(instance, envelope)
        return True

    def _hold(self, partition: Partition, target: Address) -> bool:
        self.letters[partition.name].held.add(target)
        self.due_letters.retry(partition)
        return False

    def settled(self, partition: Partition, letter: Letter, again: float) -> None:
        """Record that a letter was handled, and watch its next due time, if any.

        Args:
            partition: the partition of the letter.
            letter: the letter.
            again: when it is due again, Unix seconds; infinity: never.
        """
        known = self.letters[partition.name]
        clear_place(known, letter)
        if again < math.inf:
            if known.settled is not None:
                known.settled.add(letter.stamp)
            self.due_letters.watch(partition, again)
        else:
            known.forget((letter.target, letter.id), letter.stamp)
        if letter.target in known.held and self._has_room(letter.target):
            self.due_letters.look(partition)

    def _has_room(self, target: Address) -> bool:
        instance = self._catalog.find(target)
        if instance is None:
            return True
        return instance.queued <= instance.manager.policy.mailbox // 2

    def returned(self, partition: Partition, letter: Letter) -> None:
        """Hold a letter that came back without being handled, for another delivery."""
        known = self.letters[partition.name]
        clear_place(known, letter)
        known.returned.add(letter.target)
        self._hold(partition, letter.target)

    def unsaved(self, partition: Partition, letter: Letter) -> None:
        """Hold a letter that came back from a turn which could not be saved."""
        self.letters[partition.name].unsaved += 1
        self.returned(partition, letter)

    def failed(
        self, partition: Partition, letter: Letter, error: BaseException, *, final: bool
    ) -> None:
        """Store that a try of a letter failed; bury the letter after its last try."""
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
        """Move a letter to the dead letters; a rule continues with its next time."""
        place = (letter.target, letter.id)
        following = self._following(partition, letter)

        def buried() -> None:
            self.settled(partition, letter, math.inf)
            count_buried(partition, letter.target.manager, letter.stamp, reason)
            if following is not None:
                known = self.letters[partition.name]
                known.letters += 1
                known.named[place] = following.stamp
                self.due_letters.watch(partition, following.due)

        now = self._clock.wall()
        bury = bury_letter(partition.name, letter, reason, now)
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

    def again(self, letter: Letter) -> float:
        """Return when a letter is due again, Unix seconds; infinity: never."""
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
        """Deliver a page of letters that are due.

        Args:
            partition: the partition of the letters.
            page: letters in the order of (due, stamp).
            still: targets that cannot be delivered to; this call adds to them.
        """
        known = self.letters[partition.name]
        for letter in page:
            if known.passes_over(letter):
                continue
            if isinstance(letter, SpoiledLetter):
                self._bury_spoiled(partition, letter)
                continue
            place = (letter.target, letter.id)
            if place in known.out or letter.target in still:
                continue
            try:
                message = self._unpack(letter)
            except RecordError as error:
                self.failed(partition, letter, error, final=True)
                continue
            except PodsError:  # its manager has not been declared on this host yet
                still.add(letter.target)
                continue
            if not self._hand_over(partition, letter, Envelope(message)):
                still.add(letter.target)

    def _unpack(self, letter: Letter) -> object:
        info = self._catalog.manager(letter.target.manager)
        packed = EncodedMessage(letter.message, letter.version, letter.body)
        return info.spec.wire.unpack(packed, letter.target)

    def _bury_spoiled(self, partition: Partition, letter: SpoiledLetter) -> None:
        known = self.letters[partition.name]
        if letter.lost:
            log_damaged(partition, known, letter)
            return

        def buried() -> None:
            known.letters = max(0, known.letters - 1)
            count_buried(partition, letter.manager, letter.stamp, letter.reason)

        self._submit(
            partition,
            (bury_spoiled(partition.name, letter, self._clock.wall()),),
            buried,
            functools.partial(log_damaged, partition, known, letter),
        )
