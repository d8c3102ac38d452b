"""How the outcome of a store call reaches the callers that wait for it.

A caller waits for a future or a callback and never for a connection. So its
cancellation ends its own wait and nothing else. A future is failed with
``set_exception``, never with ``cancel``: a task that sees a cancellation which was not
requested ends without an error.
"""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Generic, TypeVar

import attrs

from ..errors import StoreUnavailable
from ..identity import PodsError

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Awaitable, Callable, Iterable

__all__ = [
    "Waiter",
    "fail",
    "guarded",
    "own_copy",
    "queue_full",
    "report_all",
    "resolver_of",
    "succeed",
]

T = TypeVar("T")


def _never() -> bool:
    """Return that the wait was not cancelled; for callers that cannot cancel it."""
    return False


@attrs.define(eq=False)
class Waiter(Generic[T]):
    """A callback that gets the outcome of one store call, and its context.

    The writer and the reader keep one for each unit and each load. The callbacks of a
    batch are called in one pass of the loop: a future for each would take one more pass
    and several calls.

    Attributes:
        callback: gets the outcome, or the error.
        context: the context in which the callback runs; nothing else may run in it at
            the same time.
        is_cancelled: returns whether the outcome is not wanted any more.
    """

    callback: Callable[[T | PodsError], object]
    context: contextvars.Context
    is_cancelled: Callable[[], bool] = _never

    def report(self, outcome: T | PodsError) -> None:
        """Call the callback; if it raises, the loop's exception handler gets the error.

        So a callback that raises does not keep the outcome from others in its batch.
        """
        try:
            self.context.run(self.callback, outcome)
        except Exception as error:  # noqa: BLE001  as the loop does with a callback
            what = {"message": "the outcome of a store call", "exception": error}
            asyncio.get_running_loop().call_exception_handler(what)

    def report_later(self, outcome: T | PodsError) -> None:
        """Call the callback in the next pass of the loop."""
        loop = asyncio.get_running_loop()
        loop.call_soon(self.callback, outcome, context=self.context)


def report_all(outcomes: Iterable[tuple[Waiter[T], T | PodsError]]) -> None:
    """Report each outcome; after a ``KeyboardInterrupt``, the rest in the next pass."""
    rest = iter(outcomes)
    try:
        for waiter, outcome in rest:
            waiter.report(outcome)
    finally:
        for waiter, outcome in rest:
            waiter.report_later(outcome)


def resolver_of(future: asyncio.Future[T]) -> Callable[[T | PodsError], None]:
    """Return a callback that resolves a future with an outcome, or fails it."""

    def resolve(outcome: T | PodsError) -> None:
        if isinstance(outcome, PodsError):
            fail(future, outcome)
        else:
            succeed(future, outcome)

    return resolve


async def guarded(call: Awaitable[T]) -> T:
    """Await a call of the store; a cancellation by the driver becomes an error.

    Raises:
        StoreUnavailable: the call ended as cancelled while its task was not.
    """
    try:
        return await call
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        reason = "the driver cancelled it"
        raise StoreUnavailable("the call", reason) from error  # noqa: ASYNC104  the task itself was not cancelled


def succeed(future: asyncio.Future[T], value: T) -> None:
    """Resolve a future, unless it is done: its caller was cancelled."""
    if not future.done():
        future.set_result(value)


def fail(future: asyncio.Future[T], error: Exception) -> None:
    """Fail a future, unless it is done; asyncio logs nothing if it is never awaited."""
    if not future.done():
        future.set_exception(error)
        future.exception()  # marks it as retrieved: asyncio would log it otherwise


def own_copy(operation: str, error: Exception) -> PodsError:
    """Return a copy of an error that many callers share, for one of them.

    Each needs its own, as an exception collects the traceback of every task that raises
    it. A foreign error becomes ``StoreUnavailable``. That names only its type, as its
    text may quote a state.
    """
    if isinstance(error, PodsError):
        own = copy.copy(error)
    else:
        own = StoreUnavailable(operation, f"{type(error).__name__} in the driver")
    own.__cause__ = error
    return own


def queue_full(operation: str, where: str) -> StoreUnavailable:
    """Return the error for a call that is refused because too many wait already."""
    return StoreUnavailable(operation, f"too many of them already wait in {where}")
