"""Threads for handlers that would block the loop, and the way back to it.

They belong to one host and are daemons: one that hangs costs itself, holds neither the
loop nor the end of the process, and is named. The loop's default executor is not used;
it is one queue for everybody.
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
        address: whose it is.
        handler: its name.
        loop: where its turn waits for it.
        abandoned: the turn is over without it; what it does no longer counts.
    """

    address: Address
    handler: str
    loop: asyncio.AbstractEventLoop
    abandoned: bool = False

    def call(self, call: Callable[..., T], *arguments: object) -> T:
        """Call something on the loop, and wait in this thread for what it returns.

        Raises:
            OutOfRuntime: the turn is over.
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
"""The job of the thread that runs here: it says where the loop is, no more."""


def on_loop(call: Callable[..., T], *arguments: object) -> T:
    """Call something that may only run on the loop, from wherever a handler runs."""
    job = OFFLOADED_CALL.get()
    return call(*arguments) if job is None else job.call(call, *arguments)


class _Thread:
    __slots__ = ("jobs",)

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()


class Threads:
    """Runs calls in threads: idle ones first, new ones if there are none."""

    def __init__(self) -> None:
        self._idle: deque[_Thread] = deque()
        self._closed = False

    def __repr__(self) -> str:
        return f"<Threads idle={len(self._idle)}>"

    def run(self, call: Callable[[], None]) -> None:
        """Run a call that raises nothing; never blocks."""
        try:
            thread = self._idle.pop()
        except IndexError:
            thread = _Thread()
            threading.Thread(
                target=self._serve, args=(thread,), name="podvisor-offload", daemon=True
            ).start()
        thread.jobs.put(call)

    def close(self) -> None:
        """Let idle threads end now, and the others after what they run."""
        self._closed = True
        while self._idle:
            self._idle.pop().jobs.put(None)

    def _serve(self, thread: _Thread) -> None:
        while True:
            try:
                call = thread.jobs.get(timeout=_IDLE)
            except queue.Empty:
                try:
                    self._idle.remove(thread)
                except ValueError:  # just taken: its work is on the way
                    continue
                return
            if call is None:
                return
            call()
            del call  # a thread that waits must not hold what it ran last
            if self._closed:
                return
            self._idle.append(thread)
