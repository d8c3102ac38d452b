"""The services of one host for agents and extensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import attrs

from ..agents import HostServices, OnParentStop
from ..errors import InvalidArgument

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Coroutine, Mapping
    from contextlib import AbstractContextManager

    from persistence import Address, Clock, Record, Store, Unit, Writer

    from ..agents import (
        Agent,
        AgentRef,
        Instance,
        ManagerInfo,
        Schedule,
        Timing,
    )
    from ..declaration import Message
    from ..execution import Dispatcher
    from ..fairness import Priority
    from ..lifecycle import Catalog, Removal, Stopping
    from ..loop import BackgroundTasks
    from ..messaging import Delivery, LetterSender, Mailroom
    from ..telemetry import Telemetry

__all__ = ["Services"]

T = TypeVar("T")


@attrs.frozen(eq=False, kw_only=True)
class Services(HostServices):
    """Passes each call on to the part that does it; it has no state of its own.

    The contexts of agents and the extensions of pods hold it.
    """

    catalog: Catalog
    handles: Mapping[str, object]
    """The ``InstanceManager`` objects that users hold, by manager name."""
    delivery: Delivery
    letters: LetterSender
    mailroom: Mailroom
    dispatcher: Dispatcher
    stopping: Stopping
    removal: Removal
    background: BackgroundTasks
    writer: Writer
    telemetry: Telemetry
    clock: Clock

    @property
    def managers(self) -> Mapping[str, ManagerInfo]:
        return self.catalog.managers

    def manager(self, name: str) -> ManagerInfo:
        return self.catalog.manager(name)

    def name_of(self, manager: object) -> str:
        if isinstance(manager, str):
            return self.catalog.manager(manager).name
        for name, own in self.handles.items():
            if own is manager:
                return name
        raise InvalidArgument("manager", manager, "a manager of this host")

    def find(self, address: Address) -> Instance | None:
        return self.catalog.find(address)

    def ref(
        self, address: Address, *, caller: Instance | None = None
    ) -> AgentRef[Agent]:
        return self.catalog.ref(address, caller=caller)

    async def exists(self, address: Address) -> bool:
        return await self.catalog.exists(address)

    def resolve(
        self,
        address: Address,
        parent: Instance | None = None,
        on_parent_stop: OnParentStop = OnParentStop.STOP,
    ) -> Instance:
        return self.catalog.resolve(address, parent, on_parent_stop)

    async def ready(self, address: Address) -> Instance:
        return await self.catalog.ready(address)

    async def live(self, instance: Instance) -> Instance:
        return await self.catalog.live(instance)

    async def live_child(
        self, instance: Instance, parent: Instance, on_parent_stop: OnParentStop
    ) -> Instance:
        return await self.catalog.live_child(instance, parent, on_parent_stop)

    async def start_child(
        self, parent: Instance, address: Address, on_parent_stop: OnParentStop
    ) -> Instance:
        return await self.catalog.start_child(parent, address, on_parent_stop)

    def stop(
        self, instance: Instance, *, discard: bool = False
    ) -> asyncio.Future[None]:
        return self.stopping.stop(instance, discard=discard)

    def fence(self, instance: Instance, error: BaseException) -> None:
        self.removal.fence(instance, error)

    def send(
        self,
        sender: Instance,
        address: Address,
        message: Message[object],
        priority: Priority | None,
    ) -> None:
        self.delivery.send_later(sender, address, message, priority)

    def post(
        self,
        sender: Instance,
        address: Address,
        message: Message[object],
        *,
        timing: Timing | None = None,
        name: str = "",
    ) -> None:
        self.letters.stage(sender, address, message, timing=timing, name=name)

    def cancel_timer(self, sender: Instance, address: Address, name: str) -> None:
        off = self.mailroom.call_off(sender.partition, (address, name))
        sender.staged = [*(sender.staged or ()), off]

    async def schedules(self, address: Address) -> tuple[Schedule, ...]:
        return await self.mailroom.schedules(address)

    def now(self) -> float:
        return self.clock.wall()

    def park(self, instance: Instance) -> bool:
        return self.dispatcher.park(instance)

    async def unpark(self, instance: Instance) -> None:
        await self.dispatcher.unpark(instance)

    async def read(self, call: Callable[[Store], Awaitable[T]], *, partition: str) -> T:
        return await self.catalog.read(call, partition=partition)

    def load(self, address: Address) -> asyncio.Future[tuple[Record, ...]]:
        return self.catalog.reader.load(address)

    def submit(self, unit: Unit) -> asyncio.Future[None]:
        return self.writer.submit(unit)

    def run_beside(
        self, work: Callable[[], Coroutine[object, object, None]], name: str, of: str
    ) -> asyncio.Task[None]:
        return self.background.hold(work, name, of)

    def span(
        self, what: str, manager: str, partition: str
    ) -> AbstractContextManager[None]:
        return self.telemetry.working(what, manager, partition)
