"""How the outcome of a store call reaches the futures that wait for it.

A caller awaits a future and never a connection, so its cancellation ends its own wait
and nothing else. A future is failed with ``set_exception``, never with ``cancel``: a
task that sees a cancellation nobody asked for ends without a word.
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

__all__ = ["Waiter", "attempt", "fail", "own_copy", "settling", "succeed", "tell_all"]

T = TypeVar("T")


def _never() -> bool:
    """Stand for somebody who does not leave."""
    return False


@attrs.define(eq=False)
class Waiter(Generic[T]):
    """Whoever is told an outcome by a call, in the same pass of the loop.

    A future for each would take a pass and several calls more.

    Attributes:
        told: gets the outcome, or the error.
        context: what it is called in; nothing else may run there meanwhile.
        left: says whether nobody wants to know any more.
    """

    told: Callable[[T | PodsError], object]
    context: contextvars.Context
    left: Callable[[], bool] = _never

    def tell(self, outcome: T | PodsError) -> None:
        """Tell the outcome; whoever fails at hearing it harms no other."""
        try:
            self.context.run(self.told, outcome)
        except Exception as error:  # noqa: BLE001  as the loop does with a callback
            what = {"message": "the outcome of a store call", "exception": error}
            asyncio.get_running_loop().call_exception_handler(what)

    def tell_later(self, outcome: T | PodsError) -> None:
        """Tell the outcome in the next pass of the loop."""
        loop = asyncio.get_running_loop()
        loop.call_soon(self.told, outcome, context=self.context)


def tell_all(outcomes: Iterable[tuple[Waiter[T], T | PodsError]]) -> None:
    """Tell each its outcome; if a key press ends that, the rest are told later."""
    rest = iter(outcomes)
    try:
        for waiter, outcome in rest:
            waiter.tell(outcome)
    finally:
        for waiter, outcome in rest:
            waiter.tell_later(outcome)


def settling(future: asyncio.Future[T]) -> Callable[[T | PodsError], None]:
    """Return what settles a future when it is told an outcome."""

    def told(outcome: T | PodsError) -> None:
        if isinstance(outcome, PodsError):
            fail(future, outcome)
        else:
            succeed(future, outcome)

    return told


async def attempt(call: Awaitable[T]) -> T:
    """Await a call of the store; a cancellation that nobody asked for is an error.

    Raises:
        StoreUnavailable: the call ended as cancelled while its task was not.
    """
    try:
        return await call
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        reason = "the driver broke it off"
        raise StoreUnavailable("the call", reason) from error  # noqa: ASYNC104  no cancellation of ours


def succeed(future: asyncio.Future[T], value: T) -> None:
    """Resolve a future, unless its waiter has left."""
    if not future.done():
        future.set_result(value)


def fail(future: asyncio.Future[T], error: Exception) -> None:
    """Fail a future, unless its waiter has left; one that nobody awaits stays quiet."""
    if not future.done():
        future.set_exception(error)
        future.exception()  # marks it as seen: asyncio would log it otherwise


def own_copy(operation: str, error: Exception) -> PodsError:
    """Make an error of one waiter's own from one that many share.

    An exception collects the traceback of every task that raises it. A foreign error
    becomes ``StoreUnavailable``; only its type is named, as its text may quote a state.
    """
    if isinstance(error, PodsError):
        own = copy.copy(error)
    else:
        own = StoreUnavailable(operation, f"{type(error).__name__} in the driver")
    own.__cause__ = error
    return own
