"""The mail of one instance: envelopes in order, with a bound.

An instance has no mailbox object until a message has to wait; most never need one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator

import attrs
from opentelemetry.trace import SpanContext

from persistence import Address

from .staging import Delivery
from .tenancy import RequestContext

__all__ = ["Envelope", "Mailbox"]


@attrs.define(eq=False)
class Envelope:
    """A message on its way.

    Attributes:
        message: the payload.
        reply: where the answer goes; ``None`` for a tell.
        chain: who waits for this answer, the first asker first; a cycle shows here.
        span: the sender's span, if it is recorded.
        request: the request it belongs to, if the edge stamped one.
        enqueued: monotonic seconds at which it was accepted.
        delivery: what its being handled commits; ``None`` for most.
    """

    message: object
    reply: asyncio.Future[object] | None = None
    chain: tuple[Address, ...] = ()
    span: SpanContext | None = None
    request: RequestContext | None = None
    enqueued: float = 0.0
    delivery: Delivery | None = None

    def answer(self, value: object) -> None:
        """Deliver the reply, unless the asker has left."""
        if self.reply is not None and not self.reply.done():
            self.reply.set_result(value)

    def fail(self, error: BaseException) -> None:
        """Deliver an error, unless the asker has left."""
        if self.reply is not None and not self.reply.done():
            self.reply.set_exception(error)

    def refuse(self, error: BaseException) -> None:
        """Deal with a message that will not be handled where it is."""
        self.fail(error)
        if self.delivery is not None:
            self.delivery.returned()

    @property
    def abandoned(self) -> bool:
        """Whether nobody wants it handled: its asker has left, or it was called off.

        A request that is remembered by its key is handled even so: whoever asks again
        gets the reply.
        """
        if self.delivery is not None:
            return self.delivery.recalled
        return self.reply is not None and self.reply.done()


class Mailbox:
    """First in, first out, with room for ``capacity`` envelopes."""

    __slots__ = ("_capacity", "_mail")

    def __init__(self, capacity: int, mail: Iterable[Envelope] = ()) -> None:
        self._capacity = capacity
        self._mail: deque[Envelope] = deque(mail)

    def __len__(self) -> int:
        return len(self._mail)

    def __iter__(self) -> Iterator[Envelope]:
        return iter(self._mail)

    def __repr__(self) -> str:
        return f"<Mailbox {len(self._mail)}/{self._capacity}>"

    def put(self, envelope: Envelope) -> None:
        """Append; the sender has looked at ``full`` before anything changed."""
        self._mail.append(envelope)

    def take(self) -> Envelope:
        """Remove the oldest."""
        return self._mail.popleft()
