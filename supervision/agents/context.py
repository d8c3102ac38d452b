"""What an agent sees of the world: itself, its family and its own partition."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, TypeVar, overload

from persistence import Address, Key, check_key, check_partition

from ..errors import AgentNotFound, InvalidArgument, InvalidSchedule
from ..loop import on_loop
from .extension import Traits
from .family import ancestors_of
from .parking import Parked
from .phases import OnParentStop
from .ref import AgentRef, Referable
from .timers import Schedule, timer_id, timing

if TYPE_CHECKING:
    from datetime import datetime

    from ..declaration import Message
    from ..fairness import Priority
    from ..host import InstanceManager
    from ..tenants import RequestContext, TenantPolicy
    from .agent import Agent
    from .instance import Instance
    from .services import HostServices

__all__ = ["PLAIN", "AgentContext"]

Ref_co = TypeVar("Ref_co", covariant=True)


class AgentContext:
    """The view from inside one instance, got with ``self.context``.

    Every call works in the instance's own partition, and none takes another. Refs that
    come from here know whose handler uses them: an ``ask`` through one gives the
    turn's seat to others while it waits and refuses to wait in a circle, and a
    ``tell`` leaves only when the turn is committed.
    """

    __slots__ = ("_instance", "_services")

    def __init__(self, services: HostServices, instance: Instance) -> None:
        self._services = services
        self._instance = instance

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address.manager} {self.address.key!r}>"

    @property
    def address(self) -> Address:
        """The identity of this instance."""
        return self._instance.address

    @property
    def partition(self) -> str:
        """The partition it lives in."""
        return self._instance.address.partition

    @property
    def key(self) -> Key:
        """Its key inside its manager."""
        return self._instance.address.key

    @property
    def request(self) -> RequestContext | None:
        """The request that the current message belongs to, if the edge stamped one."""
        current = self._instance.current
        return None if current is None else current.request

    @property
    def policy(self) -> TenantPolicy:
        """What this tenant may use; the same from the begin of a turn to its end."""
        return self._instance.policy_in_force()

    @property
    def incarnation(self) -> int:
        """Number of this agent object, unique in its partition while the host runs.

        It changes when the instance restarts after a crash, and when it thaws.
        """
        return self._instance.incarnation

    @property
    def parent(self) -> AgentRef[Agent] | None:
        """The parent, live or hibernated; ``None`` for a root."""
        address = self._instance.parent_address
        if address is None:
            return None
        return self._services.ref(address, caller=self._instance)

    @property
    def me(self) -> AgentRef[Agent]:
        """A ref to this very instance."""
        return self._services.ref(self.address, caller=self._instance)

    @property
    def ancestors(self) -> tuple[AgentRef[Agent], ...]:
        """The parent, its parent, and so on to the root, live or hibernated.

        What stands above one that hibernates is what was stored when this instance
        became live. An ancestor whose manager this host does not have is left out.
        """
        return tuple(
            self._services.ref(address, caller=self._instance)
            for address in ancestors_of(self._instance, self._services.find)
            if address.manager in self._services.managers
        )

    @property
    def children(self) -> tuple[AgentRef[Agent], ...]:
        """The live children."""
        return tuple(
            self._services.ref(child.address, caller=self._instance)
            for child in self._instance.children
        )

    @overload
    def ref(self, manager: InstanceManager[Referable[Ref_co]], key: Key) -> Ref_co: ...

    @overload
    def ref(self, manager: str, key: Key) -> AgentRef[Agent]: ...

    def ref(
        self, manager: InstanceManager[Referable[Ref_co]] | str, key: Key
    ) -> Ref_co | AgentRef[Agent]:
        """Return a ref without starting anything; the first message will.

        Raises:
            UnknownManager: no manager of that name.
            InvalidKey: not a valid key.
        """
        address = self._address_of(manager, key)
        return self._services.ref(address, caller=self._instance)

    @overload
    async def get(
        self, manager: InstanceManager[Referable[Ref_co]], key: Key
    ) -> Ref_co: ...

    @overload
    async def get(self, manager: str, key: Key) -> AgentRef[Agent]: ...

    async def get(
        self, manager: InstanceManager[Referable[Ref_co]] | str, key: Key
    ) -> Ref_co | AgentRef[Agent]:
        """Start or thaw an instance of this partition and return a ref to it.

        Raises:
            Quarantined: it may not start.
            StartFailed: it could not be started.
        """
        ref = self.ref(manager, key)
        await self._services.ready(self._address_of(manager, key))
        return ref

    def tell(
        self,
        target: AgentRef[object] | Address,
        message: Message[object],
        *,
        durable: bool = False,
        priority: Priority | None = None,
    ) -> None:
        """Send a message when, and only when, this turn is committed.

        A durable one is stored in this turn's commit and removed in the commit of the
        turn that handles it: it survives a crash, waits for a target that is full or in
        quarantine, and its effect on stored state happens once. It speaks for no
        request: ``context.request`` is ``None`` where it is handled.

        Args:
            target: a ref of this partition.
            message: what to send.
            durable: whether it is stored on its way.
            priority: how urgent it is among the messages of the partition; by default,
                and if it is durable, as its class says.

        Raises:
            AgentNotFound: the target is not in this partition.
            InvalidArgument: the target is no ref.
            MailboxFull: the target has no room now, and the message is not durable.
            Overloaded: the partition or the host has no room.
            MailroomFull: the partition has too many letters.
            NotHandled: the target has no handler for it.
            UnstorableMessage: it is to be durable and has no stored form.
        """
        address = self._own(_address_of(target))
        if durable:
            on_loop(self._services.post, self._instance, address, message)
        else:
            on_loop(self._services.send, self._instance, address, message, priority)

    def schedule(  # noqa: PLR0913  three ways to say when
        self,
        message: Message[object],
        *,
        after: float | None = None,
        at: datetime | None = None,
        cron: str | None = None,
        timezone: str = "UTC",
        name: str | None = None,
        target: AgentRef[object] | None = None,
    ) -> None:
        """Send a durable message later, once or again and again.

        It is stored in this turn's commit. When it is due it wakes its target, if that
        hibernates. Times that pass while no host runs are made up for by one message.

        Args:
            message: what to send.
            after: seconds from now.
            at: a moment, with its time zone.
            cron: a rule of five fields, such as ``"0 9 * * mon-fri"``.
            timezone: the IANA name of the zone in which the rule is meant.
            name: what ``unschedule`` calls it; a timer of the same name and target is
                replaced. A rule needs one.
            target: its receiver; by default this instance.

        Raises:
            InvalidSchedule: not exactly one of the three, or it says no time.
            AgentNotFound: the target is not in this partition.
            MailroomFull: the partition has too many letters.
            NotHandled: the target has no handler for it.
            UnstorableMessage: the message has no stored form.
        """
        address = self.address if target is None else self._own(_address_of(target))
        if cron is not None and name is None:
            reason = "a rule has no end, so it needs a name= to be called off by"
            raise InvalidSchedule("cron", cron, reason)
        found = timing(
            now=self._services.now(),
            after=after,
            at=at,
            cron=cron,
            timezone=timezone,
        )
        own_name = "" if name is None else timer_id(name)
        post_later = functools.partial(self._services.post, timing=found, name=own_name)
        on_loop(post_later, self._instance, address, message)

    def unschedule(self, name: str, *, target: AgentRef[object] | None = None) -> None:
        """Call a timer off, when and only when this turn is committed.

        One that is being handled takes effect; a name that no timer has is no
        error.

        Raises:
            InvalidSchedule: not a name.
            AgentNotFound: the target is not in this partition.
        """
        address = self.address if target is None else self._own(_address_of(target))
        on_loop(self._services.cancel_timer, self._instance, address, timer_id(name))

    async def schedules(self) -> tuple[Schedule, ...]:
        """List the timers of this instance that are stored, the next one first.

        What this very turn has scheduled is not among them yet.
        """
        return await self._services.schedules(self.address)

    def _own(self, address: Address) -> Address:
        if check_partition(address.partition) != self.partition:
            raise AgentNotFound(address.manager, address.key)
        return address

    def parked(self) -> Parked:
        """Give this turn's seat to others while it waits for something outside.

        ::

            async with self.context.parked():
                answer = await client.post(url)

        Inside the block the turn holds no seat and is charged nothing; leaving it waits
        until it has one again, ahead of what has not begun. Keep work of the handler's
        own outside. An ``ask`` does this by itself.
        """
        return Parked(self._services, self._instance)

    @overload
    async def spawn(
        self,
        manager: InstanceManager[Referable[Ref_co]],
        key: Key,
        *,
        on_parent_stop: OnParentStop = ...,
    ) -> Ref_co: ...

    @overload
    async def spawn(
        self, manager: str, key: Key, *, on_parent_stop: OnParentStop = ...
    ) -> AgentRef[Agent]: ...

    async def spawn(
        self,
        manager: InstanceManager[Referable[Ref_co]] | str,
        key: Key,
        *,
        on_parent_stop: OnParentStop = OnParentStop.STOP,
    ) -> Ref_co | AgentRef[Agent]:
        """Start an instance as a child of this one, or take it back as such.

        Raises:
            LineageRefused: it has another parent, or is an ancestor.
            Quarantined: it may not start.
            StartFailed: it could not be started.
        """
        ref = self.ref(manager, key)
        await self._services.start_child(
            self._instance, self._address_of(manager, key), on_parent_stop
        )
        return ref

    @overload
    async def adopt(
        self,
        manager: InstanceManager[Referable[Ref_co]],
        key: Key,
        *,
        on_parent_stop: OnParentStop = ...,
    ) -> Ref_co: ...

    @overload
    async def adopt(
        self, manager: str, key: Key, *, on_parent_stop: OnParentStop = ...
    ) -> AgentRef[Agent]: ...

    async def adopt(
        self,
        manager: InstanceManager[Referable[Ref_co]] | str,
        key: Key,
        *,
        on_parent_stop: OnParentStop = OnParentStop.STOP,
    ) -> Ref_co | AgentRef[Agent]:
        """Take an existing instance of this partition as a child.

        Raises:
            AgentNotFound: nothing of that key is live or stored in this partition.
            LineageRefused: it has another parent, or is an ancestor.
        """
        ref = self.ref(manager, key)
        address = self._address_of(manager, key)
        if not await self._services.exists(address):
            raise AgentNotFound(address.manager, address.key)
        await self._services.start_child(self._instance, address, on_parent_stop)
        return ref

    def _address_of(self, manager: InstanceManager[object] | str, key: Key) -> Address:
        name = self._services.name_of(manager)
        return Address(self.partition, name, check_key(key))


def _address_of(target: object) -> Address:
    # Takes an object: it is for callers without a type checker.
    if not isinstance(target, AgentRef):
        raise InvalidArgument("target", target, "a ref, such as self.context.ref(...)")
    return target.address


PLAIN = Traits(ref=AgentRef, view=AgentContext)
"""The traits of an agent that is nothing more."""
