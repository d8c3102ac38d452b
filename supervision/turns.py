"""Turns: an instance handles mail, and all of it takes effect or nothing.

A message's handler works on the agent's own fields. Before it runs, what they hold is
marked; if it raises, they are put back and what it wanted sent is dropped. At the end
of the turn the new state goes to the writer as one unit, and only when that is durable
do the replies and the sends leave (with ``Durability.TURN``).
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

import attrs

from persistence import (
    Address,
    Clock,
    PodsError,
    StaleOwner,
    StaleRevision,
    UnstorableState,
    Writer,
)

from .failures import as_told
from .instance import Instance
from .mailbox import Envelope
from .messages import HandlerSpec
from .phases import Phase
from .states import Mark, keep, mark, restore, save_unit, stored
from .telemetry import STAMP, Telemetry

__all__ = ["Hooks", "Turns"]

Coroutine: TypeAlias = Callable[..., Awaitable[object]]


class Hooks(Protocol):
    """What happens around a turn; the lifecycle and the supervisor provide it."""

    def settled(self, instance: Instance) -> None:
        """Go on with an instance whose turn is over."""
        ...

    def crashed(self, instance: Instance, error: BaseException, where: str) -> None:
        """Deal with an instance whose handler crashed; its state is put back."""
        ...

    def stale(self, instance: Instance, error: PodsError) -> None:
        """Deal with an instance whose row belongs to somebody else now."""
        ...

    def deliver(self, target: Address, envelope: Envelope) -> None:
        """Let a message leave that a committed turn has sent."""
        ...

    def withdraw(self, target: Address) -> None:
        """Forget a message that a turn wanted sent and that was undone."""
        ...


@attrs.define(eq=False)
class _Turn:
    """What one turn has gathered so far."""

    instance: Instance
    start: Mark
    start_dirty: bool
    answers: list[tuple[Envelope, object]] = attrs.field(
        factory=list[tuple[Envelope, object]]
    )
    outbox: list[tuple[Address, Envelope]] = attrs.field(
        factory=list[tuple[Address, Envelope]]
    )
    changed: bool = False
    crash: tuple[BaseException, str] | None = None


class Turns:
    """Runs the handlers of one host's agents."""

    def __init__(
        self,
        writer: Writer,
        telemetry: Telemetry,
        clock: Clock,
        hooks: Hooks,
        quantum: float,
    ) -> None:
        self._writer = writer
        self._telemetry = telemetry
        self._clock = clock
        self._hooks = hooks
        self._quantum = quantum

    def inline(
        self, instance: Instance, spec: HandlerSpec, envelope: Envelope
    ) -> object | asyncio.Future[object]:
        """Handle one message of an idle instance in the caller's own step.

        Returns:
            The reply, or a future of it if the turn has something to commit.
        """
        instance.phase = Phase.RUNNING
        instance.outbox = None
        turn = _Turn(instance, mark(instance), instance.dirty)
        value = self._step(turn, spec, envelope, inline=True)
        if not turn.answers:
            self._finish(turn)
            raise _failure(value)
        if (turn.changed or turn.start_dirty) and instance.kind.each_turn:
            reply = envelope.reply = asyncio.get_running_loop().create_future()
            self._finish(turn)
            return reply
        self._finish(turn)
        return value

    def begins_sync(self, instance: Instance) -> bool:
        """Say whether the next message needs no worker."""
        if not instance.mail:
            return True
        message = instance.mail.head().message
        return instance.kind.spec.handler_for(message, instance).coroutine is None

    def run_sync(self, instance: Instance) -> None:
        """Handle the mail at the head whose handlers are ``def``."""
        turn = self._begin(instance)
        end = self._clock.monotonic() + self._quantum
        for _ in range(instance.kind.policy.batch):
            if not (envelope := self._next(instance, only_sync=True)):
                break
            spec = instance.kind.spec.handler_for(envelope.message, instance)
            self._refuse_or_go_on(turn, envelope, self._step(turn, spec, envelope))
            if turn.crash is not None or self._used_up(instance, end):
                break
        self._finish(turn)

    async def run_async(self, instance: Instance) -> None:
        """Handle mail in a worker's task, whatever its handlers are."""
        turn = self._begin(instance)
        STAMP.set(instance.partition.name)  # the worker takes it off again
        end = self._clock.monotonic() + self._quantum
        try:
            for _ in range(instance.kind.policy.batch):
                if not (envelope := self._next(instance, only_sync=False)):
                    break
                spec = instance.kind.spec.handler_for(envelope.message, instance)
                value = (
                    self._step(turn, spec, envelope)
                    if spec.coroutine is None
                    else await self._step_async(turn, spec, spec.coroutine, envelope)
                )
                self._refuse_or_go_on(turn, envelope, value)
                if turn.crash is not None or _cancelled():
                    break
                if self._used_up(instance, end):
                    break
        finally:
            self._finish(turn)

    async def hook(
        self,
        instance: Instance,
        hook: Callable[[], Awaitable[None]],
        name: str,
        limit: float,
    ) -> BaseException | None:
        """Run ``on_start`` or ``on_stop`` as a turn; return why it failed, if it did.

        What it changed is saved before anybody is told that it is over.
        """
        turn = self._begin(instance)
        instance.running = name
        STAMP.set(instance.partition.name)
        try:
            async with asyncio.timeout(limit):
                await hook()
            turn.changed |= keep(instance, turn.start)
            if turn.changed:
                instance.dirty = instance.kind.stored
                if instance.kind.each_turn:
                    await self._writer.submit(save_unit(instance))
                    stored(instance)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: ASYNC103, BLE001  a hook harms its own instance only
            self._undo(turn, turn.start)
            instance.dirty = turn.start_dirty
            return error  # noqa: ASYNC104  the pool sees to a real cancellation
        finally:
            instance.running = None
        for target, message in instance.outbox or ():
            self._hooks.deliver(target, message)
        instance.outbox = None
        return None

    def _begin(self, instance: Instance) -> _Turn:
        instance.outbox = None
        return _Turn(instance, mark(instance), instance.dirty)

    def _next(self, instance: Instance, *, only_sync: bool) -> Envelope | None:
        while instance.mail:
            envelope = instance.mail.head()
            if not envelope.abandoned and only_sync:
                spec = instance.kind.spec.handler_for(envelope.message, instance)
                if spec.coroutine is not None:
                    return None
            instance.mail.take()
            if instance.draining:
                instance.draining -= 1
            if not envelope.abandoned:
                return envelope
        return None

    def _used_up(self, instance: Instance, end: float) -> bool:
        """Say whether a turn takes no further message; no clock is read for nothing."""
        return bool(instance.mail) and self._clock.monotonic() >= end

    def _refuse_or_go_on(self, turn: _Turn, envelope: Envelope, value: object) -> None:
        if not turn.answers or turn.answers[-1][0] is not envelope:
            envelope.fail(_failure(value))

    def _step(
        self,
        turn: _Turn,
        spec: HandlerSpec,
        envelope: Envelope,
        *,
        inline: bool = False,
    ) -> object:
        """Handle one message; return its reply or, if it failed, its error."""
        instance = turn.instance
        before = mark(instance) if turn.answers else turn.start
        instance.current, instance.running = envelope, spec.name
        context = instance.partition.context.copy()
        try:
            value = (
                context.run(self._traced, spec, instance, envelope, ask=inline)
                if self._telemetry.tracing
                else context.run(spec.function, instance.the_agent(), envelope.message)
            )
            turn.changed |= keep(instance, before)
        except KeyboardInterrupt:
            self._undo(turn, before)
            self._over(instance)
            raise
        except BaseException as error:  # noqa: ASYNC103, BLE001  a turn's promise: no handler harms the loop
            return self._failed(turn, before, spec, error)  # noqa: ASYNC104  as above
        return self._succeeded(turn, envelope, value)

    async def _step_async(
        self,
        turn: _Turn,
        spec: HandlerSpec,
        coroutine: Coroutine,
        envelope: Envelope,
    ) -> object:
        instance = turn.instance
        before = mark(instance) if turn.answers else turn.start
        instance.current, instance.running = envelope, spec.name
        try:
            value = await (
                self._traced_async(coroutine, instance, envelope)
                if self._telemetry.tracing
                else coroutine(instance.the_agent(), envelope.message)
            )
            turn.changed |= keep(instance, before)
        except KeyboardInterrupt:
            self._undo(turn, before)
            raise
        except BaseException as error:  # noqa: ASYNC103, BLE001  as above
            return self._failed(turn, before, spec, error)  # noqa: ASYNC104  the pool sees to a real cancellation
        return self._succeeded(turn, envelope, value)

    def _traced(
        self, spec: HandlerSpec, instance: Instance, envelope: Envelope, *, ask: bool
    ) -> object:
        with self._telemetry.processing(
            instance.kind.name,
            instance.address.partition,
            envelope.span,
            ask=ask or envelope.reply is not None,
        ):
            return spec.function(instance.the_agent(), envelope.message)

    async def _traced_async(
        self, coroutine: Coroutine, instance: Instance, envelope: Envelope
    ) -> object:
        with self._telemetry.processing(
            instance.kind.name,
            instance.address.partition,
            envelope.span,
            ask=envelope.reply is not None,
        ):
            return await coroutine(instance.the_agent(), envelope.message)

    def _succeeded(self, turn: _Turn, envelope: Envelope, value: object) -> object:
        instance = turn.instance
        instance.partition.counters.handled += 1
        turn.answers.append((envelope, value))
        if instance.outbox:
            turn.outbox.extend(instance.outbox)
            instance.outbox = None
        return value

    def _failed(
        self, turn: _Turn, before: Mark, spec: HandlerSpec, error: BaseException
    ) -> BaseException:
        """Undo the message; say what its asker is told."""
        instance = turn.instance
        self._undo(turn, before)
        instance.partition.counters.failed += 1
        answered = isinstance(error, (*spec.raises, UnstorableState))
        if not answered:
            turn.crash = (error, spec.name)
        return as_told(error, instance.address, spec.name)

    def _undo(self, turn: _Turn, before: Mark) -> None:
        self._withdraw(turn.instance.outbox)
        turn.instance.outbox = None
        restore(turn.instance, before)

    def _withdraw(self, outbox: list[tuple[Address, Envelope]] | None) -> None:
        for target, _ in outbox or ():
            self._hooks.withdraw(target)

    def _finish(self, turn: _Turn) -> None:
        """Commit what the turn did, then let its answers and sends leave."""
        instance = turn.instance
        instance.current = instance.running = None
        instance.used = self._clock.monotonic()
        if turn.changed:
            instance.dirty = instance.kind.stored
        if not (instance.dirty and instance.kind.each_turn):
            self._release(turn)
            return
        instance.phase = Phase.COMMITTING
        self._writer.submit(save_unit(instance)).add_done_callback(
            functools.partial(self._committed, turn),
            context=instance.partition.context,
        )

    def _committed(self, turn: _Turn, saved: asyncio.Future[None]) -> None:
        instance = turn.instance
        error = saved.exception()
        if error is None:
            stored(instance)
            self._release(turn)
            return
        instance.partition.counters.save_failures += 1
        restore(instance, turn.start)
        instance.dirty = turn.start_dirty
        self._withdraw(turn.outbox)
        for envelope, _ in turn.answers:
            envelope.fail(error)
        if isinstance(error, StaleRevision | StaleOwner):
            self._hooks.stale(instance, error)
            return
        self._over(instance, turn.crash)

    def _release(self, turn: _Turn) -> None:
        for envelope, value in turn.answers:
            envelope.answer(value)
        for target, message in turn.outbox:
            self._hooks.deliver(target, message)
        instance = turn.instance
        if turn.crash is None and not (
            instance.mail or instance.dirty or instance.draining is not None
        ):
            instance.phase = Phase.IDLE  # as ``settled`` would, in the common case
        else:
            self._over(instance, turn.crash)

    def _over(
        self, instance: Instance, crash: tuple[BaseException, str] | None = None
    ) -> None:
        instance.current = instance.running = None
        if crash is not None:
            self._hooks.crashed(instance, *crash)
        else:
            self._hooks.settled(instance)


def _failure(value: object) -> BaseException:
    if isinstance(value, BaseException):
        return value
    return RuntimeError("a handler failed without an error")


def _cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
