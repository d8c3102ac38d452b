"""Time limits of the asks that wait for a reply.

Nearly all waits end with a reply, and a timer of the event loop costs more than the
rest of such a wait. An ask waits as long as its manager's policy says, unless it names
a time of its own. Of the asks that wait equally long the oldest is due first, so one
timer is enough for all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import AskTimeout, HostClosed

if TYPE_CHECKING:
    from persistence import Address, Clock, Handle

    from ..agents import Envelope

__all__ = ["Deadlines", "expire"]


class Deadlines:
    """The asks of one host that wait equally long, the oldest first.

    There is one timer at most, and there is one while an ask waits. ``Delivery`` makes
    one object for each length, and ``Calls`` adds and removes the asks.

    Args:
        clock: monotonic time, and the timer.
        seconds: how long each ask waits.
    """

    __slots__ = ("_asks", "_clock", "_seconds", "_timer")

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._asks: dict[Envelope, tuple[float, Address]] = {}
        self._timer: Handle | None = None

    def __repr__(self) -> str:
        return f"<Deadlines waiting={len(self._asks)}>"

    def add(self, envelope: Envelope, address: Address) -> None:
        """Start the wait of an ask, which fails unless it is removed in time."""
        self._asks[envelope] = (self._clock.monotonic() + self._seconds, address)
        if self._timer is None:
            self._timer = self._clock.call_later(self._seconds, self._expire_due)

    def remove(self, envelope: Envelope) -> None:
        """Forget an ask that has ended. The timer stays, as another ask comes soon."""
        self._asks.pop(envelope, None)

    def close(self) -> None:
        """Fail all asks that still wait, as the host is closed and cannot reply."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        left, self._asks = self._asks, {}
        for envelope in left:
            envelope.fail(HostClosed())

    def _expire_due(self) -> None:
        """Fail the asks that are due, and set the timer for the next one."""
        self._timer = None
        now = self._clock.monotonic()
        while self._asks:
            envelope, (due, address) = next(iter(self._asks.items()))
            if due > now:
                self._timer = self._clock.call_later(due - now, self._expire_due)
                return
            del self._asks[envelope]
            expire(envelope, address, self._seconds)


def expire(envelope: Envelope, address: Address, seconds: float) -> None:
    """Fail an ask with ``AskTimeout``, as no reply came in time."""
    name = type(envelope.message).__qualname__
    envelope.fail(AskTimeout(address, name, seconds))
