"""The event loop time of each handler, and the step that holds the loop now.

Every synchronous step of a handler is timed. A ``def`` handler is one step; an
``async def`` handler makes one from each wait to the next. A step that runs another
handler inside itself (an ask that is answered at once) is not charged for it.

While a step runs, ``running`` names it. It is one attribute, set by the loop and read
by the thread of the watchdog, so the read is consistent without a lock.
"""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias, TypeVar

import attrs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping

    from persistence import Address

__all__ = ["HandlerTime", "LoopTime", "Meter", "Metered", "Running", "handler_times"]

T = TypeVar("T")
M = TypeVar("M", bound="Metered")

Times: TypeAlias = "dict[tuple[str, str], LoopTime]"
"""Loop times by manager name and handler."""


@attrs.define(eq=False)
class LoopTime:
    """The loop time of one handler of one manager in one partition.

    The partition holds it. ``Meter`` writes it, and ``BlockedLoopResponse`` writes
    ``offences``.

    Attributes:
        steps: number of steps.
        seconds: sum of their seconds, without the handlers that ran inside them.
        longest: seconds of the longest step.
        blocks: steps that blocked the loop.
        offences: monotonic times of the latest blocks; ``None``: no block.
    """

    steps: int = 0
    seconds: float = 0.0
    longest: float = 0.0
    blocks: int = 0
    offences: list[float] | None = None


@attrs.frozen(kw_only=True)
class HandlerTime:
    """Loop time of one handler in one partition since its host started.

    Attributes:
        manager: name of the manager.
        handler: ``Class.method``, ``on_start`` or ``on_stop``.
        steps: number of times that it held the loop.
        seconds: seconds that it held the loop in all.
        longest: seconds of the longest step.
        blocks: steps of ``WatchdogPolicy.warn_after`` or longer.
    """

    manager: str
    handler: str
    steps: int
    seconds: float
    longest: float
    blocks: int


def handler_times(
    loop: Mapping[tuple[str, str], LoopTime] | None,
) -> tuple[HandlerTime, ...]:
    """Return a copy of the times of a partition's handlers, the longest first."""
    found = [
        HandlerTime(
            manager=manager,
            handler=handler,
            steps=time.steps,
            seconds=time.seconds,
            longest=time.longest,
            blocks=time.blocks,
        )
        for (manager, handler), time in list((loop or {}).items())
    ]
    return tuple(sorted(found, key=lambda time: -time.seconds))


class MeteredPartition(Protocol):
    """The partition that steps are charged to."""

    loop: Times | None


class MeteredManager(Protocol):
    """The manager whose handlers are timed."""

    @property
    def name(self) -> str:
        """The manager name, a part of the key of loop times."""
        ...


class Metered(Protocol):
    """The parts of an instance that the meter reads."""

    @property
    def address(self) -> Address:
        """The address of the instance."""
        ...

    @property
    def partition(self) -> MeteredPartition:
        """The partition that the steps are charged to."""
        ...

    @property
    def manager(self) -> MeteredManager:
        """The manager of the instance."""
        ...

    @property
    def agent_name(self) -> str:
        """The qualified name of the agent class."""
        ...


Running: TypeAlias = tuple[M, str, float]
"""An instance, its handler that holds the loop, and the time the step began."""

BlockListener: TypeAlias = "Callable[[M, str, float, LoopTime], None]"
"""Takes the instance that blocked the loop, its handler, seconds and loop time."""


class Meter(Generic[M]):
    """Times the steps of one host's handlers.

    Every step is charged to one partition, manager and handler. Turns run
    handlers through it. Refs and the watchdog read ``running``.

    Args:
        now: returns monotonic seconds.
        limit: least seconds of a step that blocks the loop.

    Attributes:
        running: the step that holds the loop now; ``None``: no step holds it.
        ended: monotonic time at which the last step ended.
        on_block: called with each step that blocked the loop, once the step is over.
    """

    __slots__ = (
        "__weakref__",
        "_limit",
        "_named",
        "_nested",
        "_now",
        "ended",
        "on_block",
        "running",
    )

    def __init__(self, now: Callable[[], float], limit: float) -> None:
        self._now = now
        self._limit = limit
        self.on_block: BlockListener[M] | None = None
        self._nested = 0.0  # seconds of the steps inside the one that runs
        self._named = False  # one of those blocked the loop and was counted for it
        self.running: Running[M] | None = None
        self.ended = 0.0

    def __repr__(self) -> str:
        return f"<Meter {'idle' if self.running is None else self.running[1]}>"

    def run(
        self,
        instance: M,
        handler: str,
        began: float,
        call: Callable[..., T],
        *arguments: object,
    ) -> T:
        """Run a call that is a step of a handler, or a part of one, and time it.

        Args:
            instance: the instance whose handler runs.
            handler: the handler.
            began: monotonic time now; the caller has just read it.
            call: the step.
            arguments: the arguments of ``call``.

        Returns:
            The result of ``call``.
        """
        outer, nested = self.running, self._nested
        self._nested = 0.0
        self.running = (instance, handler, began if outer is None else outer[2])
        try:
            return call(*arguments)
        finally:
            self.ended = self._now()
            took = self.ended - began
            own = took - self._nested
            self._nested = 0.0 if outer is None else nested + took
            self.running = outer
            partition = instance.partition
            loop = partition.loop
            if loop is None:
                loop = partition.loop = {}
            time = loop.get((instance.manager.name, handler))
            if time is None:
                time = loop[instance.manager.name, handler] = LoopTime()
            time.steps += 1
            time.seconds += own
            if own > time.longest:  # noqa: PLR1730  a call of max costs more than all of it
                time.longest = own
            if took >= self._limit:
                self._judge(instance, handler, took, own, time)

    @types.coroutine
    def drive(
        self, instance: M, handler: str, call: Awaitable[T]
    ) -> Generator[object, object, T]:
        """Await an awaitable in the running task, and time its steps.

        The futures that it waits for reach the task unchanged, and so do the answers of
        the task. So timeouts, cancellation and scopes work as without the meter.
        """
        inner = call.__await__()
        step: Callable[..., object] = inner.send
        given: object = None
        while True:
            try:
                waits_for = self.run(instance, handler, self._now(), step, given)
            except StopIteration as stop:
                result: T = stop.value
                return result
            finally:
                given = None  # an exception must not be held by its own traceback
            try:
                given = yield waits_for
                step = inner.send
            except GeneratorExit:
                inner.close()
                raise
            except BaseException as error:  # noqa: ASYNC103, BLE001  it is raised inside the awaitable
                step, given = inner.throw, error

    def _judge(
        self, instance: M, handler: str, took: float, own: float, time: LoopTime
    ) -> None:
        """Count a block for this handler, unless a handler inside it was counted."""
        outermost = self.running is None
        if own >= self._limit or (outermost and not self._named):
            time.blocks += 1
            self._named = not outermost
            if self.on_block is not None:
                seconds = own if own >= self._limit else took
                self.on_block(instance, handler, seconds, time)
        elif outermost:
            self._named = False
