"""Where instances are found: looked up, published when absent, and waited for.

Publish first, activate after: a new instance stands in its registry before anything of
it is read, so a second caller finds the same one and waits with the first.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import attrs

from persistence import Address, Clock, Reader, Store, check_key, check_partition

from ..agents import (
    SETTLED,
    Instance,
    OnParentStop,
    Partition,
    Phase,
    attach_child,
)
from ..errors import (
    HostClosed,
    InvalidArgument,
    Quarantined,
    UnknownManager,
    UnknownTenant,
)
from .ancestry import refuse_circle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ..agents import Agent, AgentRef, ManagerInfo
    from ..fairness import PartitionBacklog
    from ..placement import Ownership
    from ..tenants import TenantDirectory
    from .activation import Activation
    from .host_state import HostState
    from .reattachment import Reattachment
    from .registry import Registries

__all__ = ["Catalog"]

T = TypeVar("T")


@attrs.define(eq=False)
class Catalog:
    """The managers, partitions and instances of one host.

    Attributes:
        registries: the instances in memory.
        managers: what the instances of each manager share, by its name.
        partitions: those that the host has met, by id.
        tenants: admits partitions, with their policies.
        new_backlog: makes the counts of a partition.
        ownership: claims partitions.
        reattachment: finds the parent of an instance.
        activation: starts instances.
        reader: asks the store.
        state: whether the host takes work.
        clock: monotonic time of the last use.
    """

    registries: Registries
    managers: dict[str, ManagerInfo]
    partitions: dict[str, Partition]
    tenants: TenantDirectory
    new_backlog: Callable[[str], PartitionBacklog]
    ownership: Ownership
    reattachment: Reattachment
    activation: Activation
    reader: Reader
    state: HostState
    clock: Clock
    find: Callable[[Address], Instance | None] = attrs.field(init=False)
    """Returns the instance that stands at an address, in whatever phase."""

    def __attrs_post_init__(self) -> None:
        self.find = self.registries.find

    def __repr__(self) -> str:
        return (
            f"<Catalog managers={len(self.managers)} partitions={len(self.partitions)}>"
        )

    def manager(self, name: str) -> ManagerInfo:
        """Return what the instances of a manager share.

        Raises:
            UnknownManager: none of that name.
            InvalidArgument: the name is no text.
        """
        _check_name(name)
        found = self.managers.get(name)
        if found is None:
            raise UnknownManager(name, tuple(self.managers))
        return found

    def partition(self, name: str) -> Partition:
        """Return what the host knows of a partition, from its first use on.

        Raises:
            UnknownTenant: the directory admits no unknown partitions.
            InvalidPartition: not a valid partition id.
        """
        # Known ids were validated before. A str subclass may hash as one of them, so
        # only an exact str takes the short cut.
        found = self.partitions.get(name) if type(name) is str else None
        if found is None:
            policy = self.tenants.policy(check_partition(name))
            found = Partition(name, self.new_backlog(name), policy)
            self.partitions[name] = found
        return found

    async def claim(self, name: str) -> Partition:
        """Return a partition that this host owns.

        Raises:
            HostClosed: the host is not running.
            NotServed: this host leaves the partition to others.
            StaleOwner: another host has claimed it.
            StoreError: it could not be claimed.
        """
        self.state.check_open()
        partition = self.partition(name)
        await self.ownership.owned(partition)
        return partition

    async def read(self, call: Callable[[Store], Awaitable[T]], *, partition: str) -> T:
        """Ask the store something, in a task of the library.

        Args:
            call: the question.
            partition: the partition whose turn it takes; ``HOST``: the host's own.

        Raises:
            HostClosed: the host is not running.
        """
        self.state.check_open()
        return await self.reader.ask(call, partition=partition)

    def ref(
        self, address: Address, *, caller: Instance | None = None
    ) -> AgentRef[Agent]:
        """Make a ref to an address, for the use of a handler if ``caller`` is given."""
        info = self.manager(address.manager)
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
            StaleOwner: another host has claimed the partition.
            LineageRefused: it cannot be the child of ``parent``.
            AgentNotFound: it was a node of a live pod, and was removed.
        """
        instance = self.find(address)
        if instance is not None and instance.live:
            leaving = instance.phase is Phase.STOPPING
            if parent is not None and instance.parent is not parent and not leaving:
                attach_child(instance, parent, on_parent_stop)
            return instance
        info = self.manager(address.manager)
        check_key(address.key)  # an address made by hand was not validated yet
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
            info: what the instances of its manager share.
            parent: the live parent that it is to have.
            on_parent_stop: what becomes of it when the parent stops.

        Raises:
            PodsError: as ``resolve``.
        """
        partition = self.partition(address.partition)
        self.may_start(partition, address)
        instance = Instance(address, info, partition)
        if partition.crashed:
            instance.crashes = partition.crashed.pop((info.name, address.key), None)
        home = (
            (parent, on_parent_stop)
            if parent
            else self.reattachment.parent_in_memory(address)
        )
        if home is not None:
            attach_child(instance, *home)
        self.registries.by_manager[info.name].add(instance)
        self.activation.begin(instance)
        return instance

    def may_start(self, partition: Partition, address: Address) -> None:
        """Raise unless an instance may be started now.

        Raises:
            HostClosed: the host is not running.
            NotServed: this host leaves the partition to others.
            UnknownTenant: the partition was removed from the directory.
            StaleOwner: another host has claimed the partition.
            Quarantined: the instance is in quarantine.
        """
        state = self.state  # its property starts_instances would cost a call
        if not state.open or state.closing:
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
        if not instance.live:  # it tells its waiters nothing any more
            instance = self.resolve(instance.address)
        if instance.phase not in SETTLED:
            await self.started(instance)
            instance = self.find(instance.address) or instance
        instance.used = self.clock.monotonic()
        if instance.manager.extension is not None:
            await instance.manager.extension.ready(instance)
        return instance

    def started(self, instance: Instance) -> asyncio.Future[None]:
        """Return a future that ends when an instance is live, or says why it is not."""
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
        await refuse_circle(self.find, self.reader, parent, address)
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
        """Return whether anything of an address is live or stored."""
        instance = self.find(address)
        if instance is not None and instance.live:
            return True
        return bool(await self.reader.load(address))


def _check_name(name: object) -> None:
    # It takes an object: callers without a type checker pass anything.
    if not isinstance(name, str):
        raise InvalidArgument("manager", name, "the name of a manager")
