"""What the suites of supervision and pods share: time, small agents, ways to wait."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from itertools import count
from typing import TypeVar

import attrs

from persistence import Store, StoreUnavailable
from supervision import Agent, AgentRef, Message, handler

__all__ = [
    "KINDS",
    "Add",
    "AddLater",
    "Burn",
    "Counter",
    "Crash",
    "CrashLater",
    "Declined",
    "Journal",
    "MakeStore",
    "ManualClock",
    "Note",
    "NoteLater",
    "Odd",
    "Read",
    "ReadAll",
    "Stubborn",
    "Tick",
    "Wait",
    "answer",
    "eventually",
    "explode",
    "home_of",
    "offline",
    "spin",
]

T = TypeVar("T")

MakeStore = Callable[[], Store]
"""Opens the same data again and again, as a process that is started again would."""


class _Timer:
    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ManualClock:
    """A clock that stands still until it is advanced; callbacks fire in order."""

    def __init__(self, start: float = 1_000.0) -> None:
        self._now = start
        self._order = count()
        self._due: list[tuple[float, int, _Timer]] = []

    def monotonic(self) -> float:
        return self._now

    def wall(self) -> float:
        return 1_800_000_000.0 + self._now

    def call_later(self, delay: float, callback: Callable[[], object]) -> _Timer:
        timer = _Timer(callback)
        heapq.heappush(self._due, (self._now + delay, next(self._order), timer))
        return timer

    def pending(self) -> int:
        """Count the callbacks that were not called off."""
        return sum(1 for _, _, timer in self._due if timer.callback is not None)

    def advance(self, seconds: float) -> None:
        """Let time pass, and run what falls due at the moment it does."""
        end = self._now + seconds
        while self._due and self._due[0][0] <= end:
            at, _, timer = heapq.heappop(self._due)
            self._now = max(self._now, at)
            if timer.callback is not None:
                callback, timer.callback = timer.callback, None
                callback()
        self._now = end


async def eventually(holds: Callable[[], object]) -> None:
    """Let others run until a condition holds; the limit only ends a test that hangs."""
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110  any condition, not one event
            await asyncio.sleep(0)


async def spin(turns: int = 50) -> None:
    """Let everything that can run without I/O run."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def answer(call: Coroutine[object, object, T]) -> T | BaseException:
    """Await a call and return what it raised instead of raising it."""
    try:
        return await call
    except BaseException as error:  # noqa: BLE001  the test looks at it
        return error


def offline() -> StoreUnavailable:
    """Make the error of a medium that refuses."""
    return StoreUnavailable("save", "the disk is full")


def home_of(ref: AgentRef[Agent]) -> str:
    """Return the name of the manager behind a ref, for agents that spawn."""
    return ref.address.manager


class Odd(BaseException):
    """Neither an ``Exception`` nor anything that Python knows."""


class Declined(Exception):
    """An answer, not a crash."""


KINDS = (
    "exception",
    "group",
    "system-exit",
    "generator-exit",
    "base-exception",
    "cancelled",
)
"""The ways in which a handler can end that are no return."""


def explode(kind: str) -> None:
    """Raise one of ``KINDS``."""
    match kind:
        case "exception":
            raise RuntimeError(kind)
        case "group":
            raise ExceptionGroup(kind, [ValueError("one"), KeyError("two")])
        case "system-exit":
            raise SystemExit(kind)
        case "generator-exit":
            raise GeneratorExit(kind)
        case "base-exception":
            raise Odd(kind)
        case "cancelled":
            raise asyncio.CancelledError(kind)
        case _:
            raise ValueError(kind)


class Add(Message[int]):
    n: int = 1


class AddLater(Message[int]):
    n: int = 1


class Read(Message[int]):
    pass


class Burn(Message[int]):
    """Change the state, then raise what a ``raises=`` declares."""


class Crash(Message[None]):
    kind: str = "exception"


class CrashLater(Message[None]):
    kind: str = "exception"


class Wait(Message[str]):
    """Say when the handler is entered, and stay until the gate opens."""

    entered: asyncio.Event = attrs.field(factory=asyncio.Event)
    gate: asyncio.Event = attrs.field(factory=asyncio.Event)


class Stubborn(Message[str]):
    """As ``Wait``, but the handler swallows every cancellation."""

    entered: asyncio.Event = attrs.field(factory=asyncio.Event)
    gate: asyncio.Event = attrs.field(factory=asyncio.Event)


class Tick(Message[None]):
    """Append a mark to a list that the test holds."""

    log: list[str]
    mark: str


class Counter(Agent):
    """Simple state: one number."""

    n: int = 0

    @handler
    def add(self, message: Add) -> int:
        self.n += message.n
        return self.n

    @handler
    async def add_later(self, message: AddLater) -> int:
        self.n += message.n
        await asyncio.sleep(0)
        return self.n

    @handler
    def read(self, message: Read) -> int:
        return self.n

    @handler(raises=(Declined,))
    def burn(self, message: Burn) -> int:
        self.n = -1
        raise Declined("no")

    @handler
    def crash(self, message: Crash) -> None:
        self.n = -1
        explode(message.kind)

    @handler
    async def crash_later(self, message: CrashLater) -> None:
        self.n = -1
        await asyncio.sleep(0)
        explode(message.kind)

    @handler
    async def wait(self, message: Wait) -> str:
        message.entered.set()
        await message.gate.wait()
        return "done"

    @handler
    async def endure(self, message: Stubborn) -> str:
        message.entered.set()
        while not message.gate.is_set():
            try:
                await message.gate.wait()
            except asyncio.CancelledError:
                continue
        return "done"

    @handler
    def tick(self, message: Tick) -> None:
        message.log.append(message.mark)


class Note(Message[int]):
    text: str
    then: str = ""
    """A kind of end, or nothing to succeed."""


class NoteLater(Message[int]):
    text: str
    then: str = ""


class ReadAll(Message[tuple[str, ...]]):
    pass


class Journal(Agent):
    """State that can be changed in place."""

    lines: list[str] = attrs.field(factory=list[str])

    @handler
    def note(self, message: Note) -> int:
        self.lines.append(message.text)
        if message.then:
            explode(message.then)
        return len(self.lines)

    @handler
    async def note_later(self, message: NoteLater) -> int:
        self.lines.append(message.text)
        await asyncio.sleep(0)
        if message.then:
            explode(message.then)
        return len(self.lines)

    @handler
    def read_all(self, message: ReadAll) -> tuple[str, ...]:
        return tuple(self.lines)
