"""Typed handles to instances.

A ref holds an identity, not an object: it stays good while the instance hibernates,
crashes and comes back, and a message to a hibernated instance thaws it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, NoReturn, Protocol, Self, TypeVar, final

from ..errors import AgentNotFound, NotPicklable

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from persistence import Address, Key

    from ..declaration import Message
    from ..fairness import Priority
    from ..loop import Meter
    from ..tenants import RequestContext
    from .extension import Extension
    from .instance import Instance

__all__ = ["AgentRef", "Attachment", "Port", "Referable"]

A_co = TypeVar("A_co", covariant=True)
R = TypeVar("R")
Ref_co = TypeVar("Ref_co", covariant=True)


class Referable(Protocol[Ref_co]):
    """An agent class that says which kind of ref it is reached through.

    This is how ``manager.get`` is an ``AgentRef`` for an agent and a ``PodRef`` for a
    pod, in the type checker as well as at run time.
    """

    def __ref__(self) -> Ref_co:
        """Return a ref to this very instance."""
        ...


class Port(Protocol):
    """What a ref needs of the manager behind it.

    Attributes:
        meter: knows which handler holds the loop; a plain attribute, as every ask reads
            it.
    """

    meter: Meter[Instance]

    @property
    def extension(self) -> Extension | None:
        """What the agent class adds to the life of its instances; pods have one."""
        ...

    def find(self, address: Address) -> Instance | None:
        """Return the instance that stands at an address, in whatever phase."""
        ...

    def ask(
        self,
        ref: AgentRef[object],
        message: Message[object],
        seconds: float | None,
        priority: Priority | None,
    ) -> Coroutine[object, object, object]:
        """Deliver a message and wait for the reply."""
        ...

    def ask_once(
        self,
        ref: AgentRef[object],
        message: Message[object],
        seconds: float | None,
        priority: Priority | None,
        key: str,
    ) -> Coroutine[object, object, object]:
        """Deliver a message that is handled once, and wait for the reply."""
        ...

    def post(
        self, ref: AgentRef[object], message: Message[object]
    ) -> Coroutine[object, object, None]:
        """Deliver a durable message; it is stored when this returns."""
        ...

    def tell(
        self,
        ref: AgentRef[object],
        message: Message[object],
        priority: Priority | None,
        *,
        hurry: bool,
    ) -> bool:
        """Deliver a message, unless its partition has done enough in this pass.

        Returns:
            Whether it was delivered. With ``hurry`` it is.
        """
        ...

    def attach(self, ref: AgentRef[object], by: int) -> None:
        """Count one attachment more or less."""
        ...


class AgentRef(Generic[A_co]):
    """A handle to one instance, for as long as its host runs.

    Attributes:
        instance: where it was last found; only a shortcut, never an identity.
        caller: the instance in whose handlers it is used; ``None`` outside of any.
        request: the edge's context that its messages carry.
    """

    __slots__ = ("_address", "_port", "caller", "instance", "request")

    def __init__(
        self,
        port: Port,
        address: Address,
        instance: Instance | None = None,
        *,
        caller: Instance | None = None,
        request: RequestContext | None = None,
    ) -> None:
        self._port = port
        self._address = address
        self.instance = instance
        self.caller = caller
        self.request = request

    def __repr__(self) -> str:
        # The partition stays out: a ref printed into a prompt must not name a tenant.
        return f"<{type(self).__name__} {self._address.manager} {self._address.key!r}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AgentRef) and self._address == other._address

    def __hash__(self) -> int:
        return hash(self._address)

    @final
    def __reduce__(self) -> NoReturn:
        raise NotPicklable(type(self).__name__)

    @property
    def address(self) -> Address:
        """Who this is: partition, manager and key."""
        return self._address

    @property
    def key(self) -> Key:
        """The key inside the manager and the partition."""
        return self._address.key

    @property
    def incarnation(self) -> int | None:
        """Number of the live agent object, unique in its partition; ``None``: not live.

        The same number twice says that nothing has restarted or thawed in between.
        """
        instance = self._port.find(self._address)
        return None if instance is None or not instance.live else instance.incarnation

    def ask(
        self,
        message: Message[R],
        *,
        timeout: float | None = None,
        priority: Priority | None = None,
        idempotency_key: str | None = None,
    ) -> Coroutine[object, object, R]:
        """Send a request and wait for its reply.

        With ``Durability.TURN`` the reply comes after the commit: what it says is
        stored. A cancelled or timed-out call has an unknown outcome; the handler is
        not interrupted.

        Args:
            message: a ``Message[R]``; the reply is an ``R``.
            timeout: seconds to wait; by default the manager's ``ask_timeout``.
            priority: how urgent it is among the messages of its partition; by default
                as its class says.
            idempotency_key: names the request at this instance, for as long as
                ``MailPolicy.remember_replies`` says. The same request with the same
                key gets the reply of the first time, and no handler runs; so a caller
                that does not know the outcome asks again. A request that failed is not
                remembered.

        Raises:
            AgentNotFound: a handler has a ref of another partition in its hands.
            AskTimeout: no reply in time.
            AskCycle: asked from a handler, and the other waits for this one.
            MailboxFull: not accepted.
            Overloaded: not accepted either; the partition or the host has no room.
            NotHandled: no handler takes the message.
            Quarantined: the instance may not start.
            StartFailed: it could not be started.
            StoreError: the turn was undone because it could not be saved.
            AgentCrashed: the handler ended with something that is no ``Exception``.
            IdempotencyMismatch: the key was used for another request.
            UnstorableMessage: a request with a key, or its reply, has no stored form.
            Exception: whatever the handler raised, with a note that says where.
        """
        here = self if self._port.meter.running is None else self._here()
        if idempotency_key is not None:
            key = idempotency_key
            return self._port.ask_once(here, message, timeout, priority, key)  # type: ignore[return-value]  # pyright: ignore[reportReturnType]  as below
        # The handler's reply type was held against R when its class was read.
        return self._port.ask(here, message, timeout, priority)  # type: ignore[return-value]  # pyright: ignore[reportReturnType]

    async def tell(
        self,
        message: Message[object],
        *,
        durable: bool = False,
        priority: Priority | None = None,
    ) -> None:
        """Send a message without waiting for it to be handled.

        It is accepted when this returns, and may have been handled; it is handled once,
        unless the process ends first. A durable one is stored when this returns, and
        handled even so; see ``AgentContext.tell``. Inside a handler both belong to the
        turn, as ``self.context.tell`` does.

        Args:
            message: what to send.
            durable: whether it is stored on its way.
            priority: how urgent it is among the messages of its partition; by default,
                and if it is durable, as its class says.

        Raises:
            AgentNotFound: a handler has a ref of another partition in its hands.
            MailroomFull: the partition has too many letters.
            UnstorableMessage: it is to be durable and has no stored form.
            StoreError: it is to be durable and could not be stored.
            MailboxFull: not accepted.
            Overloaded: not accepted either; the partition or the host has no room.
            NotHandled: no handler takes the message.
            Quarantined: the instance may not start.
        """
        here = self if self._port.meter.running is None else self._here()
        if durable:
            await self._port.post(here, message)
            return
        if not self._port.tell(here, message, priority, hurry=False):
            await asyncio.sleep(
                0
            )  # a loop of tells must not keep the others from theirs
            self._port.tell(here, message, priority, hurry=True)

    def count_attachment(self, by: int) -> None:
        """Hold the instance once more or less; ``attached`` does it in pairs."""
        self._port.attach(self._here() if by > 0 else self, by)

    def attached(self) -> Attachment:
        """Keep the instance from idle hibernation inside an ``async with``."""
        return Attachment(self)

    def _here(self) -> Self:
        """Return this ref bound to the handler that uses it now.

        A ref may reach a handler in a message, and was then made for another caller:
        its sends would leave without the turn, and into the partition that it names.
        The step that holds the loop tells which handler it is. That can only take away
        what the ref allows; it opens no way to anything.

        Raises:
            AgentNotFound: the ref is of another partition than the handler.
        """
        running = self._port.meter.running
        if running is None or running[0] is self.caller or not _on_the_loop():
            return self
        user = running[0]
        if user.address.partition != self._address.partition:
            raise AgentNotFound(self._address.manager, self._address.key)
        return type(self)(self._port, self._address, self.instance, caller=user)


class Attachment:
    """An ``async with`` block during which an instance does not hibernate when idle."""

    def __init__(self, ref: AgentRef[object]) -> None:
        self._ref = ref

    async def __aenter__(self) -> None:
        self._ref.count_attachment(1)

    async def __aexit__(self, *_: object) -> None:
        self._ref.count_attachment(-1)


def _on_the_loop() -> bool:
    """Return whether this is the thread of an event loop, and no handler's thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
