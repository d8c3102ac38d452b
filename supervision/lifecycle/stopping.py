"""Stopping: an instance handles its mail, stops its children, and is saved.

The order is fixed: mail, children, ``on_stop``, state, removal from memory.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

import attrs

from persistence import Clock, StaleOwner, StaleRevision, StoreError

from ..agents import Envelope, OnParentStop, Phase, detach_child
from ..declaration import ParentStopped
from ..errors import AgentNotFound, HostClosed, StopTimeout
from ..execution import unsaved
from .removal import Removal, refuse_mail, release_waiters, report, settle_stoppers

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..agents import Instance
    from ..execution import Committer, Turns
    from ..loop import BackgroundTasks
    from ..telemetry import Telemetry
    from .host_state import HostState

__all__ = ["Stopping"]

_AGAIN = 1.0
"""Seconds before an instance whose save failed may hibernate again."""
_GRACE = 1.0
"""Seconds between the cancellation of an overdue turn and ``StopTimeout``."""


@attrs.define(eq=False)
class Stopping:
    """Stops the instances of one host.

    An instance leaves memory only after its state is saved, or is discarded. Managers,
    the idle timers, extensions and the shutdown use it.

    Attributes:
        revive: starts an instance again after its state could not be saved.
        cancel: cancels a running turn.
        hand_in: puts a message of the runtime into a mailbox.
        rehome: gives the mail and waiters of a stopped instance to its successor.
    """

    turns: Turns
    background: BackgroundTasks
    committer: Committer
    clock: Clock
    telemetry: Telemetry
    removal: Removal
    state: HostState
    revive: Callable[[Instance], None]
    cancel: Callable[[Instance], bool]
    hand_in: Callable[[Instance, Envelope], None]
    rehome: Callable[[Instance], None]

    def request(self, instance: Instance) -> None:
        """Request that an instance hibernates after its present mail; do not wait."""
        if not instance.live or instance.draining is not None:
            return
        instance.draining = instance.queued
        self._limit(instance)
        if instance.phase in (Phase.IDLE, Phase.BACKING_OFF):
            if instance.timer is not None:
                instance.timer.cancel()
                instance.timer = None
            self.begin(instance)

    def stop(
        self, instance: Instance, *, discard: bool = False
    ) -> asyncio.Future[None]:
        """Request that an instance hibernates after its present mail.

        Args:
            instance: the instance to stop.
            discard: do not save it, and refuse the messages in its mailbox.

        Returns:
            A future that is done when the instance has stopped. If its state could not
            be saved, the future fails with the reason and the instance is live again.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.add_done_callback(_retrieve_error)
        if not instance.live:
            done.set_result(None)
            return done
        if instance.stoppers is None:
            instance.stoppers = []
        instance.stoppers.append(done)
        if self.state.closing and instance.phase is Phase.STOPPING:
            instance.draining = instance.queued  # this mail came before the shutdown
        if discard:
            instance.discard = True
            refuse_mail(instance, _absent(instance))
        self.request(instance)
        return done

    def begin(self, instance: Instance) -> None:
        """Start the stop of an instance that has no turn or commit under way."""
        crashed = instance.phase is Phase.BACKING_OFF
        instance.phase = Phase.STOPPING
        instance.used = self.clock.monotonic()
        quiet = (
            instance.agent is None or crashed or not instance.manager.spec.has_on_stop
        )
        if quiet and not instance.children and not unsaved(instance):
            self._gone(instance, None)
            return
        self.background.start(
            functools.partial(self._stop, instance, quiet=quiet),
            f"stop {instance.address}",
            instance.address.partition,
        )

    def _limit(self, instance: Instance) -> None:
        """Cancel the turn after ``stop_timeout``; after ``_GRACE``, fail the stop."""
        timeout = instance.manager.policy.stop_timeout

        def overdue() -> None:
            if instance.live and instance.draining is not None:
                self.cancel(instance)
                instance.stop_timer = self.clock.call_later(_GRACE, give_up)

        def give_up() -> None:
            if instance.live and instance.draining is not None:
                where = instance.running or instance.phase.value
                error = StopTimeout(instance.address, timeout, where)
                settle_stoppers(instance, error)

        instance.stop_timer = self.clock.call_later(timeout, overdue)

    async def _stop(self, instance: Instance, *, quiet: bool) -> None:
        errors = await self._stop_children(instance)
        if not quiet:
            agent = instance.the_agent()
            timeout = instance.manager.policy.stop_timeout
            error = await self.turns.hook(instance, agent.on_stop, "on_stop", timeout)
            if isinstance(error, StaleRevision | StaleOwner):
                settle_stoppers(instance, error)
                self.removal.fence(instance, error)
                return
            if isinstance(error, StoreError):
                self._stay(instance, error)
                return
            if error is not None:
                instance.partition.counters.crashes += 1
                report(instance, "instance.stop_hook_failed", error)
        try:
            while unsaved(instance):
                await self.committer.save(instance)
        except (StaleRevision, StaleOwner) as error:
            settle_stoppers(instance, error)
            self.removal.fence(instance, error)
            return
        except Exception as error:  # noqa: BLE001  after any error, the state must stay in memory
            self._stay(instance, error)
            return
        self._gone(instance, errors[0] if errors else None)

    async def _stop_children(self, instance: Instance) -> list[BaseException]:
        stopping: list[asyncio.Future[None]] = []
        for child in instance.children:
            policy = child.ensure_family().on_parent_stop
            if policy is OnParentStop.STOP:
                stopping.append(self.stop(child, discard=instance.discard))
                continue
            detach_child(child)
            if policy is OnParentStop.NOTIFY:
                self._notify(child, instance)
        if not stopping:
            return []
        await asyncio.wait(stopping)
        return [e for future in stopping if (e := future.exception()) is not None]

    def _notify(self, child: Instance, parent: Instance) -> None:
        if ParentStopped in child.manager.spec.handlers:
            message = ParentStopped(parent.manager.name, parent.address.key)
            self.hand_in(child, Envelope(message))

    def _stay(self, instance: Instance, error: BaseException) -> None:
        """Make an instance live again after its state could not be saved."""
        instance.partition.counters.save_failures += 1
        report(instance, "instance.hibernate_failed", error)
        self._end_limit(instance)
        instance.draining = None
        instance.stays_until = self.clock.monotonic() + _AGAIN
        settle_stoppers(instance, error)
        self.revive(instance)

    def _gone(self, instance: Instance, error: BaseException | None) -> None:
        if self.state.closing and instance.draining and instance.mail:
            # No successor can start during a shutdown: it handles its mail itself.
            self.revive(instance)
            return
        if instance.agent is not None and not instance.discard:
            instance.partition.counters.hibernations += 1
            name, partition = instance.manager.name, instance.address.partition
            took = self.clock.monotonic() - instance.used
            self.telemetry.mark("hibernate", name, partition, seconds=took)
        self._end_limit(instance)
        self.removal.remove(instance)
        settle_stoppers(instance, error)
        if not (self.state.closing or instance.discard):
            self.rehome(instance)
            return
        why = _absent(instance) if instance.discard else HostClosed()
        refuse_mail(instance, why)
        release_waiters(instance, why)

    def _end_limit(self, instance: Instance) -> None:
        if instance.stop_timer is not None:
            instance.stop_timer.cancel()
            instance.stop_timer = None


def _absent(instance: Instance) -> AgentNotFound:
    return AgentNotFound(instance.address.manager, instance.address.key)


def _retrieve_error(done: asyncio.Future[None]) -> None:
    # Not every caller waits for the future, and asyncio would log an error that was not
    # retrieved. The failure was reported already.
    if not done.cancelled():
        done.exception()
