"""The catalog: finds instances, publishes absent ones, waits until they are live.

Publish first, activate after: a new instance stands in its registry before anything of
it is read. A second caller finds the same instance and waits with the first.
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

    At most one live instance per address is published. Managers, refs, messaging and
    extensions find their instances here.

    Attributes:
        registries: the instances in memory.
        managers: what the instances of each manager share, by manager name.
        partitions: each partition from its first use on the host, by id.
        tenants: admits partitions and holds their policies.
        new_backlog: returns the backlog of a partition that is used for the first time.
        ownership: claims partitions.
        reattachment: finds the parent of an instance.
        activation: starts instances.
        reader: reads rows.
        state: whether the host takes work.
        clock: gives the monotonic time of the last use.
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
    """Returns the instance published at an address, in any phase."""

    def __attrs_post_init__(self) -> None:
        self.find = self.registries.find

    def __repr__(self) -> str:
        return (
            f"<Catalog managers={len(self.managers)} partitions={len(self.partitions)}>"
        )

    def manager(self, name: str) -> ManagerInfo:
        """Return what the instances of a manager share.

        Raises:
            UnknownManager: no manager has that name.
            InvalidArgument: the name is no text.
        """
        _check_name(name)
        found = self.managers.get(name)
        if found is None:
            raise UnknownManager(name, tuple(self.managers))
        return found

    def partition(self, name: str) -> Partition:
        """Return the partition of an id; the first use on this host creates it.

        Raises:
            UnknownTenant: the directory does not admit the partition.
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
        """Return a partition after this host has claimed it.

        Raises:
            HostClosed: the host is not running.
            NotServed: the host policy leaves the partition to other hosts.
            StaleOwner: another host has claimed it.
            StoreError: the claim failed.
        """
        self.state.check_open()
        partition = self.partition(name)
        await self.ownership.owned(partition)
        return partition

    async def read(self, call: Callable[[Store], Awaitable[T]], *, partition: str) -> T:
        """Run a read of the store in a task of the library; return its result.

        Args:
            call: the read, given the store.
            partition: the partition that the read counts for; ``HOST``: the host.

        Raises:
            HostClosed: the host is not running.
        """
        self.state.check_open()
        return await self.reader.ask(call, partition=partition)

    def ref(
        self, address: Address, *, caller: Instance | None = None
    ) -> AgentRef[Agent]:
        """Build a ref to an address; with ``caller``, for that instance's handler."""
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
        """Return the live instance at an address, or publish a new one and start it.

        Raises:
            HostClosed: the host is not running.
            Quarantined: the instance is in quarantine.
            StaleOwner: another host has claimed the partition.
            LineageRefused: it cannot be the child of ``parent``.
            AgentNotFound: the address was a node of a live pod, and was removed.
        """
        instance = self.find(address)
        if instance is not None and instance.live:
            leaving = instance.phase is Phase.STOPPING
            if parent is not None and instance.parent is not parent and not leaving:
                attach_child(instance, parent, on_parent_stop)
            return instance
        info = self.manager(address.manager)
        check_key(address.key)  # an address built by user code was not validated before
        return self.publish(address, info, parent, on_parent_stop)

    def publish(
        self,
        address: Address,
        info: ManagerInfo,
        parent: Instance | None = None,
        on_parent_stop: OnParentStop = OnParentStop.STOP,
    ) -> Instance:
        """Publish a new instance at an address without a live one, and start it.

        Args:
            address: valid, with no live instance.
            info: what the instances of its manager share.
            parent: its parent, which is live; ``None``: found in memory, if any.
            on_parent_stop: what happens to it when the parent stops.

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
        """Raise if an instance must not be started now.

        Raises:
            HostClosed: the host is not running, or shuts down.
            NotServed: the host policy leaves the partition to other hosts.
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
        """Return the instance of an address; wait until it is live."""
        return await self.live(self.resolve(address))

    async def live(self, instance: Instance) -> Instance:
        """Wait until an instance is live and its extension is ready; return it."""
        if not instance.live:  # a stopped instance releases no waiters any more
            instance = self.resolve(instance.address)
        if instance.phase not in SETTLED:
            await self.started(instance)
            instance = self.find(instance.address) or instance
        instance.used = self.clock.monotonic()
        if instance.manager.extension is not None:
            await instance.manager.extension.ready(instance)
        return instance

    def started(self, instance: Instance) -> asyncio.Future[None]:
        """Return a future: done when an instance is live, failed if its start is."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if instance.waiters is None:
            instance.waiters = [waiter]
        else:
            instance.waiters.append(waiter)
        return waiter

    async def start_child(
        self, parent: Instance, address: Address, on_parent_stop: OnParentStop
    ) -> Instance:
        """Start an instance as a child of ``parent``, or attach it if it is live.

        Raises:
            LineageRefused: it has another parent, or is an ancestor of ``parent``.
        """
        await refuse_circle(self.find, self.reader, parent, address)
        instance = self.resolve(address, parent, on_parent_stop)
        instance = await self.live_child(instance, parent, on_parent_stop)
        self.activation.flush(instance)
        return instance

    async def live_child(
        self, instance: Instance, parent: Instance, on_parent_stop: OnParentStop
    ) -> Instance:
        """Wait until a child is live; attach it again if it was published anew."""
        instance = await self.live(instance)
        if instance.parent is not parent and parent.live:
            attach_child(instance, parent, on_parent_stop)
        return instance

    async def exists(self, address: Address) -> bool:
        """Return whether an address has a live instance or stored rows."""
        instance = self.find(address)
        if instance is not None and instance.live:
            return True
        return bool(await self.reader.load(address))


def _check_name(name: object) -> None:
    # The parameter is an object: callers without a type checker may pass anything.
    if not isinstance(name, str):
        raise InvalidArgument("manager", name, "the name of a manager")
