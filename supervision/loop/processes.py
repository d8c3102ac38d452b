"""Child processes for handlers that are pure functions of a message.

A child does one call at a time, so a child that dies or hangs loses one call and no
other. Messages and replies are pickled only between a process and the children that it
has started itself.
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
"""Seconds that a child gets to end before it is killed."""


class ChildProcess:
    """One process and the pipe to it.

    It is started by its first call. ``call`` and ``end`` run in a thread, the rest on
    the loop. ``execution`` uses it for one call at a time.

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
        return f"<ChildProcess pid={pid} fit={self.fit}>"

    def call(
        self, address: Address, handler: str, function: Pure, message: object
    ) -> object:
        """Run a function in the process, and return its result; block until then.

        Raises:
            OffloadFailed: the message or the reply does not pickle, or the process
                ended.
            Exception: the exception that the function raised.
        """
        try:
            request = pickle.dumps((function, message))
        except Exception as error:
            raise OffloadFailed(address, handler, describe_error(error)) from error
        try:
            pipe = self._pipe or self._start_process()
            pipe.send_bytes(request)
            answer = pipe.recv_bytes()
        except (EOFError, OSError) as error:
            self.fit = False
            raise OffloadFailed(address, handler, self._exit_reason()) from error
        succeeded, value = pickle.loads(answer)  # noqa: S301  our own child wrote it
        if succeeded:
            result: object = value
            return result
        if isinstance(value, BaseException):
            raise value
        raise OffloadFailed(address, handler, str(value))

    def kill(self) -> None:
        """End the process at once; its call fails."""
        self.fit = False
        self._doomed = True
        if self._process is not None:
            self._process.kill()

    def end(self) -> None:
        """Close the pipe of an idle process, and block until the process has ended."""
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.join(_PATIENCE)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()

    def _start_process(self) -> Connection:
        # Not fork: the child would inherit every lock that another thread holds then.
        spawn = multiprocessing.get_context("spawn")
        here, there = spawn.Pipe()
        process = spawn.Process(target=serve, args=(there,), daemon=True)
        process.start()
        there.close()
        self._process, self._pipe = process, here
        if self._doomed:
            process.kill()
        return here

    def _exit_reason(self) -> str:
        if self._process is None:
            return "it could not be started"
        self._process.join(_PATIENCE)
        return f"it ended with exit code {self._process.exitcode}"


class ProcessPool:
    """The idle child processes of one host.

    Args:
        keep: idle processes that are kept for the next call.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._idle: list[ChildProcess] = []

    def __repr__(self) -> str:
        return f"<ProcessPool idle={len(self._idle)}>"

    def __len__(self) -> int:
        return len(self._idle)

    def take(self) -> ChildProcess:
        """Return an idle child, or a new one that its first call starts."""
        return self._idle.pop() if self._idle else ChildProcess()

    def put(self, child: ChildProcess) -> ChildProcess | None:
        """Keep a child for the next call; return it if the caller has to end it."""
        if child.fit and len(self._idle) < self._keep:
            self._idle.append(child)
            return None
        return child

    def drain(self) -> list[ChildProcess]:
        """Remove and return every idle child."""
        idle, self._idle = self._idle, []
        return idle


def serve(pipe: Connection) -> None:
    """Answer calls in a child process until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the parent
    with contextlib.suppress(EOFError, OSError):
        while True:
            pipe.send_bytes(_handle(pipe.recv_bytes()))


def _handle(request: bytes) -> bytes:
    try:
        function, message = pickle.loads(request)  # noqa: S301  our own parent wrote it
        return pickle.dumps((True, function(message)))
    except Exception as error:  # noqa: BLE001  the parent gets every exception
        return _pack_failure(error)


def _pack_failure(error: Exception) -> bytes:
    """Pickle an exception, or its description if it does not pickle."""
    try:
        error.add_note("".join(traceback.format_exception(error)))
        packed = pickle.dumps((False, error))
        pickle.loads(packed)  # noqa: S301  a class may pickle and not unpickle
    except Exception:  # noqa: BLE001  its class is user code
        return pickle.dumps((False, describe_error(error)))
    return packed
