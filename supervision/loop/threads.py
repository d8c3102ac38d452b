"""Threads for handlers that would block the loop, and the way back to it.

They belong to one host and are daemons: a thread that hangs holds neither the loop nor
the end of the process, and the log names its handler. The default executor of the loop
is not used: it is one queue for all tenants.
"""

from __future__ import annotations

import concurrent.futures
import contextvars
import queue
import threading
from collections import deque
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

import attrs

from ..errors import OutOfRuntime

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from persistence import Address

__all__ = ["OFFLOADED_CALL", "OffloadedCall", "Threads", "on_loop"]

T = TypeVar("T")

_IDLE = 10.0
"""Seconds after which a thread without work ends."""


@attrs.define(eq=False)
class OffloadedCall:
    """A handler that runs outside the loop.

    Attributes:
        address: its instance.
        handler: its name.
        loop: the loop on which its turn waits for it.
        abandoned: the turn ended before it; its result has no effect.
    """

    address: Address
    handler: str
    loop: asyncio.AbstractEventLoop
    abandoned: bool = False

    def call(self, call: Callable[..., T], *arguments: object) -> T:
        """Call something on the loop, and wait in this thread for what it returns.

        Raises:
            OutOfRuntime: the turn has ended.
        """
        box: concurrent.futures.Future[T] = concurrent.futures.Future()

        def answer() -> None:
            if self.abandoned:
                box.set_exception(OutOfRuntime(self.handler))
                return
            try:
                box.set_result(call(*arguments))
            except BaseException as error:  # noqa: ASYNC103, BLE001  it belongs to the thread
                box.set_exception(error)

        context = contextvars.copy_context()
        context.run(OFFLOADED_CALL.set, None)
        self.loop.call_soon_threadsafe(answer, context=context)
        return box.result()


OFFLOADED_CALL: ContextVar[OffloadedCall | None] = ContextVar(
    "podvisor_job", default=None
)
"""The call that runs in this thread, and so the way to its loop."""


def on_loop(call: Callable[..., T], *arguments: object) -> T:
    """Call a function on the loop, from the loop or from the thread of a handler."""
    offloaded = OFFLOADED_CALL.get()
    if offloaded is None:
        return call(*arguments)
    return offloaded.call(call, *arguments)


class _Thread:
    __slots__ = ("calls",)

    def __init__(self) -> None:
        self.calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()


class Threads:
    """Runs calls in idle threads, or in new ones if no thread is idle."""

    def __init__(self) -> None:
        self._idle: deque[_Thread] = deque()
        self._closed = False

    def __repr__(self) -> str:
        return f"<Threads idle={len(self._idle)}>"

    def run(self, call: Callable[[], None]) -> None:
        """Run a call, which must not raise, in a thread; never block."""
        try:
            thread = self._idle.pop()
        except IndexError:
            thread = _Thread()
            threading.Thread(
                target=self._serve, args=(thread,), name="podvisor-offload", daemon=True
            ).start()
        thread.calls.put(call)

    def close(self) -> None:
        """End idle threads now, and each other thread after its call."""
        self._closed = True
        while self._idle:
            self._idle.pop().calls.put(None)

    def _serve(self, thread: _Thread) -> None:
        while True:
            try:
                call = thread.calls.get(timeout=_IDLE)
            except queue.Empty:
                try:
                    self._idle.remove(thread)
                except ValueError:  # taken in between: its call arrives next
                    continue
                return
            if call is None:
                return
            call()
            del call  # an idle thread must not keep its last call alive
            if self._closed:
                return
            self._idle.append(thread)
