"""How refs deliver: at once if it may be, else through a mailbox and a turn."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

from persistence import Handle, PodsError

from ..agents import IDLE, STOPPED, Envelope
from ..errors import AskCycle, check_seconds
from .deadlines import Deadlines, expire

if TYPE_CHECKING:
    from ..agents import Acknowledgement, AgentRef, Instance, ManagerInfo
    from ..declaration import HandlerSpec, Message
    from ..fairness import Priority
    from ..host import Runtime
    from ..tenants import RequestContext

__all__ = ["Calls"]

_LATER = object()
"""Stands for the reply to an ask that has to wait for its turn."""


class Calls:
    """The half of a manager that its refs call; the other half makes the fields."""

    _runtime: Runtime
    _info: ManagerInfo
    _deadlines: Deadlines

    async def ask(
        self,
        ref: AgentRef[object],
        message: Message[object],
        seconds: float | None,
        priority: Priority | None,
        delivery: Acknowledgement | None = None,
    ) -> object:
        """Deliver a message and wait for the reply."""
        runtime = self._runtime
        if seconds is not None:
            check_seconds(seconds)
        instance, spec = self._target(ref, message, delivery)
        request = ref.request if ref.caller is None else _request_of(ref)
        envelope = Envelope(message, request)
        if delivery is not None or priority is not None:
            envelope.delivery, envelope.priority = delivery, priority
        telemetry, caller = runtime.telemetry, ref.caller
        if telemetry.tracing and (
            telemetry.samples() if caller is None else runtime.post.traces(caller)
        ):
            name, tenant = self._info.name, instance.address.partition
            with telemetry.asking(name, tenant) as envelope.span:
                value = self._at_once(instance, spec, envelope)
                if value is _LATER or envelope.reply is not None:
                    return await self._later(ref, instance, envelope, seconds)
                return value
        partition = instance.partition
        if (  # as ``_at_once`` has it, with a call less
            instance.phase is IDLE
            and spec.direct
            and runtime.dispatcher.may_inline(partition.backlog)
        ):
            partition.counters.asks += 1
            value = runtime.turns.inline(instance, spec, envelope)
            if envelope.reply is None:
                return value
        return await self._later(ref, instance, envelope, seconds)

    def _goes_round(self, instance: Instance, envelope: Envelope) -> bool:
        """Say whether an ask that may not run now waits for the next pass of the loop.

        Its partition has had its part of this one, and nobody waits: the next pass is
        cheaper to wait for than a seat.
        """
        backlog = instance.partition.backlog
        return envelope.delivery is None and self._runtime.dispatcher.spent(backlog)

    def _target(
        self, ref: AgentRef[object], message: object, delivery: Acknowledgement | None
    ) -> tuple[Instance, HandlerSpec]:
        """Find who is asked, and the handler.

        Raises:
            NotHandled: no handler takes it.
            PodsError: it may not start.
        """
        try:
            instance = ref.instance
            if instance is None or instance.phase is STOPPED:
                instance = ref.instance = self._runtime.resolve(ref.address)
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
        """Deliver a message that is handled once, and wait for the reply."""
        if seconds is None:
            seconds = self._info.policy.ask_timeout
        return await self._runtime.requests.ask(
            ref.address,
            message,
            key,
            check_seconds(seconds),
            functools.partial(self.ask, ref, message, seconds, priority),
        )

    async def post(self, ref: AgentRef[object], message: Message[object]) -> None:
        """Deliver a durable message; from inside a turn, with its commit."""
        post = self._runtime.post
        if ref.caller is not None and ref.caller.running is not None:
            post.post_later(ref.caller, ref.address, message)
        else:
            await post.post_now(ref.address, message)

    def _at_once(
        self, instance: Instance, spec: HandlerSpec, envelope: Envelope
    ) -> object:
        """Handle an ask here and now, if it may be; it needs no room in the mailbox.

        Returns:
            The reply, unless the envelope has a future of it now; ``_LATER``: it was
            not handled.
        """
        if instance.phase is IDLE and spec.direct:
            runtime, partition = self._runtime, instance.partition
            if runtime.dispatcher.may_inline(partition.backlog):
                partition.counters.asks += 1
                return runtime.turns.inline(instance, spec, envelope)
        return _LATER

    async def _later(
        self,
        ref: AgentRef[object],
        instance: Instance,
        envelope: Envelope,
        seconds: float | None,
    ) -> object:
        """Wait for a reply: that of a commit, or that of a turn that is to come."""
        if envelope.reply is None and self._goes_round(instance, envelope):
            await asyncio.sleep(0)
            instance, spec = self._target(ref, envelope.message, None)
            value = self._at_once(instance, spec, envelope)
            if value is not _LATER and envelope.reply is None:
                return value
        reply, caller, parked = envelope.reply, ref.caller, False
        if reply is None:
            reply = self._queue(instance, envelope, caller)
            parked = caller is not None and self._runtime.dispatcher.park(caller)
        timer: Handle | None = None
        if seconds is None:
            self._deadlines.add(envelope, instance.address)
        else:
            late = functools.partial(expire, envelope, instance.address, seconds)
            timer = self._runtime.clock.call_later(seconds, late)
        try:
            return await reply
        finally:
            if timer is None:
                self._deadlines.remove(envelope)
            else:
                timer.cancel()
            if parked and caller is not None:
                # The turn goes on, cancelled or not, and needs its seat for that.
                await self._runtime.dispatcher.unpark(caller)  # noqa: ASYNC102  see above

    def tell(
        self,
        ref: AgentRef[object],
        message: Message[object],
        priority: Priority | None,
        *,
        hurry: bool,
    ) -> bool:
        """Deliver a message; from inside a turn, when the turn is committed."""
        runtime = self._runtime
        if ref.caller is not None and ref.caller.running is not None:
            runtime.post.send_later(ref.caller, ref.address, message, priority)
            return True
        instance, spec = self._target(ref, message, None)
        envelope = Envelope(message, ref.request)
        envelope.priority = priority
        if runtime.telemetry.tracing and runtime.post.traces(None):
            envelope.span = runtime.post.sending(instance)
        elif (
            instance.phase is IDLE
            and spec.direct
            and not instance.partition.reserved
            and runtime.dispatcher.may_inline(instance.partition.backlog)
        ):
            instance.partition.counters.tells += 1
            runtime.turns.inline_tell(instance, spec, envelope)
            return True
        elif not hurry and runtime.dispatcher.spent(instance.partition.backlog):
            return False
        runtime.post.accept(instance, message)
        runtime.post.admit(instance, None)
        runtime.post.hand_in(instance, envelope)
        return True

    def _queue(
        self, instance: Instance, envelope: Envelope, caller: Instance | None
    ) -> asyncio.Future[object]:
        """Let an ask wait in the mailbox; return what becomes its reply.

        Raises:
            PodsError: it may not wait there.
        """
        runtime = self._runtime
        try:
            runtime.post.accept(instance, envelope.message)
            runtime.post.admit(instance, caller)
            _join_chain(envelope, instance, caller)
        except PodsError as error:
            envelope.refuse(error)
            raise
        reply: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        envelope.reply = reply
        instance.partition.counters.asks += 1
        envelope.enqueued = runtime.clock.monotonic()
        runtime.post.put(instance, envelope)
        return reply


def _join_chain(
    envelope: Envelope, instance: Instance, caller: Instance | None
) -> None:
    """Note who waits for the answer, if a handler does.

    Raises:
        AskCycle: the one that is asked waits for this answer itself.
    """
    if caller is not None and caller.running is not None:
        before = () if caller.current is None else caller.current.chain
        envelope.chain = (*before, caller.address)
        if instance.address in envelope.chain:
            raise AskCycle(instance.address, envelope.chain)


def _request_of(ref: AgentRef[object]) -> RequestContext | None:
    """Return the request that a message speaks for: that of the turn, if there is one.

    An agent may keep a ref from one turn to the next, which serves somebody else.
    """
    caller = ref.caller
    if caller is not None and caller.current is not None:
        return caller.current.request
    return ref.request
