"""Turns: an instance handles mail, and all of it takes effect or nothing.

A message's handler works on the agent's own fields. Before it runs, what they hold is
marked; if it raises, they are put back and what it wanted sent is dropped. At the end
of the turn the new state goes to the writer as one unit, and only when that is durable
do the replies and the sends leave (with ``Durability.TURN``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from persistence import (
    Clock,
    UnstorableState,
)

from ..agents import RUNNING
from ..errors import MailboxFull, MailroomFull, Overloaded, UnstorableMessage, as_told
from ..telemetry import STAMP
from .snapshot import Snapshot, capture_changes, restore, take_snapshot
from .turn import Hooks, Turn

if TYPE_CHECKING:
    from ..agents import Envelope, Instance
    from ..declaration import HandlerSpec
    from ..loop import Meter
    from ..telemetry import Telemetry
    from .commit import Committer

__all__ = ["Turns"]

Coroutine: TypeAlias = Callable[..., Awaitable[object]]

_REFUSALS = (
    UnstorableState,
    UnstorableMessage,
    MailboxFull,
    MailroomFull,
    Overloaded,
)
"""Errors of what a handler wanted stored or sent: they answer the asker, no crash."""


class Turns:
    """Runs the handlers of one host's agents."""

    def __init__(
        self,
        committer: Committer,
        telemetry: Telemetry,
        clock: Clock,
        meter: Meter[Instance],
        hooks: Hooks,
    ) -> None:
        self._committer = committer
        self._meter = meter
        self._telemetry = telemetry
        self._clock = clock
        self._hooks = hooks

    def inline(
        self,
        instance: Instance,
        spec: HandlerSpec,
        envelope: Envelope,
        *,
        ask: bool = True,
    ) -> object | asyncio.Future[object]:
        """Handle one message of an idle instance in the sender's own step.

        Returns:
            The reply, or a future of it if the message is an ask and its turn has to
            commit something.
        """
        partition = instance.partition
        backlog = partition.backlog
        instance.phase = RUNNING
        instance.policy = partition.policy
        envelope.enqueued = began = backlog.began
        start, was_dirty = take_snapshot(instance), instance.dirty
        changed, failure, call = False, None, spec.function
        if envelope.span is not None or self._telemetry.traces_all:
            call = self._traced(instance, spec, envelope, ask=ask)
        instance.current, instance.running = envelope, spec.name
        try:
            run = partition.context.copy().run  # a fresh context of its partition
            value: object = self._meter.run(
                instance, spec.name, began, run, call, instance.agent, envelope.message
            )
            changed = capture_changes(instance, start)
            if envelope.delivery is not None:
                _stage(instance, envelope, value)
        except KeyboardInterrupt:
            self._interrupted(instance, start)
            raise
        except BaseException as error:  # noqa: ASYNC103, BLE001  a turn's promise: no handler harms the loop
            value, failure = None, error  # noqa: ASYNC104  nothing is awaited here
        backlog.owed += self._meter.ended - began
        if failure is not None:
            raise self._failed_inline(Turn(instance, start, was_dirty), spec, failure)
        commits = (changed or was_dirty) and instance.manager.each_turn
        if commits or instance.staged is not None or instance.outbox is not None:
            turn = Turn(instance, start, was_dirty, changed=changed)
            return self._finish_inline(turn, envelope, value, ask=ask)
        self._committer.close(instance, envelope, self._meter.ended, changed=changed)
        return value

    def inline_tell(
        self, instance: Instance, spec: HandlerSpec, envelope: Envelope
    ) -> None:
        """Handle one message in the sender's step; the sender gets no reply."""
        try:
            self.inline(instance, spec, envelope, ask=False)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: ASYNC103, BLE001  it was dealt with
            return  # noqa: ASYNC104  no cancellation of the sender's

    def _finish_inline(
        self, turn: Turn, envelope: Envelope, value: object, *, ask: bool
    ) -> object | asyncio.Future[object]:
        self._succeeded(turn, envelope, value)
        if ask and turn.must_commit:
            value = envelope.reply = asyncio.get_running_loop().create_future()
        self._committer.finish(turn)
        return value

    def _failed_inline(
        self, turn: Turn, spec: HandlerSpec, error: BaseException
    ) -> BaseException:
        told = self._failed(turn, turn.start, spec, error)
        self._committer.finish(turn)
        return told

    def begins_sync(self, instance: Instance) -> bool:
        """Return whether the next message needs no worker."""
        if not instance.mail:
            return True
        message = instance.mail.head().message
        return instance.manager.spec.handler_for(message, instance).coroutine is None

    def run_sync(self, instance: Instance, until: float, needs: str | None) -> None:
        """Handle the mail at the head whose handlers are ``def``.

        After ``until``, a monotonic time, no further message is taken; nor is one
        whose handler does not need exactly what the turn has.
        """
        turn = self._begin(instance)
        for _ in range(instance.manager.policy.batch):
            if (found := self._next(turn, needs, only_sync=True)) is None:
                break
            envelope, spec = found
            self._refuse_or_go_on(turn, envelope, self._step(turn, spec, envelope))
            if turn.crash is not None or self._used_up(instance, until):
                break
        self._committer.finish(turn)

    async def run_async(
        self, instance: Instance, until: float, needs: str | None
    ) -> None:
        """Handle mail in a worker's task, be its handlers ``def`` or ``async def``.

        After ``until``, a monotonic time, no further message is taken; nor is one
        whose handler does not need exactly what the turn has.
        """
        turn = self._begin(instance)
        STAMP.set(instance.partition.name)  # the worker takes it off again
        try:
            for _ in range(instance.manager.policy.batch):
                if (found := self._next(turn, needs)) is None:
                    break
                envelope, spec = found
                value = (
                    self._step(turn, spec, envelope)
                    if spec.coroutine is None
                    else await self._step_async(turn, spec, spec.coroutine, envelope)
                )
                self._refuse_or_go_on(turn, envelope, value)
                if turn.crash is not None or _cancelled():
                    break
                if self._used_up(instance, until):
                    break
        finally:
            self._committer.finish(turn)

    async def hook(
        self,
        instance: Instance,
        hook: Callable[[], Awaitable[None]],
        name: str,
        limit: float,
    ) -> BaseException | None:
        """Run ``on_start`` or ``on_stop`` as a turn; return why it failed, if it did.

        What it changed is saved before the instance goes on.
        """
        turn = self._begin(instance)
        instance.running = name
        STAMP.set(instance.partition.name)
        try:
            async with asyncio.timeout(limit):
                await self._meter.drive(instance, name, hook())
            turn.changed |= capture_changes(instance, turn.start)
            turn.take()
            await self._committer.hook(turn)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: ASYNC103, BLE001  a hook harms its own instance only
            self._undo(turn, turn.start)
            self._committer.withdraw(turn)
            instance.dirty = turn.start_dirty
            return error  # noqa: ASYNC104  the pool handles a real cancellation
        finally:
            instance.running = None
        return None

    def _begin(self, instance: Instance) -> Turn:
        instance.outbox = instance.staged = None
        instance.policy = instance.partition.policy
        return Turn(instance, take_snapshot(instance), instance.dirty)

    def _next(
        self, turn: Turn, needs: str | None, *, only_sync: bool = False
    ) -> tuple[Envelope, HandlerSpec] | None:
        """Take the next message, unless this turn may not handle it."""
        instance, staged = turn.instance, turn.staged
        while instance.mail:
            envelope, spec = instance.mail.head(), None
            if not envelope.abandoned:
                delivery = envelope.delivery
                if staged and delivery is not None and delivery.waits_for(staged):
                    return None
                spec = instance.manager.spec.handler_for(envelope.message, instance)
                if spec.needs != needs or (only_sync and spec.coroutine is not None):
                    return None
            instance.mail.take()
            if instance.draining:
                instance.draining -= 1
            if spec is not None:
                return envelope, spec
        return None

    def _used_up(self, instance: Instance, until: float) -> bool:
        """Return whether mail is left and the time of the turn is over."""
        return bool(instance.mail) and self._clock.monotonic() >= until

    def _refuse_or_go_on(self, turn: Turn, envelope: Envelope, value: object) -> None:
        if not turn.answers or turn.answers[-1][0] is not envelope:
            envelope.fail(_failure(value))

    def _step(self, turn: Turn, spec: HandlerSpec, envelope: Envelope) -> object:
        """Handle one message; return its reply or, if it failed, its error."""
        instance = turn.instance
        before = take_snapshot(instance) if turn.answers else turn.start
        call = spec.function
        if envelope.span is not None or self._telemetry.traces_all:
            ask = envelope.reply is not None
            call = self._traced(instance, spec, envelope, ask=ask)
        instance.current, instance.running = envelope, spec.name
        run, now = instance.partition.context.copy().run, self._clock.monotonic()
        agent, message = instance.agent, envelope.message
        try:
            value = self._meter.run(instance, spec.name, now, run, call, agent, message)
            turn.changed |= capture_changes(instance, before)
            _stage(instance, envelope, value)
        except KeyboardInterrupt:
            self._interrupted(instance, before)
            raise
        except BaseException as error:  # noqa: ASYNC103, BLE001  a turn's promise: no handler harms the loop
            return self._failed(turn, before, spec, error)  # noqa: ASYNC104  as above
        return self._succeeded(turn, envelope, value)

    async def _step_async(
        self,
        turn: Turn,
        spec: HandlerSpec,
        coroutine: Coroutine,
        envelope: Envelope,
    ) -> object:
        instance = turn.instance
        before = take_snapshot(instance) if turn.answers else turn.start
        instance.current, instance.running = envelope, spec.name
        try:
            call = (
                self._traced_async(coroutine, instance, envelope)
                if envelope.span is not None or self._telemetry.traces_all
                else coroutine(instance.the_agent(), envelope.message)
            )
            value = await self._meter.drive(instance, spec.name, call)
            turn.changed |= capture_changes(instance, before)
            _stage(instance, envelope, value)
        except KeyboardInterrupt:
            self._undo(turn, before)
            raise
        except BaseException as error:  # noqa: ASYNC103, BLE001  as above
            return self._failed(turn, before, spec, error)  # noqa: ASYNC104  the pool handles a real cancellation
        return self._succeeded(turn, envelope, value)

    def _interrupted(self, instance: Instance, before: Snapshot) -> None:
        """Undo what a key press has cut off, and let the instance go on."""
        self._undo(Turn(instance, before, instance.dirty), before)
        self._committer.over(instance)

    def _traced(
        self, instance: Instance, spec: HandlerSpec, envelope: Envelope, *, ask: bool
    ) -> Callable[..., object]:
        """Return a ``def`` handler that holds a span while it runs."""

        def handle(agent: object, message: object) -> object:
            with self._telemetry.processing(
                instance.manager.name,
                instance.address.partition,
                envelope.span,
                ask=ask,
            ):
                return spec.function(agent, message)

        return handle

    async def _traced_async(
        self, coroutine: Coroutine, instance: Instance, envelope: Envelope
    ) -> object:
        with self._telemetry.processing(
            instance.manager.name,
            instance.address.partition,
            envelope.span,
            ask=envelope.reply is not None,
        ):
            return await coroutine(instance.the_agent(), envelope.message)

    def _succeeded(self, turn: Turn, envelope: Envelope, value: object) -> object:
        instance = turn.instance
        instance.partition.counters.handled += 1
        turn.answers.append((envelope, value))
        if instance.outbox or instance.staged:
            turn.take()
        return value

    def _failed(
        self, turn: Turn, before: Snapshot, spec: HandlerSpec, error: BaseException
    ) -> BaseException:
        """Undo the message; say what its asker is told."""
        instance = turn.instance
        envelope = instance.current
        self._undo(turn, before)
        partition, now = instance.partition, self._clock.monotonic()
        partition.counters.failed += 1
        if envelope is not None:
            partition.latency.note(now - envelope.enqueued, now)
        answered = isinstance(error, (*spec.raises, *_REFUSALS))
        if not answered:
            turn.crash = (error, spec.name)
        if envelope is not None and envelope.delivery is not None:
            envelope.delivery.failed(error, answered=answered)
        return as_told(error, instance.address, spec.name)

    def _undo(self, turn: Turn, before: Snapshot) -> None:
        """Put an instance back to where it was, and what it wanted sent away."""
        instance = turn.instance
        for target, _ in instance.outbox or ():
            self._hooks.withdraw(target)
        for staged in instance.staged or ():
            staged.undone()
        instance.outbox = instance.staged = None
        if (failure := restore(instance, before)) is not None:
            turn.crash = (failure, "construction")


def _stage(instance: Instance, envelope: Envelope, value: object) -> None:
    """Stage what a message that was handled wants committed."""
    delivery = envelope.delivery
    if delivery is not None:
        staged = delivery.handled(value)
        instance.staged = [*(instance.staged or ()), staged]


def _failure(value: object) -> BaseException:
    if isinstance(value, BaseException):
        return value
    return RuntimeError("a handler failed without an error")


def _cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
