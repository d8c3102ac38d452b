"""Processes that are forked off one that has imported everything, and a pipe from each.

The parent must be single-threaded and run no loop when it forks; it is, in the command
and in the process that a test starts for it.
"""

from __future__ import annotations

import asyncio
import faulthandler
import functools
import gc
import os
import select
import signal
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import attrs

from pods import Host

from .agents import Bump, Team, homes
from .events import Event, Say, parse
from .stalls import Patience, spent_by

__all__ = ["ChildProcess", "fork", "forked", "warm_up"]

Work = Callable[[Say], Awaitable[None]]

_SLICE = 0.25
"""Seconds between two looks at what a process does with its time."""
_THREADS, _TASKS = signal.SIGUSR1, signal.SIGUSR2
_TOLD = 0.3
"""Seconds that a process gets to say where each of its threads and tasks stands."""


def warm_up() -> None:
    """Import all that a child would import, and keep it from the collector."""

    async def once(file: Path) -> None:
        async with Host(file) as host:
            here = homes(host)
            await (await here.meters.get("a", partition="acme")).ask(Bump())
            team = await Team.get(here.teams, "a", partition="acme")
            await team.nodes()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(once(Path(folder) / "warm.db"))
    gc.collect()
    gc.freeze()


@attrs.define(eq=False)
class ChildProcess:
    """A forked process and what it has said."""

    pid: int
    _end: int
    _story: int
    _rest: bytes = b""
    _ended: bool = False
    _said: deque[Event] = attrs.field(factory=deque[Event])

    def listen(self, until: float) -> Iterator[Event]:
        """Yield what it says until a moment of the monotonic clock, or its end."""
        while self._said or not self._ended:
            if self._said:
                yield self._said.popleft()
                continue
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._end], [], [], left)[0]:
                return
            self._read()

    def patiently(self, patience: Patience) -> Iterator[Event]:
        """Yield what it says until it ends, or has had its time."""
        while not self.ended:
            yield from self.listen(time.monotonic() + _SLICE)
            if patience.is_over(time.monotonic(), spent_by(self.pid)):
                return

    def where(self) -> str:
        """Return where each thread and each task of it stands, or why it ended."""
        if not self.ended:
            for question in (_THREADS, _TASKS):
                os.kill(self.pid, question)
                time.sleep(_TOLD)
        return os.pread(self._story, 1 << 20, 0).decode(errors="replace")

    def kill(self) -> Iterator[Event]:
        """Kill it, and yield what it had said before."""
        os.kill(self.pid, signal.SIGKILL)
        while not self._ended:
            self._read()
        yield from self._said

    @property
    def ended(self) -> bool:
        """Whether it has said its last."""
        return self._ended and not self._said

    def end(self) -> None:
        """Make sure that nothing of it is left."""
        os.close(self._end)
        os.close(self._story)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def _read(self) -> None:
        data = os.read(self._end, 65_536)
        self._ended = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._said.extend(map(parse, lines))


def fork(work: Work) -> ChildProcess:
    """Run a coroutine in a child; whoever gets it calls ``end``."""
    ours, theirs = os.pipe()
    story = os.memfd_create("story")
    pid = os.fork()
    if not pid:
        os.close(ours)
        _run(work, Say(theirs), story)
    os.close(theirs)
    return ChildProcess(pid, ours, story)


@contextmanager
def forked(work: Work) -> Generator[ChildProcess]:
    """Run a coroutine in a child for the length of the block."""
    child = fork(work)
    try:
        yield child
    finally:
        child.end()


def _run(work: Work, say: Say, story: int) -> None:
    status = 1
    with os.fdopen(story, "w") as file:
        faulthandler.register(_THREADS, file=file)
        try:
            asyncio.run(_awaited(work, say, file))
            status = 0
        except BaseException:  # noqa: BLE001  whoever started it reads why
            traceback.print_exc(file=file)
            file.flush()
        finally:
            os._exit(status)


async def _awaited(work: Work, say: Say, story: TextIO) -> None:
    tell = functools.partial(_tell_tasks, story)
    asyncio.get_running_loop().add_signal_handler(_TASKS, tell)
    await work(say)


def _tell_tasks(story: TextIO) -> None:
    for task in asyncio.all_tasks():
        story.write(f"Task {task.get_name()}:\n")
        story.writelines(f"  {line}\n" for line in _lines_of(task))
    story.flush()


def _lines_of(task: asyncio.Task[object]) -> Iterator[str]:
    """Say where a task waits, the innermost call last."""
    awaited: object = task.get_coro()
    while (frame := getattr(awaited, "cr_frame", None)) is not None:
        yield f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
        awaited = getattr(awaited, "cr_await", None)
