"""Processes that are forked off one that has imported everything, and a pipe from each.

The parent must be single-threaded and run no loop when it forks; it is, in the command
and in the process that a test starts for it.
"""

from __future__ import annotations

import asyncio
import gc
import os
import select
import signal
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from pods import Host

from .agents import Bump, Team, homes
from .events import Event, Say, parse

__all__ = ["Child", "fork", "forked", "warm_up"]

Work = Callable[[Say], Awaitable[None]]


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
class Child:
    """A forked process and what it has said."""

    pid: int
    _end: int
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
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def _read(self) -> None:
        data = os.read(self._end, 65_536)
        self._ended = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._said.extend(map(parse, lines))


def fork(work: Work) -> Child:
    """Run a coroutine in a child; whoever gets it calls ``end``."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(ours)
        _run(work, Say(theirs))
    os.close(theirs)
    return Child(pid, ours)


@contextmanager
def forked(work: Work) -> Generator[Child]:
    """Run a coroutine in a child for the length of the block."""
    child = fork(work)
    try:
        yield child
    finally:
        child.end()


def _run(work: Work, say: Say) -> None:
    status = 1
    try:
        asyncio.run(_awaited(work, say))
        status = 0
    finally:
        os._exit(status)


async def _awaited(work: Work, say: Say) -> None:
    await work(say)
