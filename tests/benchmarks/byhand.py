"""What podvisor is held against in memory: the same by hand, and nothing beside it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Generator

from .agents import Countdown

__all__ = [
    "DequeActor",
    "QueueActor",
    "consumers",
    "coroutine",
    "echo",
    "running",
]


class DequeActor:
    """The leanest actor with a task: a deque, and a future to be woken by."""

    __slots__ = ("_mail", "_n", "_wake")

    def __init__(self) -> None:
        self._mail: deque[asyncio.Future[int]] = deque()
        self._wake: asyncio.Future[None] | None = None
        self._n = 0

    def ask(self) -> asyncio.Future[int]:
        reply: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._mail.append(reply)
        if self._wake is not None:
            self._wake.set_result(None)
            self._wake = None
        return reply

    async def serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while self._mail:
                self._n += 1
                self._mail.popleft().set_result(self._n)
            self._wake = loop.create_future()
            await self._wake


class QueueActor:
    """The actor that anybody would write first: an ``asyncio.Queue``."""

    def __init__(self) -> None:
        self.mail: asyncio.Queue[asyncio.Future[int]] = asyncio.Queue()
        self._n = 0

    async def ask(self) -> int:
        reply: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        await self.mail.put(reply)
        return await reply

    async def serve(self) -> None:
        while True:
            reply = await self.mail.get()
            self._n += 1
            reply.set_result(self._n)


@contextlib.contextmanager
def running(actors: list[DequeActor]) -> Generator[None]:
    """Give each actor a task for a while."""
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(actor.serve()) for actor in actors]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


@contextlib.asynccontextmanager
async def echo() -> AsyncGenerator[tuple[asyncio.Queue[int], asyncio.Queue[int]]]:
    """Send back what comes, from a task of its own."""
    there: asyncio.Queue[int] = asyncio.Queue()
    back: asyncio.Queue[int] = asyncio.Queue()

    async def serve() -> None:
        while True:
            await back.put(await there.get())

    task = asyncio.get_running_loop().create_task(serve())
    try:
        yield there, back
    finally:
        task.cancel()


@contextlib.asynccontextmanager
async def consumers(count: int) -> AsyncGenerator[list[asyncio.Queue[Countdown]]]:
    """Take what comes in so many queues, each in a task."""
    queues: list[asyncio.Queue[Countdown]] = [asyncio.Queue() for _ in range(count)]

    async def serve(queue: asyncio.Queue[Countdown]) -> None:
        while True:
            (await queue.get()).tick()

    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(serve(queue)) for queue in queues]
    try:
        yield queues
    finally:
        for task in tasks:
            task.cancel()


async def coroutine() -> int:
    """Suspend once, as the handler does that it is held against."""
    await asyncio.sleep(0)
    return 1
