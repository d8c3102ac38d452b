"""Runs handlers outside the event loop: in threads, or in child processes.

The turn stays a turn: the instance is busy, its seat is held and charged, and what the
handler changes takes effect or is undone as ever. A handler in a thread has ``self``; a
handler in a process is a pure function of its message.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import logging
import os
from typing import TYPE_CHECKING, Protocol, TypeAlias

import attrs
from attrs import validators

from ..agents import offloaded
from ..loop import (
    OFFLOADED_CALL,
    ChildProcess,
    OffloadedCall,
    PartitionLimiter,
    ProcessPool,
    Threads,
)
from ..telemetry import partition_extra

if TYPE_CHECKING:
    from collections.abc import Callable

    from persistence import Address

    from ..agents import Agent, Instance
    from ..declaration import HandlerSpec

__all__ = ["OffloadPolicy", "Offloader", "Seats", "move_to_thread"]

log = logging.getLogger("podvisor.offload")

Outcome: TypeAlias = tuple[object, BaseException | None]


@attrs.frozen(kw_only=True)
class OffloadPolicy:
    """How much may run outside the event loop.

    Attributes:
        limit: handlers of the whole host at a time, in threads and processes.
        partition_limit: of one partition, unless its tenant's policy says otherwise.
        idle_processes: processes that are kept for the next call.
    """

    limit: int = attrs.field(default=32, validator=validators.ge(1))
    partition_limit: int = attrs.field(default=4, validator=validators.ge(1))
    idle_processes: int = attrs.field(
        factory=lambda: os.cpu_count() or 1, validator=validators.ge(0)
    )


class Seats(Protocol):
    """What the offloader needs of the dispatcher."""

    def park(self, instance: Instance) -> bool:
        """Give a turn's seat to others while it waits; say whether it had one."""
        ...

    async def unpark(self, instance: Instance) -> None:
        """Wait for a seat again."""
        ...


@attrs.define(eq=False)
class _Running:
    """A job that runs, what its turn waits for, and the process that does it."""

    job: OffloadedCall
    done: asyncio.Future[Outcome]
    child: ChildProcess | None = None


class Offloader:
    """Threads, processes and permits of one host."""

    def __init__(self, policy: OffloadPolicy, seats: Seats) -> None:
        self._policy = policy
        self._permits = PartitionLimiter(policy.limit)
        self._threads = Threads()
        self._children = ProcessPool(policy.idle_processes)
        self._running: set[_Running] = set()
        self._seats = seats

    def __repr__(self) -> str:
        return f"<Offloader running={len(self._running)} {self._permits!r}>"

    def hung(self) -> tuple[tuple[Address, str], ...]:
        """Name the handlers that still run although their turns are over."""
        jobs = [running.job for running in self._running]
        return tuple((job.address, job.handler) for job in jobs if job.abandoned)

    async def run(
        self, instance: Instance, agent: Agent, spec: HandlerSpec, message: object
    ) -> object:
        """Run a handler where its ``offload=`` says, and return its reply.

        Raises:
            OffloadFailed: its process ended, or something does not pickle.
            BaseException: whatever the handler raised.
        """
        await self._permit(instance)
        loop = asyncio.get_running_loop()
        job = OffloadedCall(instance.address, spec.name, loop)
        running = _Running(job, loop.create_future())
        if spec.offload == "process":
            child = running.child = self._children.take()
            call = functools.partial(
                child.call, job.address, spec.name, spec.function, message
            )
        else:
            call = functools.partial(spec.function, agent, message)
        context = contextvars.copy_context()
        context.run(OFFLOADED_CALL.set, job)
        self._running.add(running)
        self._threads.run(functools.partial(self._work, running, context, call))
        try:
            value, error = await running.done
        except asyncio.CancelledError:
            self._abandon(running, instance)
            raise
        if error is not None:
            raise error
        return value

    async def _permit(self, instance: Instance) -> None:
        """Wait until the partition may run one more; its turn waits without a seat."""
        name = instance.partition.name
        limit = instance.policy_in_force().offload_limit or self._policy.partition_limit
        if self._permits.take_now(name, limit):
            return
        parked = self._seats.park(instance)
        taken = False
        try:
            await self._permits.take(name, limit)
            taken = True
        finally:
            if parked:
                try:
                    # The turn goes on, cancelled or not, and needs its seat for that.
                    await self._seats.unpark(instance)  # noqa: ASYNC102  as said
                except BaseException:
                    if taken:
                        self._permits.give(name)
                    raise

    def _work(
        self,
        running: _Running,
        context: contextvars.Context,
        call: Callable[[], object],
    ) -> None:
        """Run in a thread; tell the loop how it ended, if there still is one."""
        outcome: Outcome
        try:
            outcome = (context.run(call), None)
        except BaseException as error:  # noqa: ASYNC103, BLE001  it belongs to the turn
            outcome = (None, error)
        loop = running.job.loop
        try:
            loop.call_soon_threadsafe(self._over, running, outcome)
        except RuntimeError:  # the loop was closed, and nothing waits
            return

    def _over(self, running: _Running, outcome: Outcome) -> None:
        self._running.discard(running)
        self._permits.give(running.job.address.partition)
        if running.child is not None:
            spare = self._children.put(running.child)
            if spare is not None:
                self._threads.run(spare.end)
        if not running.done.done():
            running.done.set_result(outcome)

    def _abandon(self, running: _Running, instance: Instance) -> None:
        """Abandon a handler whose turn was cancelled, so that it can do no harm.

        A process is killed. A thread cannot be; but the object that it works on is no
        longer the instance's, and what it sends is refused.
        """
        job = running.job
        job.abandoned = True
        if running.child is not None:
            running.child.kill()
        else:
            instance.replace_agent()
        with contextlib.suppress(Exception):  # the application's log handler
            log.error(
                "handler.abandoned",
                extra=partition_extra(
                    job.address.partition,
                    manager=job.address.manager,
                    key=str(job.address.key),
                    handler=job.handler,
                    where="thread" if running.child is None else "process",
                ),
            )

    async def end(self, grace: float) -> None:
        """End every process, and every thread that has nothing to do.

        Args:
            grace: seconds that the idle processes get.
        """
        for running in self._running:
            running.job.abandoned = True
            if running.child is not None:
                running.child.kill()
        idle = self._children.drain()
        if idle:
            loop = asyncio.get_running_loop()
            ended: asyncio.Future[None] = loop.create_future()
            self._threads.run(functools.partial(_end_all, idle, loop, ended))
            await asyncio.wait([ended], timeout=grace)
        self._threads.close()


def move_to_thread(instance: Instance, handler: str) -> bool:
    """Run a ``def`` handler in a thread from now on, for one partition.

    Returns:
        Whether that is so; an ``async def`` handler cannot be moved.
    """
    manager, partition = instance.manager, instance.partition
    for spec in manager.spec.handlers.values():
        if spec.name == handler and spec.coroutine is None:
            if partition.moved is None:
                partition.moved = {}
            partition.moved[manager.name, handler] = offloaded(spec, "thread")
            return True
    return False


def _end_all(
    children: list[ChildProcess],
    loop: asyncio.AbstractEventLoop,
    ended: asyncio.Future[None],
) -> None:
    for child in children:
        child.end()
    try:
        loop.call_soon_threadsafe(_settle, ended)
    except RuntimeError:  # the loop did not wait for it
        return


def _settle(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)
