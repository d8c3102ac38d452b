"""An event loop in which time is virtual and a seed decides what runs when.

Nothing waits: when nothing is ready, the clock goes on to the next timer. A plain
callback keeps its place in the queue, as asyncio promises; the step of a task can be
held back a little, as a busy machine would do, and that finds races which shuffling the
queue does not. With the same seed, the same program takes the same steps.
"""

from __future__ import annotations

import asyncio
import functools
import math
import selectors
import threading
from itertools import count
from typing import TYPE_CHECKING, TypeGuard, TypeVar

import attrs

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Callable, Coroutine, Mapping
    from random import Random

    from _typeshed import FileDescriptorLike

__all__ = ["LoopPolicy", "SimulatedLoop", "Stalled"]

T = TypeVar("T")

_START = 1_000.0
_TICK = 1e-5
"""Seconds that one pass costs: a task that spins must not stop the clock."""
_NAMED = 30
_CLEAN_UP = 10_000


class Stalled(AssertionError):
    """A simulation does not go on: every task waits, or none comes to an end.

    Attributes:
        why: what was seen.
        waiting: a line per task that had not ended.
    """

    def __init__(self, why: str, waiting: tuple[str, ...]) -> None:
        super().__init__(why, waiting)
        self.why = why
        self.waiting = waiting

    def __str__(self) -> str:
        lines = [f"{self.why}; {len(self.waiting)} tasks have not ended:"]
        lines += [f"  {line}" for line in self.waiting[:_NAMED]]
        if len(self.waiting) > _NAMED:
            lines.append(f"  and {len(self.waiting) - _NAMED} more")
        return "\n".join(lines)


class _Task(asyncio.Task[T]):
    """Hashes by birth: a set of objects that hash by address has no fixed order."""

    _birth: int | None = None

    def __hash__(self) -> int:
        if self._birth is None:
            self._birth = _next_birth(self.get_loop())
        return self._birth


class _Future(asyncio.Future[T]):
    """Hashes by birth, as the tasks do."""

    _birth: int | None = None

    def __hash__(self) -> int:
        if self._birth is None:
            self._birth = _next_birth(self.get_loop())
        return self._birth


def _next_birth(loop: asyncio.AbstractEventLoop) -> int:
    assert isinstance(loop, SimulatedLoop)
    return next(loop.births)


class _Selector(selectors.BaseSelector):
    """Asks the loop what to do instead of waiting for a file."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.wait: Callable[[float | None], None] = lambda _: None

    def register(
        self, fileobj: FileDescriptorLike, events: int, data: object = None
    ) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def get_map(self) -> Mapping[FileDescriptorLike, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        # A thread of the program's own may have written to the loop.
        found = self._real.select(0) if timeout is None else []
        if not found:
            self.wait(timeout)
        return found


@attrs.frozen(kw_only=True)
class LoopPolicy:
    """What a loop does with the program.

    Attributes:
        hold: share of the steps of tasks that are held back, from 0 to 1.
        hold_seconds: the longest time that a step is held back.
        limit: virtual seconds after which a run has failed to end.
        max_ticks: passes after which it has failed to end.
    """

    hold: float = attrs.field(default=0.0, validator=attrs.validators.ge(0))
    hold_seconds: float = attrs.field(default=0.005, validator=attrs.validators.ge(0))
    limit: float = attrs.field(default=20_000.0, validator=attrs.validators.gt(0))
    max_ticks: int = attrs.field(default=50_000, validator=attrs.validators.ge(1))


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Runs one program; made, used and closed in one thread.

    Attributes:
        ticks: passes so far.
        hold: share of the steps of tasks that are held back; may be changed.
        trace: called with a line for everything that becomes ready; ``None``: no trace.
    """

    def __init__(self, random: Random, policy: LoopPolicy | None = None) -> None:
        self._policy = policy or LoopPolicy()
        self._random = random
        self._virtual = _START
        self._end = _START + self._policy.limit
        self._last_tick = self._policy.max_ticks
        self._at_tick: dict[int, list[Callable[[], object]]] = {}
        self.ticks = 0
        self.births = count()
        self.hold = self._policy.hold
        self.trace: Callable[[str], object] | None = None
        selector = _Selector()
        super().__init__(selector)
        selector.wait = self._pass
        self.set_task_factory(_make_task)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  coroutines only, as everywhere

    def time(self) -> float:
        return self._virtual

    def create_future(self) -> asyncio.Future[object]:
        return _Future(loop=self)

    def at_tick(self, tick: int, callback: Callable[[], object]) -> None:
        """Call something at the beginning of a pass that is still to come."""
        self._at_tick.setdefault(tick, []).append(callback)

    def note(self, what: str) -> None:
        """Add a line to the trace."""
        if self.trace is not None:
            self.trace(f"{self._virtual - _START:12.6f} {self.ticks:7d} {what}")

    def call_soon(
        self,
        callback: Callable[..., object],
        *args: object,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """Queue a callback; the step of a task may be held back."""
        step = isinstance(getattr(callback, "__self__", None), asyncio.Task)
        if self.trace is not None:
            self.note(_described(callback))
        if step and self.hold and self._random.random() < self.hold:
            delay = self._random.random() * self._policy.hold_seconds
            return self.call_later(delay, callback, *args, context=context)
        return super().call_soon(callback, *args, context=context)

    def call_soon_threadsafe(
        self,
        callback: Callable[..., object],
        *args: object,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """Queue a callback; one from this thread needs no wake-up."""
        if threading.get_ident() == getattr(self, "_thread_id", None):
            return self.call_soon(callback, *args, context=context)
        return super().call_soon_threadsafe(callback, *args, context=context)

    def run_in_executor(
        self, executor: object, func: Callable[..., T], *args: object
    ) -> asyncio.Future[T]:
        """Do the work of a thread here, after a moment."""
        future: asyncio.Future[T] = _Future(loop=self)
        self.call_later(self.moment(), _settle, future, functools.partial(func, *args))
        return future

    def moment(self) -> float:
        """Draw the seconds that a small piece of work takes elsewhere."""
        return 1e-4 + self._random.random() * 1e-3

    def waiting(self) -> tuple[str, ...]:
        """Return, for each task that has not ended, where it waits."""
        return tuple(sorted(_where(task) for task in asyncio.all_tasks(self)))

    def _pass(self, timeout: float | None) -> None:
        """Advance the time to the next timer; ``None``: there is none."""
        self.ticks += 1
        self._virtual += _TICK + (timeout or 0.0)
        due = self._at_tick.pop(self.ticks, ())
        for callback in due:
            callback()
        if self._virtual > self._end or self.ticks > self._last_tick:
            why = f"it has not ended after {self._virtual - _START:.0f} virtual seconds"
            self._end, self._last_tick = math.inf, self.ticks + _CLEAN_UP
            raise Stalled(f"{why} and {self.ticks} passes", self.waiting())
        if timeout is None and not due:
            raise Stalled("nothing is ready and no timer runs", self.waiting())


def _make_task(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[object, object, T],
    context: contextvars.Context | None = None,
    name: str | None = None,
) -> asyncio.Task[T]:
    return _Task(coroutine, loop=loop, context=context, name=name)


def _settle(future: asyncio.Future[T], work: Callable[[], T]) -> None:
    if future.done():
        return
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001  it belongs to the caller
        future.set_exception(error)


def _described(callback: object) -> str:
    """Name a callback, with nothing in the name that differs from run to run."""
    while isinstance(callback, functools.partial):
        callback = callback.func
    owner: object = getattr(callback, "__self__", None)
    if _is_task(owner):
        coroutine: object = owner.get_coro()
        return f"step {getattr(coroutine, '__qualname__', '?')}"
    return str(getattr(callback, "__qualname__", type(callback).__qualname__))


def _is_task(value: object) -> TypeGuard[asyncio.Task[object]]:
    return isinstance(value, asyncio.Task)


def _where(task: asyncio.Task[object]) -> str:
    """Name a task and the innermost line of its own code that it waits in."""
    awaited: object = task.get_coro()
    place = "not started"
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None)
        if frame is None:
            break
        place = f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}"
        awaited = getattr(awaited, "cr_await", None)
    return f"{task.get_name()} in {place}"
