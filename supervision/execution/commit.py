"""The end of a turn: saved and then answered, refused, or decided by the stored row.

A turn that changed nothing and sent nothing durable ends at once. Any other builds
one unit of its state, its letters and the letters that it handled, and passes the
unit to the writer. Turns of other instances share the commit, and the loop goes on.

Order. Nothing leaves before the commit: no reply, no message, no remembered answer.
So a caller that has a reply can rely on the state behind it, and a crash between
commit and reply costs an answer, not an effect. What a turn stages
(``agents.Staged``) is told ``committed`` or ``undone`` exactly once.

Refusals. The store says which unit it refused and why:

- A value that cannot be stored, or a store that is closed: the fields are put back,
  the askers get the error, and the instance goes on.
- ``StaleRevision``, ``StaleOwner`` or ``LetterGone``: another host has changed the
  row, owns the partition or has handled the letter. The instance is fenced: it leaves
  memory and saves nothing.
- ``StoreUnavailable``: the medium failed. The commit may have happened before it did.

In the last case the stored row decides. Only this host writes it, so it holds what it
held before, or what the turn has sent. The row is read, and its bytes are compared
with those of the unit. If they match, the turn is durable and is answered. If the
revision is the old one, the turn is refused as above. If it is neither, another host
has written it. If the row cannot be read either, the askers get the error and the
instance is loaded again, whatever is stored.

The revision alone would not do. An earlier save whose outcome stayed unknown may have
left the same number with other bytes, and the turn would be answered for a state that
is not stored.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

import attrs

from persistence import (
    Claim,
    Clock,
    LetterGone,
    PodsError,
    Reader,
    Record,
    StaleOwner,
    StaleRevision,
    StoreUnavailable,
    Unit,
    Writer,
)

from ..agents import COMMITTING, IDLE, STOPPED
from ..telemetry import INSTANT
from .snapshot import is_stored, record_stored, restore, save_unit, stored_revision

if TYPE_CHECKING:
    from ..agents import Envelope, Instance
    from .turn import Hooks, Turn

__all__ = ["Committer"]


@attrs.define(eq=False)
class Committer:
    """Ends the turns of one host."""

    writer: Writer
    reader: Reader
    clock: Clock
    hooks: Hooks

    def finish(self, turn: Turn) -> None:
        """Commit what the turn did, then let its answers and sends leave."""
        instance = turn.instance
        instance.current = instance.running = None
        instance.used = self.clock.monotonic()
        if turn.changed:
            instance.dirty = instance.manager.stored
        if not turn.must_commit:
            self._release(turn)
            return
        instance.phase = COMMITTING
        if instance.partition.claim is None:
            self.hooks.claim(instance.partition).add_done_callback(
                functools.partial(self._claimed, turn),
                context=instance.partition.context,
            )
        else:
            self._submit(turn)

    def close(
        self, instance: Instance, envelope: Envelope, now: float, *, changed: bool
    ) -> None:
        """End a turn of one message that has nothing to commit and nothing to send."""
        partition = instance.partition
        partition.counters.handled += 1
        seconds, latency = now - envelope.enqueued, partition.latency
        if seconds < INSTANT and now < latency.ends:
            latency.instant += 1
        else:
            latency.note(seconds, now)
        instance.current = instance.running = None
        instance.used = now
        if changed:
            instance.dirty = instance.manager.stored
        mail = instance.mail
        if (
            (mail is None or not mail.waiting)
            and not instance.dirty
            and instance.draining is None
            and instance.condemned is None
        ):
            instance.phase = IDLE  # as ``settled`` would, in the common case
        else:
            self.over(instance)

    def _claimed(self, turn: Turn, claim: asyncio.Future[Claim]) -> None:
        """Go on with a turn of an instance without rows that has something to save."""
        if (error := claim.exception()) is not None:
            self._refused(turn, error)
        else:
            self._submit(turn)

    def _submit(self, turn: Turn) -> None:
        instance = turn.instance
        unit = turn.unit()
        turn.saving = instance.dirty
        ended = functools.partial(self._committed, turn, unit)
        self.writer.commit(unit, ended, instance.partition.context)

    def _committed(self, turn: Turn, unit: Unit, error: PodsError | None) -> None:
        if error is None:
            self._durable(turn)
        elif turn.saving and isinstance(error, StoreUnavailable):
            instance = turn.instance
            self.reader.load(instance.address).add_done_callback(
                functools.partial(self._looked, turn, unit, error),
                context=instance.partition.context,
            )
        else:
            self._refused(turn, error)

    def _durable(self, turn: Turn) -> None:
        if turn.saving:
            record_stored(turn.instance)
        if turn.staged:
            turn.committed()
        self._release(turn)

    def _looked(
        self,
        turn: Turn,
        unit: Unit,
        error: BaseException,
        rows: asyncio.Future[tuple[Record, ...]],
    ) -> None:
        """End a turn whose commit has failed as the row says that it ended."""
        instance = turn.instance
        if rows.exception() is not None:
            self._fail(turn, error)
            if instance.phase is not STOPPED:
                self.hooks.reload(instance)
            return
        if is_stored(unit, rows.result()):
            self._durable(turn)
        elif stored_revision(rows.result()) == instance.rev:
            self._refused(turn, error)
        else:
            self._refused(turn, StaleRevision(instance.address, instance.rev))

    def _refused(self, turn: Turn, error: BaseException) -> None:
        """Put everything back, and go on."""
        instance = turn.instance
        self._fail(turn, error)
        if instance.phase is STOPPED:  # it was ended by something else
            return
        if isinstance(error, StaleRevision | StaleOwner | LetterGone):
            self.hooks.fenced(instance, error)
        else:
            self.over(instance, turn.crash)

    def _fail(self, turn: Turn, error: BaseException) -> None:
        instance = turn.instance
        instance.partition.counters.save_failures += 1
        if instance.phase is not STOPPED:
            if (failure := restore(instance, turn.start)) is not None:
                turn.crash = (failure, "construction")
            instance.dirty = turn.start_dirty
        self.withdraw(turn)
        partition, now = instance.partition, self.clock.monotonic()
        for envelope, _ in turn.answers:
            partition.latency.note(now - envelope.enqueued, now)
            envelope.fail(error)

    async def hook(self, turn: Turn) -> None:
        """Save what ``on_start`` or ``on_stop`` did, before anything of it leaves.

        Raises:
            StoreError: it was not saved.
        """
        instance = turn.instance
        if turn.changed:
            instance.dirty = instance.manager.stored
        if turn.must_commit:
            if instance.partition.claim is None:
                await asyncio.wait([self.hooks.claim(instance.partition)])
            await self._saved(turn.unit(), instance, saving=instance.dirty)
        turn.committed()
        self.send(turn)

    def save(self, instance: Instance) -> asyncio.Future[None]:
        """Save the present state of an instance outside of a turn.

        Returns:
            A future that resolves when it is durable, or fails because it is not.
        """
        return self._saved(save_unit(instance), instance, saving=True)

    def _saved(
        self, unit: Unit, instance: Instance, *, saving: bool
    ) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def ended(error: BaseException | None) -> None:
            if error is None and saving:
                record_stored(instance)
            if done.done():  # the waiter has left
                return
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)
                done.exception()  # marks it as seen: asyncio would log it otherwise

        def looked(
            error: BaseException, rows: asyncio.Future[tuple[Record, ...]]
        ) -> None:
            saved = rows.exception() is None and is_stored(unit, rows.result())
            ended(None if saved else error)

        def tried(saved: asyncio.Future[None]) -> None:
            error = saved.exception()
            if saving and isinstance(error, StoreUnavailable):
                rows = self.reader.load(instance.address)
                rows.add_done_callback(functools.partial(looked, error))
            else:
                ended(error)

        saved = self.writer.submit(unit)
        saved.add_done_callback(tried, context=instance.partition.context)
        return done

    def withdraw(self, turn: Turn) -> None:
        """Forget what the messages of a turn wanted, as it was not saved."""
        for target, _ in turn.outbox or ():
            self.hooks.withdraw(target)
        turn.undone()

    def send(self, turn: Turn) -> None:
        """Deliver the messages that a committed turn has sent."""
        for target, message in turn.outbox or ():
            self.hooks.deliver(target, message)

    def _release(self, turn: Turn) -> None:
        partition, now = turn.instance.partition, self.clock.monotonic()
        for envelope, value in turn.answers:
            partition.latency.note(now - envelope.enqueued, now)
            envelope.answer(value)
        if turn.outbox:
            self.send(turn)
        self.over(turn.instance, turn.crash)

    def over(
        self, instance: Instance, crash: tuple[BaseException, str] | None = None
    ) -> None:
        """Go on with an instance whose turn has ended, unless it was dropped before."""
        instance.current = instance.running = None
        if instance.phase is STOPPED:
            return
        if crash is not None:
            self.hooks.crashed(instance, *crash)
        else:
            self.hooks.settled(instance)
