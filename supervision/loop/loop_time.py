"""Who uses the event loop, and who holds it right now.

Every synchronous step of a handler is timed: a ``def`` handler is one step, an
``async def`` handler makes one from each wait to the next. A step that runs another
handler inside itself (an ask that is answered on the spot) is not charged for it.

While a step runs, ``running`` names it. That is one attribute, set by the loop and read
by the watchdog's thread, so the look is consistent without a lock.
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
    """What one handler of one manager has used of the loop for one partition.

    Attributes:
        steps: steps that it made.
        seconds: what they took, without the handlers that ran inside them.
        longest: seconds of the longest.
        blocks: steps that blocked the loop.
        offences: monotonic times of the latest blocks; ``None``: there were none.
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
        steps: times that it held the loop.
        seconds: for how long in all.
        longest: seconds of the longest.
        blocks: steps that were as long as ``WatchdogPolicy.warn_after``, or longer.
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
    """Copy the times of a partition's handlers, the greatest first."""
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
    """The account that the steps of a partition are charged to."""

    loop: Times | None


class MeteredManager(Protocol):
    """The manager whose handlers are timed."""

    @property
    def name(self) -> str:
        """Its name, by which loop times are kept."""
        ...


class Metered(Protocol):
    """What the meter needs to know of an instance whose steps it times."""

    @property
    def address(self) -> Address:
        """Its identity."""
        ...

    @property
    def partition(self) -> MeteredPartition:
        """The partition that is charged."""
        ...

    @property
    def manager(self) -> MeteredManager:
        """The manager of the instance."""
        ...

    @property
    def agent_name(self) -> str:
        """Qualified name of its agent class."""
        ...


Running: TypeAlias = tuple[M, str, float]
"""An instance, its handler that holds the loop, and the time since which it does."""

BlockListener: TypeAlias = "Callable[[M, str, float, LoopTime], None]"
"""Is given the instance whose step blocked the loop, its handler, and the seconds."""


class Meter(Generic[M]):
    """Times the steps of one host's handlers.

    Args:
        now: monotonic seconds.
        limit: seconds from which on a step blocks the loop.

    Attributes:
        running: the step that holds the loop now.
        ended: monotonic time at which the last one let go of it.
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
        self._named = False  # one of those has blocked the loop, and was told of
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
        """Make a call that is a step of a handler, or a part of one; time it.

        ``began`` is the monotonic time now, which the caller has just looked at.
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
        """Await something in the running task, and time its steps.

        What it waits for goes up to the task, and what the task answers comes down, as
        they are; so timeouts, cancellation and scopes work as if this were not here.
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
            except BaseException as error:  # noqa: ASYNC103, BLE001  it belongs to what is awaited
                step, given = inner.throw, error

    def _judge(
        self, instance: M, handler: str, took: float, own: float, time: LoopTime
    ) -> None:
        """Find out whether this handler has blocked the loop, or one inside it."""
        outermost = self.running is None
        if own >= self._limit or (outermost and not self._named):
            time.blocks += 1
            self._named = not outermost
            if self.on_block is not None:
                seconds = own if own >= self._limit else took
                self.on_block(instance, handler, seconds, time)
        elif outermost:
            self._named = False
