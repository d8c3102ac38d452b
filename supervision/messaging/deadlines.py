"""When asks that wait for a reply give up.

A timer of the event loop costs more than the rest of a wait that ends well, as nearly
all do. Asks wait as long as their manager's policy says, unless they say otherwise; of
those that wait equally long the oldest falls due first, and one timer does for all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import AskTimeout, HostClosed

if TYPE_CHECKING:
    from persistence import Address, Clock, Handle

    from ..agents import Envelope

__all__ = ["Deadlines", "expire"]


class Deadlines:
    """The asks of one host that wait equally long.

    Args:
        clock: the time.
        seconds: how long each waits.
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
        """Let an ask fail unless it is removed in time."""
        self._asks[envelope] = (self._clock.monotonic() + self._seconds, address)
        if self._timer is None:
            self._timer = self._clock.call_later(self._seconds, self._look)

    def remove(self, envelope: Envelope) -> None:
        """Forget an ask, which is over. The timer stays: another comes soon."""
        self._asks.pop(envelope, None)

    def close(self) -> None:
        """Let those fail that still wait, as nobody is there to answer them."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        left, self._asks = self._asks, {}
        for envelope in left:
            envelope.fail(HostClosed())

    def _look(self) -> None:
        """Let those fail that are due, and come again when the next one is."""
        self._timer = None
        now = self._clock.monotonic()
        while self._asks:
            envelope, (due, address) = next(iter(self._asks.items()))
            if due > now:
                self._timer = self._clock.call_later(due - now, self._look)
                return
            del self._asks[envelope]
            expire(envelope, address, self._seconds)


def expire(envelope: Envelope, address: Address, seconds: float) -> None:
    """Tell an asker that no reply came in time."""
    name = type(envelope.message).__qualname__
    envelope.fail(AskTimeout(address, name, seconds))
