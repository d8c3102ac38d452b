"""The agents that are measured."""

from __future__ import annotations

import asyncio

import attrs

from pods import Agent, Message, handler

__all__ = ["Bump", "BumpLater", "Countdown", "Counter", "Tick", "Trio"]


@attrs.define(eq=False)
class Countdown:
    """Tells when so many things have happened."""

    left: int
    done: asyncio.Future[None] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.done = asyncio.get_running_loop().create_future()

    def tick(self) -> None:
        self.left -= 1
        if not self.left:
            self.done.set_result(None)


class Bump(Message[int]):
    pass


class BumpLater(Message[int]):
    pass


class Tick(Message[None]):
    countdown: Countdown


class Counter(Agent):
    """One number."""

    n: int = 0

    @handler
    def bump(self, message: Bump) -> int:
        self.n += 1
        return self.n

    @handler
    async def bump_later(self, message: BumpLater) -> int:
        await asyncio.sleep(0)
        self.n += 1
        return self.n

    @handler
    def tick(self, message: Tick) -> None:
        message.countdown.tick()


class Trio(Agent):
    """Three fields, as small agents have."""

    n: int = 0
    title: str = "untitled"
    ratio: float = 0.0

    @handler
    def bump(self, message: Bump) -> int:
        self.n += 1
        return self.n
