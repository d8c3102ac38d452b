"""Calls of refs: handled in the caller's step if allowed, else through a mailbox."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

import attrs

from persistence import Address, Clock, Handle, PodsError

from ..agents import IDLE, STOPPED, Envelope
from ..errors import AskCycle, check_seconds
from .deadlines import Deadlines, expire

if TYPE_CHECKING:
    from ..agents import Acknowledgement, AgentRef, Extension, Instance
    from ..declaration import HandlerSpec, Message
    from ..execution import Dispatcher, Turns
    from ..fairness import Priority
    from ..lifecycle import Catalog
    from ..loop import Meter
    from ..telemetry import Telemetry
    from ..tenants import RequestContext
    from .delivery import Delivery
    from .idempotency import IdempotentRequests
    from .letter_sender import LetterSender

__all__ = ["Calls"]

_LATER = object()
"""Returned in place of a reply when an ask has to wait for its turn."""


@attrs.define(eq=False, kw_only=True)
class Calls:
    """The asks and tells of one manager's refs; the port that its refs call.

    Holds no messages: an ask waits in a mailbox or in the caller's step. What a handler
    tells, and the letters that it posts, leave with the commit of its turn. The host
    makes one for each manager.

    Attributes:
        manager: the name of the manager.
        ask_timeout: seconds that an ask waits unless it names a time of its own.
        meter: knows which handler holds the loop.
        extension: what the agent class adds to the life of its instances.
        catalog: finds instances.
        dispatcher: decides whether a turn may run in its caller's step.
        turns: runs such a turn.
        telemetry: makes the spans of messages.
        delivery: puts messages into mailboxes.
        letters: sends durable messages.
        requests: answers requests with an idempotency key.
        clock: timers of the asks with a time limit of their own.
    """

    manager: str
    ask_timeout: float
    meter: Meter[Instance]
    extension: Extension | None
    catalog: Catalog
    dispatcher: Dispatcher
    turns: Turns
    telemetry: Telemetry
    delivery: Delivery
    letters: LetterSender
    requests: IdempotentRequests
    clock: Clock
    _deadlines: Deadlines = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._deadlines = self.delivery.deadlines(self.ask_timeout)

    async def ask(
        self,
        ref: AgentRef[object],
        message: Message[object],
        seconds: float | None,
        priority: Priority | None,
        delivery: Acknowledgement | None = None,
    ) -> object:
        """Deliver a message, and return the reply once its turn has ended.

        Args:
            ref: the ref that is called.
            message: the message.
            seconds: how long to wait, above 0; ``None``: ``ask_timeout``.
            priority: how urgent it is; ``None``: as its handler declares.
            delivery: what is told how the turn ended; ``None``: nothing.

        Raises:
            AskTimeout: no reply came in time.
            AskCycle: the target waits for a reply of the caller.
            PodsError: the message was refused, or its turn failed.
        """
        if seconds is not None:
            check_seconds(seconds)
        instance, spec = self._target(ref, message, delivery)
        request = ref.request if ref.caller is None else _request_of(ref)
        envelope = Envelope(message, request)
        if delivery is not None or priority is not None:
            envelope.delivery, envelope.priority = delivery, priority
        telemetry, caller = self.telemetry, ref.caller
        if telemetry.tracing and (
            telemetry.samples() if caller is None else self.delivery.traces(caller)
        ):
            name, tenant = self.manager, instance.address.partition
            with telemetry.asking(name, tenant) as envelope.span:
                value = self._at_once(instance, spec, envelope)
                if value is _LATER or envelope.reply is not None:
                    return await self._later(ref, instance, envelope, seconds)
                return value
        partition = instance.partition
        if (  # the test of ``_at_once``, repeated here to save a call
            instance.phase is IDLE
            and spec.direct
            and self.dispatcher.may_inline(partition.backlog)
        ):
            partition.counters.asks += 1
            value = self.turns.inline(instance, spec, envelope)
            if envelope.reply is None:
                return value
        return await self._later(ref, instance, envelope, seconds)

    def _waits_for_next_pass(self, instance: Instance, envelope: Envelope) -> bool:
        """Return whether an ask that may not run now waits for the next loop pass.

        It does if its partition has used its part of this pass and no other turn waits:
        the next pass is then cheaper to wait for than a seat.
        """
        backlog = instance.partition.backlog
        return envelope.delivery is None and self.dispatcher.spent(backlog)

    def _target(
        self, ref: AgentRef[object], message: object, delivery: Acknowledgement | None
    ) -> tuple[Instance, HandlerSpec]:
        """Return the target instance and the handler of a message.

        Raises:
            NotHandled: no handler takes the message.
            PodsError: the instance may not start.
        """
        try:
            instance = ref.instance
            if instance is None or instance.phase is STOPPED:
                instance = ref.instance = self.catalog.resolve(ref.address)
            spec = instance.manager.spec.handlers.get(type(message))
            if spec is None or instance.partition.moved is not None:
                spec = instance.manager.spec.handler_for(message, instance)
        except PodsError:
            if delivery is not None:
                delivery.returned()
            raise
        return instance, spec

    async def ask_once(
        self,
        ref: AgentRef[object],
        message: Message[object],
        seconds: float | None,
        priority: Priority | None,
        key: str,
    ) -> object:
        """Deliver a message that is handled once for its key; wait for the reply.

        Args:
            ref: the ref that is called.
            message: the request.
            seconds: how long to wait, above 0; ``None``: ``ask_timeout``.
            priority: how urgent it is; ``None``: as its handler declares.
            key: the idempotency key.

        Raises:
            IdempotencyMismatch: the key was used for another request.
            UnstorableMessage: the request or its reply has no stored form.
            AskTimeout: no reply came in time.
            PodsError: the message was refused, or its turn failed.
        """
        if seconds is None:
            seconds = self.ask_timeout
        return await self.requests.ask(
            ref.address,
            message,
            key,
            check_seconds(seconds),
            functools.partial(self.ask, ref, message, seconds, priority),
        )

    async def post(self, ref: AgentRef[object], message: Message[object]) -> None:
        """Post a durable message; from inside a turn, with the turn's commit.

        Raises:
            NotHandled: the target has no handler for the message.
            UnstorableMessage: the message has no stored form.
            MailroomFull: the partition has too many letters.
            StoreError: the letter could not be stored; not raised inside a turn.
        """
        if ref.caller is not None and ref.caller.running is not None:
            self.letters.stage(ref.caller, ref.address, message)
        else:
            await self.letters.store(ref.address, message)

    def _at_once(
        self, instance: Instance, spec: HandlerSpec, envelope: Envelope
    ) -> object:
        """Handle an ask in the caller's step if allowed; it takes no mailbox place.

        Returns:
            The reply, unless the envelope has a future for it now; ``_LATER``: the ask
            was not handled.
        """
        if instance.phase is IDLE and spec.direct:
            partition = instance.partition
            if self.dispatcher.may_inline(partition.backlog):
                partition.counters.asks += 1
                return self.turns.inline(instance, spec, envelope)
        return _LATER

    async def _later(
        self,
        ref: AgentRef[object],
        instance: Instance,
        envelope: Envelope,
        seconds: float | None,
    ) -> object:
        """Wait for the reply of a turn that is being committed or has not begun."""
        if envelope.reply is None and self._waits_for_next_pass(instance, envelope):
            await asyncio.sleep(0)
            instance, spec = self._target(ref, envelope.message, None)
            value = self._at_once(instance, spec, envelope)
            if value is not _LATER and envelope.reply is None:
                return value
        reply, caller, parked = envelope.reply, ref.caller, False
        if reply is None:
            reply = self._queue(instance, envelope, caller)
            parked = caller is not None and self.dispatcher.park(caller)
        timer: Handle | None = None
        if seconds is None:
            self._deadlines.add(envelope, instance.address)
        else:
            late = functools.partial(expire, envelope, instance.address, seconds)
            timer = self.clock.call_later(seconds, late)
        try:
            return await reply
        finally:
            if timer is None:
                self._deadlines.remove(envelope)
            else:
                timer.cancel()
            if parked and caller is not None:
                # The caller's turn goes on, cancelled or not, and needs its seat.
                await self.dispatcher.unpark(caller)  # noqa: ASYNC102  see above

    def tell(
        self,
        ref: AgentRef[object],
        message: Message[object],
        priority: Priority | None,
        *,
        hurry: bool,
    ) -> bool:
        """Deliver a message; from inside a turn, when the turn is committed.

        Args:
            ref: the ref that is called.
            message: the message.
            priority: how urgent it is; ``None``: as its handler declares.
            hurry: whether to queue the message though its partition has used its part
                of this loop pass.

        Returns:
            Whether it was delivered; ``False``: the part of the pass is used, and
            nothing has changed.

        Raises:
            PodsError: the message was refused, before anything changed.
        """
        if ref.caller is not None and ref.caller.running is not None:
            self.delivery.send_later(ref.caller, ref.address, message, priority)
            return True
        instance, spec = self._target(ref, message, None)
        envelope = Envelope(message, ref.request)
        envelope.priority = priority
        if self.telemetry.tracing and self.delivery.traces(None):
            envelope.span = self.delivery.sending(instance)
        elif (
            instance.phase is IDLE
            and spec.direct
            and not instance.partition.reserved
            and self.dispatcher.may_inline(instance.partition.backlog)
        ):
            instance.partition.counters.tells += 1
            self.turns.inline_tell(instance, spec, envelope)
            return True
        elif not hurry and self.dispatcher.spent(instance.partition.backlog):
            return False
        self.delivery.accept(instance, message)
        self.delivery.admit(instance, None)
        self.delivery.hand_in(instance, envelope)
        return True

    def find(self, address: Address) -> Instance | None:
        """Return the instance at an address, in any phase; ``None``: there is none."""
        return self.catalog.find(address)

    def attach(self, ref: AgentRef[object], by: int) -> None:
        """Change the number of attachments of an address; zero removes the entry.

        Args:
            ref: a ref with the address.
            by: 1 to add an attachment, -1 to remove one.
        """
        partition = (
            self.catalog.resolve(ref.address).partition
            if by > 0
            else self.catalog.partition(ref.address.partition)
        )
        held = partition.attached.get(ref.address, 0) + by
        if held > 0:
            partition.attached[ref.address] = held
        else:
            partition.attached.pop(ref.address, None)

    def _queue(
        self, instance: Instance, envelope: Envelope, caller: Instance | None
    ) -> asyncio.Future[object]:
        """Put an ask into the mailbox; return the future of its reply.

        Raises:
            PodsError: the mailbox or the backlog refused it.
        """
        try:
            self.delivery.accept(instance, envelope.message)
            self.delivery.admit(instance, caller)
            _join_chain(envelope, instance, caller)
        except PodsError as error:
            envelope.refuse(error)
            raise
        reply: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        envelope.reply = reply
        instance.partition.counters.asks += 1
        envelope.enqueued = self.clock.monotonic()
        self.delivery.put(instance, envelope)
        return reply


def _join_chain(
    envelope: Envelope, instance: Instance, caller: Instance | None
) -> None:
    """Record the instances that wait for the reply, if a handler asks.

    Raises:
        AskCycle: the target waits for this reply itself.
    """
    if caller is not None and caller.running is not None:
        before = () if caller.current is None else caller.current.chain
        envelope.chain = (*before, caller.address)
        if instance.address in envelope.chain:
            raise AskCycle(instance.address, envelope.chain)


def _request_of(ref: AgentRef[object]) -> RequestContext | None:
    """Return the request context of a message: that of the turn, if there is one.

    The context of the ref would be wrong in a turn: an agent may keep a ref from one
    turn to the next, which may serve another request.
    """
    caller = ref.caller
    if caller is not None and caller.current is not None:
        return caller.current.request
    return ref.request
