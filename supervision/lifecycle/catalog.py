"""How instances are found: looked up, published when they are not there, waited for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from persistence import Address, Clock, Reader, check_key, check_partition

from ..agents import SETTLED, Instance, OnParentStop, Partition, Phase, attach_child
from ..errors import (
    HostClosed,
    InvalidArgument,
    Quarantined,
    UnknownManager,
    UnknownTenant,
)
from .ancestry import refuse_circle

if TYPE_CHECKING:
    from ..agents import Agent, AgentRef, ManagerInfo
    from ..execution import Dispatcher
    from ..host import InstanceManager, Oversight
    from ..placement import Ownership
    from .activation import Activation
    from .reattachment import Reattachment
    from .registry import Registry
    from .stopping import Stopping

__all__ = ["Catalog"]


class Catalog:
    """The half of a runtime that finds what is named; the other makes the parts.

    Attributes:
        managers: the managers of the host, by name.
        registries: the instances in memory, by the name of their manager.
        partitions: what the host knows of each partition.
        open: whether it is running.
    """

    managers: dict[str, InstanceManager[Agent]]
    registries: dict[str, Registry]
    partitions: dict[str, Partition]
    open: bool
    clock: Clock
    reader: Reader
    ownership: Ownership
    dispatcher: Dispatcher
    reattachment: Reattachment
    activation: Activation
    oversight: Oversight
    stopping: Stopping

    def manager(self, name: str) -> InstanceManager[Agent]:
        """Return a manager of this host.

        Raises:
            UnknownManager: none of that name.
        """
        _check_name(name)
        found = self.managers.get(name)
        if found is None:
            raise UnknownManager(name, tuple(self.managers))
        return found

    def owned(self, manager: object) -> InstanceManager[Agent]:
        """Return a manager of this host, given by itself or by its name.

        Raises:
            UnknownManager: none of that name.
            InvalidArgument: no manager, or one of another host.
        """
        if isinstance(manager, str):
            return self.manager(manager)
        for own in self.managers.values():
            if own is manager:
                return own
        raise InvalidArgument("manager", manager, "a manager of this host")

    def partition(self, name: str) -> Partition:
        """Return what the host knows of a partition, from its first use on.

        Raises:
            UnknownTenant: it is not known, and unknown ones are refused.
        """
        # A text that is known has been checked; what only looks like one is no key.
        found = self.partitions.get(name) if type(name) is str else None
        if found is None:
            policy_in_force = self.oversight.tenants.policy(check_partition(name))
            found = Partition(name, self.dispatcher.backlog(name), policy_in_force)
            self.partitions[name] = found
        return found

    def find(self, address: Address) -> Instance | None:
        """Return the instance that stands at an address, in whatever phase."""
        registry = self.registries.get(address.manager)
        return (
            None if registry is None else registry.find(address.partition, address.key)
        )

    def ref(
        self, address: Address, *, caller: Instance | None = None
    ) -> AgentRef[Agent]:
        """Make a ref to an address, for the use of a handler if ``caller`` is given."""
        info = self.manager(address.manager).info
        request = None
        if caller is not None and caller.current is not None:
            request = caller.current.request
        return info.ref(
            info.port, address, self.find(address), caller=caller, request=request
        )

    def resolve(
        self,
        address: Address,
        parent: Instance | None = None,
        on_parent_stop: OnParentStop = OnParentStop.STOP,
    ) -> Instance:
        """Find the instance at an address, or publish one and begin to start it.

        Raises:
            HostClosed: the host is not running.
            Quarantined: the instance may not start.
            StaleOwner: the partition belongs to another host now.
            LineageRefused: it cannot be the child of ``parent``.
            AgentNotFound: it was a node of a live pod, and was removed.
        """
        instance = self.find(address)
        if instance is not None and instance.live:
            leaving = instance.phase is Phase.STOPPING
            if parent is not None and instance.parent is not parent and not leaving:
                attach_child(instance, parent, on_parent_stop)
            return instance
        info = self.manager(address.manager).info
        check_key(address.key)  # an address made by hand has not been looked at yet
        return self.publish(address, info, parent, on_parent_stop)

    def publish(
        self,
        address: Address,
        info: ManagerInfo,
        parent: Instance | None = None,
        on_parent_stop: OnParentStop = OnParentStop.STOP,
    ) -> Instance:
        """Put an instance where none is live, and begin to start it.

        Args:
            address: a valid one.
            info: that of its manager.
            parent: whose child it is to be.
            on_parent_stop: what becomes of it when that one stops.

        Raises:
            PodsError: as ``resolve``.
        """
        partition = self.partition(address.partition)
        self.may_start(partition, address)
        instance = Instance(address, info, partition)
        if partition.crashed:
            instance.crashes = partition.crashed.pop((info.name, address.key), None)
        home = (
            (parent, on_parent_stop) if parent else self.reattachment.at_once(address)
        )
        if home is not None:
            attach_child(instance, *home)
        self.registries[address.manager].add(instance)
        self.activation.begin(instance)
        return instance

    def may_start(self, partition: Partition, address: Address) -> None:
        """Check that an instance may be started now.

        Raises:
            HostClosed: the host is not running.
            NotServed: the host was told to leave the partition to others.
            UnknownTenant: the partition was removed from the directory.
            StaleOwner: the partition belongs to another host.
            Quarantined: the instance is in quarantine.
        """
        if not self.open or self.stopping.closing:
            raise HostClosed
        if partition.refused:
            raise UnknownTenant(partition.name)
        self.ownership.check(partition)
        if partition.quarantined:
            mark = partition.quarantined.get((address.manager, address.key))
            if mark is not None:
                raise Quarantined(address, mark.reason)

    async def ready(self, address: Address) -> Instance:
        """Return the live instance of an address, started or thawed if need be."""
        return await self.live(self.resolve(address))

    async def live(self, instance: Instance) -> Instance:
        """Wait until an instance is live and has all that ``get`` promises."""
        if not instance.live:  # nobody would tell those who wait for this one
            instance = self.resolve(instance.address)
        if instance.phase not in SETTLED:
            await self.started(instance)
            instance = self.find(instance.address) or instance
        instance.used = self.clock.monotonic()
        if instance.manager.extension is not None:
            await instance.manager.extension.ready(instance)
        return instance

    def started(self, instance: Instance) -> asyncio.Future[None]:
        """Return a future that is told when an instance is live, or why it is not."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if instance.waiters is None:
            instance.waiters = [waiter]
        else:
            instance.waiters.append(waiter)
        return waiter

    async def start_child(
        self, parent: Instance, address: Address, on_parent_stop: OnParentStop
    ) -> Instance:
        """Start an instance as the child of another, or attach it.

        Raises:
            LineageRefused: it has another parent, or is an ancestor.
        """
        await refuse_circle(self, parent, address)
        instance = self.resolve(address, parent, on_parent_stop)
        instance = await self.live_child(instance, parent, on_parent_stop)
        self.activation.flush(instance)
        return instance

    async def live_child(
        self, instance: Instance, parent: Instance, on_parent_stop: OnParentStop
    ) -> Instance:
        """Wait until a resolved child is live; it may have stopped and come again."""
        instance = await self.live(instance)
        if instance.parent is not parent and parent.live:
            attach_child(instance, parent, on_parent_stop)
        return instance

    async def exists(self, address: Address) -> bool:
        """Say whether anything of an address is live or stored."""
        instance = self.find(address)
        if instance is not None and instance.live:
            return True
        return bool(await self.reader.load(address))


def _check_name(name: object) -> None:
    # Takes an object: it is for callers without a type checker.
    if not isinstance(name, str):
        raise InvalidArgument("manager", name, "the name of a manager")
