"""Activation: how an instance starts or thaws, and what it does between two turns.

Publish first, activate after. ``Catalog.publish`` puts the instance into the registry
before anything of it is read, and only then calls ``Activation.begin``. A second caller
finds the same instance and waits in ``instance.waiters``; a message for it queues in
its mailbox. So at most one instance per address exists, without a lock, and a slow
start delays no other instance.

The steps, from the registry entry to the first turn:

1. ``begin`` claims the partition if the host does not own it yet (``_claimed``). An
   instance that is not stored needs no claim.
2. ``_load`` refuses an instance in quarantine, and reads the rows of all others that
   are stored (``_loaded``).
3. ``_find_parent`` waits for the parent if the rows or the key name one that has to be
   read first. Most instances skip this.
4. ``_thaw`` builds the agent object, from the state row or afresh.
5. ``_wake`` runs ``on_start`` if the agent class has one (``_on_start``).
6. ``_live`` releases the waiters, begins the idle timer and calls ``settled``, which
   submits the instance for a seat if mail has come.

A restart after a crash enters at step 4 in ``begin_again``: it copies the values of the
last good turn and reads nothing. Without an agent object it begins at step 1.

Steps 1 to 4 are callbacks. The claim and the parent search are futures. The reader
calls ``_loaded`` itself, which saves a future for each thaw. No step waits while it
runs, so none needs a task. Each callback runs in the context of its partition.

``on_start`` is the only step that may wait for user code. It runs in a worker, as a
turn with ``start_timeout``, and its commit ends before the instance is live. The
constructor of the agent class runs in the callback.

What each failure leads to:

- Another host owns the partition, or the claim, the read or the parent search fails:
  ``Removal.fail``. The instance leaves the registry, its waiters get the error, and its
  mail is refused with it. The next call may publish a new instance.
- The instance is in quarantine: the same, with ``Quarantined``.
- A row is damaged: the instance is put into quarantine.
- The agent class raises in its constructor or in ``on_start``: a crash, which the
  supervisor answers with a restart, a stop or quarantine. The waiters get
  ``StartFailed``. Mail waits for a restart; a stop or quarantine refuses it.
- The commit of ``on_start`` finds a newer row or owner: ``Removal.fence``.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, TypeVar

import attrs

from persistence import (
    Address,
    Claim,
    Clock,
    CorruptRecord,
    PodsError,
    Reader,
    Record,
    RecordError,
    RecordKind,
    StaleOwner,
    StaleRevision,
)

from ..agents import IDLE, Durability, OnParentStop, Phase
from ..errors import Quarantined, StartFailed, describe_error
from .removal import Removal, extended_ancestor, release_waiters, report

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from ..agents import Instance
    from ..execution import Committer, Turns
    from ..loop import WorkerPool
    from ..placement import Ownership
    from ..telemetry import Telemetry
    from .reattachment import Reattachment
    from .turn_hooks import TurnHooks

__all__ = ["Activation"]

T = TypeVar("T")

_STATE = RecordKind.STATE  # a look-up in an enum is slow before Python 3.12


@attrs.define(eq=False)
class Activation:
    """Starts the instances of one host and decides what follows each turn.

    It holds no instance. ``Catalog`` begins a start; turns report to ``settled``.

    Attributes:
        hooks: ``crashed`` decides what follows a crash.
        quarantine: takes an instance out of service, with a reason.
        submit: queues an instance that has mail for a seat.
        begin_stop: stops an instance that has nothing under way.
        watch: begins the idle timer of an instance.
    """

    turns: Turns
    workers: WorkerPool
    ownership: Ownership
    committer: Committer
    reader: Reader
    clock: Clock
    telemetry: Telemetry
    removal: Removal
    reattachment: Reattachment
    hooks: TurnHooks
    quarantine: Callable[[Instance, str], None]
    submit: Callable[[Instance], None]
    begin_stop: Callable[[Instance], None]
    watch: Callable[[Instance], None]

    def begin(self, instance: Instance) -> None:
        """Activate an instance that was just published."""
        instance.used = self.clock.monotonic()
        partition = instance.partition
        if partition.lost:
            self.removal.fail(instance, StaleOwner(partition.name, partition.epoch))
        elif instance.manager.stored and partition.claim is None:
            self._then(instance, self.ownership.take(partition), self._claimed)
        else:
            self._load(instance)

    def begin_again(self, instance: Instance) -> None:
        """Activate an instance again, from the state of its last good turn."""
        instance.timer = None
        instance.phase = Phase.STARTING
        spec = instance.manager.spec
        if instance.agent is None:
            self.begin(instance)
            return
        try:
            values = spec.values_of(instance.agent, instance.body, instance.address)
            instance.unbind_agent()
            instance.bind_agent(spec.build(values))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: ASYNC103, BLE001  a user's class may raise anything
            self.hooks.crashed(instance, error, "construction")
            return  # noqa: ASYNC104  nothing is awaited here, so no task is cancelled
        self._wake(instance)

    def reload(self, instance: Instance) -> None:
        """Start an instance again from its stored rows; its mail waits until then."""
        instance.unbind_agent()
        instance.body = None
        instance.dirty = False
        instance.rev = 0
        self.begin_again(instance)

    def _then(
        self,
        instance: Instance,
        future: asyncio.Future[T],
        step: Callable[[Instance, asyncio.Future[T]], None],
    ) -> None:
        future.add_done_callback(
            functools.partial(step, instance), context=instance.partition.context
        )

    def _claimed(self, instance: Instance, future: asyncio.Future[Claim]) -> None:
        if (error := future.exception()) is not None:
            self.removal.fail(instance, error)
        else:
            self._load(instance)

    def _load(self, instance: Instance) -> None:
        marks, name = instance.partition.quarantined, instance.manager.name
        mark = marks.get((name, instance.address.key)) if marks else None
        if mark is not None:
            self.removal.fail(instance, Quarantined(mark.address, mark.reason))
        elif instance.manager.stored:
            found = functools.partial(self._loaded, instance)
            self.reader.fetch(instance.address, found, instance.partition.context)
        else:
            self._find_parent(instance, ())

    def _loaded(
        self, instance: Instance, found: tuple[Record, ...] | PodsError
    ) -> None:
        if not isinstance(found, PodsError):
            self._find_parent(instance, found)
        elif isinstance(found, RecordError):
            self.quarantine(instance, found.reason)
        else:
            self.removal.fail(instance, found)

    def _find_parent(self, instance: Instance, records: tuple[Record, ...]) -> None:
        """Thaw an instance, after its parent was found if that needs a read."""
        if (parent := self.reattachment.find_parent(instance, records)) is None:
            self._thaw(instance, records)
            return

        def found(instance: Instance, parent: asyncio.Future[None]) -> None:
            if (error := parent.exception()) is not None:
                self.removal.fail(instance, error)
            else:
                self._thaw(instance, records)

        self._then(instance, parent, found)

    def _thaw(self, instance: Instance, records: tuple[Record, ...]) -> None:
        state, topology = _split_records(records) if records else (None, None)
        spec = instance.manager.spec
        try:
            agent = spec.fresh() if state is None else spec.thaw(state)
            if instance.manager.extension is not None:
                instance.manager.extension.thawed(instance, topology)
            if state is not None and state.parent is not None:
                self._recall_parent(instance, state, state.parent)
        except RecordError as error:
            self.quarantine(instance, error.reason)
            return
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: ASYNC103, BLE001  a user's class may raise anything
            self.hooks.crashed(instance, error, "construction")
            return  # noqa: ASYNC104  nothing is awaited here, so no task is cancelled
        if state is not None:
            instance.rev = state.rev
            instance.dirty = instance.dirty or _adopted(instance, state)
        self._count_start(instance, thawed=state is not None)
        instance.bind_agent(agent)
        self._wake(instance)

    def _recall_parent(
        self, instance: Instance, state: Record, parent: Address
    ) -> None:
        if instance.parent is None:
            instance.ensure_family().lost_parent = parent
            instance.ensure_family().on_parent_stop = _policy_of(state)
            self.reattachment.rejoin_parent(instance)

    def _count_start(self, instance: Instance, *, thawed: bool) -> None:
        counters = instance.partition.counters
        if thawed:
            counters.thaws += 1
        else:
            counters.starts += 1
        if self.telemetry.refresh():
            self.telemetry.mark(
                "thaw" if thawed else "start",
                instance.manager.name,
                instance.address.partition,
                seconds=self.clock.monotonic() - instance.used,
            )

    def _wake(self, instance: Instance) -> None:
        if instance.manager.spec.has_on_start:
            self.workers.start(functools.partial(self._on_start, instance))
        else:
            self._live(instance)

    async def _on_start(self, instance: Instance) -> None:
        agent = instance.the_agent()
        timeout = instance.manager.policy.start_timeout
        error = await self.turns.hook(instance, agent.on_start, "on_start", timeout)
        if isinstance(error, StaleRevision | StaleOwner):
            self.removal.fence(instance, error)
        elif error is not None:
            self.hooks.crashed(instance, error, "on_start")
        else:
            self._live(instance)

    def _live(self, instance: Instance) -> None:
        instance.phase = IDLE
        instance.used = self.clock.monotonic()
        if not instance.watched:
            instance.watched = True
            self.watch(instance)
        if instance.manager.extension is not None:
            instance.manager.extension.started(instance)
        if instance.waiters is not None:
            release_waiters(instance, None)
        if (above := extended_ancestor(instance)) is not None:
            above[1].arrived(above[0], instance)
        self.settled(instance)

    def settled(self, instance: Instance) -> None:
        """Start what is next for an instance: quarantine, stop, a turn or a save."""
        if instance.condemned is not None:
            self.quarantine(instance, instance.condemned)
        elif instance.draining is not None and (
            instance.draining <= 0 or not instance.queued
        ):
            self.begin_stop(instance)
        elif instance.mail:
            self.submit(instance)
        else:
            instance.phase = IDLE
            if instance.dirty:
                self._save_later(instance)

    def _save_later(self, instance: Instance) -> None:
        policy = instance.manager.policy
        if policy.durability is Durability.INTERVAL and instance.timer is None:
            instance.timer = self.clock.call_later(
                policy.interval, functools.partial(self._save_now, instance)
            )

    def flush(self, instance: Instance) -> None:
        """Start a save of an idle instance with unsaved changes; do not wait."""
        if instance.phase is IDLE and instance.dirty:
            self._save(instance)

    def _save_now(self, instance: Instance) -> None:
        instance.timer = None
        if instance.phase is not IDLE or not instance.dirty:
            if instance.live and instance.dirty:
                self._save_later(instance)
            return
        self._save(instance)

    def _save(self, instance: Instance) -> None:
        instance.phase = Phase.COMMITTING
        self.committer.save(instance).add_done_callback(
            functools.partial(self._saved, instance),
            context=instance.partition.context,
        )

    def _saved(self, instance: Instance, saved: asyncio.Future[None]) -> None:
        error = saved.exception()
        if isinstance(error, StaleRevision | StaleOwner):
            self.removal.fence(instance, error)
            return
        if error is not None:
            instance.partition.counters.save_failures += 1
            report(instance, "instance.save_failed", error)
        self.settled(instance)

    def failed(self, instance: Instance, error: BaseException, where: str) -> None:
        """Fail the waiters with ``StartFailed``; the mail stays in the mailbox."""
        address = instance.address
        failure = StartFailed(address, where, describe_error(error))
        failure.__cause__ = error.with_traceback(None)
        release_waiters(instance, failure)


def _split_records(records: tuple[Record, ...]) -> tuple[Record | None, Record | None]:
    """Return the state row and the topology row; ``None`` for an absent one."""
    state: Record | None = None
    topology: Record | None = None
    for record in records:
        if record.kind is _STATE:
            state = record
        else:
            topology = record
    return state, topology


def _adopted(instance: Instance, state: Record) -> bool:
    """Return whether the parent in memory differs from the one in the state row."""
    family = instance.family
    if family is None or family.parent is None:
        return False
    policy = family.on_parent_stop.value
    return (state.parent, state.on_parent_stop) != (family.parent.address, policy)


def _policy_of(state: Record) -> OnParentStop:
    """Return the ``on_parent_stop`` policy of a state row.

    Raises:
        CorruptRecord: the row names no known policy.
    """
    try:
        return OnParentStop(state.on_parent_stop)
    except ValueError as error:
        reason = "its on_parent_stop is no known policy"
        raise CorruptRecord(state.address, reason) from error
