"""The mail of one instance: envelopes in the order in which they are handled.

An instance has no mailbox object until a message has to wait; most never need one.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ..fairness import Priority

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from opentelemetry.trace import SpanContext

    from persistence import Address

    from ..fairness import PartitionBacklog
    from ..tenants import RequestContext
    from .staging import Acknowledgement

__all__ = ["Envelope", "Mailbox"]


class Envelope:
    """A message on its way.

    Most of what it may carry it does not; those defaults stand in the class, where they
    cost nothing when one is made.

    Attributes:
        message: the payload.
        reply: where the answer goes; ``None`` for a tell.
        chain: addresses that wait for this answer, the first asker first; an ask that
            would close a circle is seen here.
        span: the sender's span, if it is recorded.
        request: the request it belongs to, if the edge stamped one.
        enqueued: monotonic seconds at which it was accepted.
        delivery: what its being handled commits; ``None`` for most.
        priority: how urgent it is; ``None``: as its class says.
    """

    reply: asyncio.Future[object] | None = None
    chain: tuple[Address, ...] = ()
    span: SpanContext | None = None
    enqueued: float = 0.0
    delivery: Acknowledgement | None = None
    priority: Priority | None = None

    def __init__(self, message: object, request: RequestContext | None = None) -> None:
        self.message = message
        self.request = request

    def __repr__(self) -> str:
        return f"<Envelope {type(self.message).__qualname__}>"

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
        """Whether it need not be handled: its asker has left, or it was called off.

        A request that is remembered by its key is handled even so: a caller that asks
        again gets the reply.
        """
        if self.delivery is not None:
            return self.delivery.recalled
        return self.reply is not None and self.reply.done()


class Mailbox:
    """The messages that wait for one instance, in a lane per priority.

    Within a lane first in, first out. Between lanes the older comes first, where a
    message counts as younger than it is by the penalty of its priority.

    Attributes:
        waiting: how many there are; to look at it costs less than ``len``.
    """

    __slots__ = ("_backlog", "_lanes", "_normal", "waiting")

    def __init__(self, backlog: PartitionBacklog) -> None:
        self.waiting = 0
        self._backlog = backlog
        self._normal: deque[Envelope] = deque()
        self._lanes: dict[Priority, deque[Envelope]] | None = None

    def __len__(self) -> int:
        return self.waiting

    def __iter__(self) -> Iterator[Envelope]:
        yield from self._normal
        for lane in () if self._lanes is None else self._lanes.values():
            yield from lane

    def __repr__(self) -> str:
        return f"<Mailbox {len(self)}>"

    def put(self, envelope: Envelope) -> Priority:
        """Append, and say to which lane; the sender has looked for room before."""
        self._backlog.put()
        self.waiting += 1
        priority = envelope.priority
        if priority is None:
            priority = _priority_of(envelope.message)
        if priority is Priority.NORMAL:
            self._normal.append(envelope)
        else:
            if self._lanes is None:
                self._lanes = {}
            self._lanes.setdefault(priority, deque()).append(envelope)
        return priority

    def head(self) -> Envelope:
        """Return the message that is next; there must be one."""
        lane = self._normal if self._lanes is None else self._first()[1]
        return lane[0]

    def take(self) -> Envelope:
        """Remove the message that is next; there must be one."""
        self._backlog.take()
        self.waiting -= 1
        lane = self._normal if self._lanes is None else self._first()[1]
        return lane.popleft()

    def urgency(self, now: float) -> Priority:
        """Return the priority of the next message: the highest, when it waited enough.

        An instance goes to the tail after every turn; what its messages have waited
        for already must not be lost with that.
        """
        priority, lane = self._first()
        penalties = self._backlog.admission.policy.penalties
        aged = lane[0].enqueued + penalties[priority] <= now
        return Priority.URGENT if aged else priority

    def _first(self) -> tuple[Priority, deque[Envelope]]:
        if self._lanes is None:
            return Priority.NORMAL, self._normal
        penalties = self._backlog.admission.policy.penalties
        found = [pair for pair in self._lanes.items() if pair[1]]
        if self._normal:
            found.append((Priority.NORMAL, self._normal))
        return min(found, key=lambda pair: pair[1][0].enqueued + penalties[pair[0]])


def _priority_of(message: object) -> Priority:
    # A message may have a field of that name, or its class none at all.
    found: object = getattr(type(message), "priority", None)
    return found if isinstance(found, Priority) else Priority.NORMAL
