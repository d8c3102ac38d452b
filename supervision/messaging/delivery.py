"""Delivery of messages to instances: checked first, then put into a mailbox.

A message is refused before anything has changed, with an error to the sender. A send of
a turn reserves a place in the target's mailbox when the handler sends it, and fills the
place when the turn is committed.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from persistence import Address, PodsError

from ..agents import IDLE, READY, SETTLED, Envelope, Instance, Phase
from ..errors import MailboxFull, Overloaded
from ..fairness import Priority
from ..lifecycle import refuse_mail, release_waiters
from ..telemetry import end_span, partition_extra
from .deadlines import Deadlines

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

    from persistence import Clock

    from ..declaration import Message
    from ..execution import Dispatcher
    from ..lifecycle import Catalog
    from ..telemetry import Telemetry

__all__ = ["Delivery"]

log = logging.getLogger("podvisor.post")


class Delivery:
    """Checks the messages of one host and puts them into mailboxes.

    Owns the time limits of asks. A message of the outbox has a reserved place in the
    mailbox of its target until it is delivered or withdrawn. The calls, the letter
    sender, the mailroom and the commit of a turn use it.

    Args:
        catalog: finds the target.
        dispatcher: gives a turn to an instance that has mail.
        telemetry: makes the spans of messages.
        clock: monotonic time at which a message was put into a mailbox.
    """

    def __init__(
        self,
        catalog: Catalog,
        dispatcher: Dispatcher,
        telemetry: Telemetry,
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._dispatcher = dispatcher
        self._telemetry = telemetry
        self._clock = clock
        self._deadlines: dict[float, Deadlines] = {}

    def deadlines(self, seconds: float) -> Deadlines:
        """Return the time limits of the asks that wait so long, made on first use."""
        if seconds not in self._deadlines:
            self._deadlines[seconds] = Deadlines(self._clock, seconds)
        return self._deadlines[seconds]

    def close(self) -> None:
        """Fail all asks that still wait for a reply, as the host is closed."""
        for deadlines in self._deadlines.values():
            deadlines.close()

    def accept(self, instance: Instance, message: object) -> None:
        """Check that an instance takes a message now, before anything changes.

        Raises:
            NotHandled: no handler takes the message.
            MailboxFull: the mailbox has no room.
        """
        spec = instance.manager.spec
        if type(message) not in spec.handlers:
            spec.handler_for(message, instance)
        mail, reserved = instance.mail, instance.partition.reserved
        if mail is None and not reserved:
            return
        waiting = 0 if mail is None else len(mail)
        if reserved:
            waiting += reserved.get(instance.address, 0)
        if waiting >= instance.manager.policy.mailbox:
            instance.partition.counters.rejected += 1
            raise MailboxFull(instance.address, instance.manager.policy.mailbox)

    def admit(self, instance: Instance, sender: Instance | None) -> None:
        """Check that one more message may wait, before anything changes.

        Messages that a handler sends to its own children may use the host's reserve.

        Args:
            instance: the target.
            sender: the instance whose handler sends the message; ``None``: none does.

        Raises:
            Overloaded: the backlog of the partition or of the host has no room.
        """
        backlog = instance.partition.backlog
        admission = backlog.admission
        if not backlog.queued and admission.queued < admission.policy.backlog:
            return
        own = sender is not None and instance.parent is sender
        refusal = admission.look(backlog, exempt=own)
        if refusal is not None:
            instance.partition.counters.rejected += 1
            raise Overloaded(instance.address, refusal.scope, refusal.retry_after)

    def put(self, instance: Instance, envelope: Envelope) -> None:
        """Put an accepted message into the mailbox, and inform the dispatcher."""
        priority = instance.enqueue(envelope)
        if instance.phase is IDLE:
            self._dispatcher.arrive(instance)
        elif instance.phase is READY and priority is not Priority.BACKGROUND:
            self._dispatcher.hasten(instance, priority)

    def send_later(
        self,
        sender: Instance,
        address: Address,
        message: Message[object],
        priority: Priority | None = None,
    ) -> None:
        """Put a message into the outbox of the sender's turn, and reserve its place.

        Raises:
            NotHandled: no handler of the target takes the message.
            MailboxFull: the mailbox has no room.
            Overloaded: the backlog of the partition or of the host has no room.
            PodsError: the target may not start.
        """
        target = self.target_of(address)
        if not target.live:
            self._catalog.may_start(target.partition, address)
        self.accept(target, message)
        self.admit(target, sender)
        span = self.sending(target) if self.traces(sender) else None
        current = sender.current
        request = None if current is None else current.request
        reserved = target.partition.reserved
        reserved[address] = reserved.get(address, 0) + 1
        if sender.outbox is None:
            sender.outbox = []
        envelope = Envelope(message, request)
        envelope.span, envelope.priority = span, priority
        sender.outbox.append((address, envelope))

    def target_of(self, address: Address) -> Instance:
        """Return the live instance of an address, or a stopped one in its place."""
        target = self._catalog.find(address)
        if target is not None and target.live:
            return target
        info = self._catalog.manager(address.manager)
        partition = self._catalog.partition(address.partition)
        return Instance(address, info, partition, phase=Phase.STOPPED)

    def traces(self, sender: Instance | None) -> bool:
        """Return whether a message gets spans.

        Args:
            sender: the instance whose handler sends it; ``None``: none does.
        """
        telemetry = self._telemetry
        if not telemetry.tracing:
            return False
        if sender is not None and sender.current is not None:
            return telemetry.traces_all or sender.current.span is not None
        return telemetry.samples()

    def sending(self, target: Instance) -> SpanContext:
        """Record that a tell leaves for an instance; return the span's identity."""
        name, partition = target.manager.name, target.address.partition
        span = self._telemetry.sending(name, partition, ask=False)
        end_span(span)
        return span.get_span_context()

    def withdraw(self, target: Address) -> None:
        """Give back the place that a send had reserved in its target's mailbox."""
        reserved = self._catalog.partition(target.partition).reserved
        left = reserved.get(target, 0) - 1
        if left > 0:
            reserved[target] = left
        else:
            reserved.pop(target, None)

    def deliver(self, target: Address, envelope: Envelope) -> None:
        """Deliver a committed send to its target; count and log it if that fails.

        Its place was reserved when the handler sent it, so there is room. It fails if
        the target was quarantined since, or if the host shuts down.
        """
        self.withdraw(target)
        try:
            self.hand_in(self._catalog.resolve(target), envelope)
        except PodsError as error:
            partition = self._catalog.partition(target.partition)
            partition.counters.rejected += 1
            log.error(  # noqa: TRY400  the code names the cause; a traceback adds nothing
                "message.undelivered",
                extra=partition_extra(
                    target.partition, manager=target.manager, code=error.code
                ),
            )

    def hand_in(self, instance: Instance, envelope: Envelope) -> None:
        """Put an accepted tell into a mailbox, without another check of its bound."""
        instance.partition.counters.tells += 1
        envelope.enqueued = self._clock.monotonic()
        self.put(instance, envelope)

    def rehome(self, instance: Instance) -> None:
        """Move the mail and waiters of a stopped instance to its successor."""
        if not instance.mail and not instance.waiters:
            return
        try:
            successor = self._catalog.resolve(instance.address)
        except PodsError as error:
            refuse_mail(instance, error)
            release_waiters(instance, error)
            return
        while instance.mail:
            self.put(successor, instance.mail.take())
        if successor.phase in SETTLED:
            release_waiters(instance, None)
        else:
            moved, instance.waiters = instance.waiters, None
            successor.waiters = [*(successor.waiters or ()), *(moved or ())]
