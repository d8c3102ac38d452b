"""Child processes for handlers that are pure functions of a message.

A child does one call at a time, so one that dies or hangs takes one call with it and
nobody else's. Messages and replies travel pickled between a process and the children
that it has started itself, and nowhere else.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import signal
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from ..errors import OffloadFailed, describe_error

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from persistence import Address

__all__ = ["ChildProcess", "ProcessPool", "serve"]

Pure: TypeAlias = Callable[[object], object]

_PATIENCE = 2.0
"""Seconds that an idle child gets to end before it is killed."""


class ChildProcess:
    """One process and the pipe to it; ``call`` runs in a thread, the rest on the loop.

    Attributes:
        fit: whether it can take another call.
    """

    def __init__(self) -> None:
        self.fit = True
        self._doomed = False
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def __repr__(self) -> str:
        pid = None if self._process is None else self._process.pid
        return f"<Child pid={pid} fit={self.fit}>"

    def call(
        self, address: Address, handler: str, function: Pure, message: object
    ) -> object:
        """Let the process call a function; start it if this is the first time.

        Raises:
            OffloadFailed: the message or the reply does not pickle, or the process
                ended.
            Exception: whatever the function raised.
        """
        try:
            request = pickle.dumps((function, message))
        except Exception as error:
            raise OffloadFailed(address, handler, describe_error(error)) from error
        try:
            pipe = self._pipe or self._start()
            pipe.send_bytes(request)
            answer = pipe.recv_bytes()
        except (EOFError, OSError) as error:
            self.fit = False
            raise OffloadFailed(address, handler, self._obituary()) from error
        succeeded, value = pickle.loads(answer)  # noqa: S301  our own child wrote it
        if succeeded:
            result: object = value
            return result
        if isinstance(value, BaseException):
            raise value
        raise OffloadFailed(address, handler, str(value))

    def kill(self) -> None:
        """End the process, whatever it does; its call fails."""
        self.fit = False
        self._doomed = True
        if self._process is not None:
            self._process.kill()

    def end(self) -> None:
        """Let an idle process end, and wait until it has; in a thread."""
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.join(_PATIENCE)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()

    def _start(self) -> Connection:
        # A forked child would inherit every lock that another thread holds just now.
        spawn = multiprocessing.get_context("spawn")
        here, there = spawn.Pipe()
        process = spawn.Process(target=serve, args=(there,), daemon=True)
        process.start()
        there.close()
        self._process, self._pipe = process, here
        if self._doomed:
            process.kill()
        return here

    def _obituary(self) -> str:
        if self._process is None:
            return "it could not be started"
        self._process.join(_PATIENCE)
        return f"it ended with exit code {self._process.exitcode}"


class ProcessPool:
    """The idle processes of one host.

    Args:
        keep: how many are kept for the next call.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._idle: list[ChildProcess] = []

    def __repr__(self) -> str:
        return f"<Children idle={len(self._idle)}>"

    def __len__(self) -> int:
        return len(self._idle)

    def take(self) -> ChildProcess:
        """Return an idle child, or one that is still to be started."""
        return self._idle.pop() if self._idle else ChildProcess()

    def put(self, child: ChildProcess) -> ChildProcess | None:
        """Keep a child for the next call; return it if it is to be ended instead."""
        if child.fit and len(self._idle) < self._keep:
            self._idle.append(child)
            return None
        return child

    def drain(self) -> list[ChildProcess]:
        """Give up every idle child."""
        idle, self._idle = self._idle, []
        return idle


def serve(pipe: Connection) -> None:
    """Answer calls in a child process until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to act on
    with contextlib.suppress(EOFError, OSError):
        while True:
            pipe.send_bytes(_handle(pipe.recv_bytes()))


def _handle(request: bytes) -> bytes:
    try:
        function, message = pickle.loads(request)  # noqa: S301  our own parent wrote it
        return pickle.dumps((True, function(message)))
    except Exception as error:  # noqa: BLE001  whatever it is, the parent is told
        return _failure(error)


def _failure(error: Exception) -> bytes:
    """Pack an exception, or its description if it cannot travel."""
    try:
        error.add_note("".join(traceback.format_exception(error)))
        packed = pickle.dumps((False, error))
        pickle.loads(packed)  # noqa: S301  a class may pickle and not unpickle
    except Exception:  # noqa: BLE001  its class is the user's
        return pickle.dumps((False, describe_error(error)))
    return packed
