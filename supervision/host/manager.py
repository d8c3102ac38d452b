"""The instances of one agent class, at most one per partition and key.

Every call names its partition: there is no default, and no other source of it. A key of
another partition looks like a key that does not exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NoReturn, TypeVar

import attrs

from persistence import (
    Address,
    Key,
    Quarantine,
    StoredBytes,
    check_key,
    check_partition,
    key_to_text,
)

from ..agents import IDLE, STARTING, STOPPED, ManagerInfo, Phase
from ..errors import NotPicklable, check_limit

if TYPE_CHECKING:
    from ..agents import Instance, Referable
    from ..lifecycle import Catalog, Registry, Stopping
    from .operator import OperatorActions

__all__ = ["InstanceManager", "ManagerStatistics"]

A_co = TypeVar("A_co", covariant=True)
Ref_co = TypeVar("Ref_co", covariant=True)


@attrs.frozen(kw_only=True)
class ManagerStatistics:
    """The numbers of one manager in one partition.

    Attributes:
        live: instances in memory, in any phase.
        stored: instances with a stored state, live or not.
        hibernated: stored instances that are not in memory.
        quarantined: instances in quarantine.
        queued: messages in mailboxes.
    """

    live: int
    stored: int
    hibernated: int
    quarantined: int
    queued: int


class InstanceManager(Generic[A_co]):
    """The instances of one agent class, under one name; ``host.manager`` makes it.

    At most one instance per partition and key is live. Users call it, and partition
    handles pass their calls on to it.

    Args:
        info: what its instances share.
        registry: its instances in memory.
        catalog: finds and starts instances.
        stopping: stops instances.
        operator: the actions on instances in quarantine.
    """

    def __init__(
        self,
        info: ManagerInfo,
        registry: Registry,
        catalog: Catalog,
        stopping: Stopping,
        operator: OperatorActions,
    ) -> None:
        self._info = info
        self._registry = registry
        self._catalog = catalog
        self._stopping = stopping
        self._operator = operator

    def __repr__(self) -> str:
        agent = self._info.spec.agent.__qualname__
        return f"<InstanceManager {self._info.name!r} of {agent}>"

    def __reduce__(self) -> NoReturn:
        raise NotPicklable("InstanceManager")

    @property
    def name(self) -> str:
        """The name of the manager, as in addresses."""
        return self._info.name

    @property
    def info(self) -> ManagerInfo:
        """What the instances of the manager share."""
        return self._info

    async def get(
        self: InstanceManager[Referable[Ref_co]], key: Key, *, partition: str
    ) -> Ref_co:
        """Return a ref to the instance of a key; start or thaw it if it is not live.

        At most one instance per partition and key is live. Callers that come while it
        starts or hibernates wait and get the same instance.

        Args:
            key: a ``str``, or a tuple of keys.
            partition: the partition id of the tenant.

        Raises:
            InvalidKey: not a valid key.
            InvalidPartition: not a valid partition id.
            Quarantined: the instance is in quarantine.
            StartFailed: its constructor or ``on_start`` raised.
            HostClosed: the host is not running.
            StoreError: the store could not be read.
        """
        catalog, info = self._catalog, self._info
        self._check(key, partition)
        instance = self._registry.find(partition, key)
        if instance is None or instance.phase is STOPPED:
            address = Address(partition, info.name, key)
            instance = catalog.publish(address, info)
        if info.extension is not None:
            instance = await catalog.live(instance)
        elif instance.phase is STARTING:
            await catalog.started(instance)
            instance = self._registry.find(partition, key) or instance
        elif instance.phase is not IDLE:
            instance = await catalog.live(instance)
        instance.used = catalog.clock.monotonic()
        # info.ref is the class named by the agent's __ref__; types cannot express it.
        return info.ref(info.port, instance.address, instance)  # type: ignore[return-value]  # pyright: ignore[reportReturnType]

    def lookup(
        self: InstanceManager[Referable[Ref_co]], key: Key, *, partition: str
    ) -> Ref_co | None:
        """Return a ref if the key is live in this partition, without starting it.

        Raises:
            InvalidKey: not a valid key.
            InvalidPartition: not a valid partition id.
        """
        instance = self._catalog.find(self._address(key, partition))
        if instance is None or not instance.live or instance.phase is Phase.STOPPING:
            return None
        return self._ref(instance)

    async def stop(self, key: Key, *, partition: str) -> bool:
        """Hibernate an instance: handle its mail, stop its children, save its state.

        Returns:
            Whether a live instance was stopped; ``False`` if none was live.

        Raises:
            InvalidKey: not a valid key.
            InvalidPartition: not a valid partition id.
            StoreError: its state could not be saved; it is live again.
            UnstorableState: its state cannot be stored; it is live again.
            StopTimeout: its turn does not end, even after it was cancelled.
        """
        instance = self._catalog.find(self._address(key, partition))
        if instance is None or not instance.live:
            return False
        await self._stopping.stop(instance)
        return True

    async def stats(self, *, partition: str) -> ManagerStatistics:
        """Count the instances and messages of this manager in a partition.

        Raises:
            InvalidPartition: not a valid partition id.
        """
        check_partition(partition)
        shard = self._registry.shard(partition)
        live = list(shard.values())
        stored = await self._catalog.read(
            lambda store: store.count(self.name, partition=partition),
            partition=partition,
        )
        in_memory = sum(1 for i in live if i.rev > 0)
        return ManagerStatistics(
            live=len(live),
            stored=stored,
            hibernated=max(0, stored - in_memory),
            quarantined=len(await self.quarantined(partition=partition)),
            queued=sum(i.queued for i in live),
        )

    async def keys(
        self, *, partition: str, after: Key | None = None, limit: int = 1_000
    ) -> tuple[Key, ...]:
        """Return one page of the live or stored keys, in the order of their JSON text.

        Args:
            partition: the partition id of the tenant.
            after: the last key of the page before; ``None``: the first page.
            limit: keys in one page, from 1 to 10,000.

        Raises:
            InvalidPartition: not a valid partition id.
            InvalidKey: ``after`` is not a valid key.
            InvalidArgument: ``limit`` is out of its range.
        """
        check_partition(partition)
        check_limit(limit)
        if after is not None:
            check_key(after)
        found = await self._catalog.read(
            lambda store: store.keys(
                self.name, partition=partition, after=after, limit=limit
            ),
            partition=partition,
        )
        texts = {key_to_text(key): key for key in found}
        start = "" if after is None else key_to_text(after)
        for key in self._registry.shard(partition):
            if (text := key_to_text(key)) > start:
                texts[text] = key
        return tuple(texts[text] for text in sorted(texts)[:limit])

    async def quarantined(self, *, partition: str) -> tuple[Quarantine, ...]:
        """Return the quarantined instances of this manager, with the reasons.

        Raises:
            InvalidPartition: not a valid partition id.
        """
        check_partition(partition)
        known = self._catalog.partitions.get(partition)
        if known is not None and known.claim is not None:
            marks = list(known.quarantined.values())
        else:
            marks = await self._catalog.read(
                lambda store: store.quarantined(partition=partition),
                partition=partition,
            )
        return tuple(m for m in marks if m.address.manager == self.name)

    async def release(
        self, key: Key, *, partition: str, actor: str, reason: str
    ) -> None:
        """Release an instance from quarantine; its rows stay unchanged.

        Args:
            key: the key of the instance.
            partition: the partition id of the tenant.
            actor: the person or system that decides; logged.
            reason: the reason for it; logged.

        Raises:
            AgentNotFound: the key is not in quarantine in this partition.
            Unaccounted: actor or reason is empty.
        """
        address = self._address(key, partition)
        await self._operator.release(address, actor=actor, reason=reason)

    async def inspect(self, key: Key, *, partition: str) -> tuple[StoredBytes, ...]:
        """Return the stored rows of an instance, undecoded, so damaged ones too.

        It helps to decide about a quarantined instance, and starts no instance. The
        result is empty for an instance without rows in this partition.

        Raises:
            InvalidKey: not a valid key.
            InvalidPartition: not a valid partition id.
        """
        return await self._operator.inspect(self._address(key, partition))

    async def discard(
        self, key: Key, *, partition: str, actor: str, reason: str
    ) -> None:
        """Delete a quarantined instance: its rows, letters and remembered replies.

        The next ``get`` starts without stored state. The rest of the partition stays.

        Args:
            key: the key of the instance.
            partition: the partition id of the tenant.
            actor: the person or system that decides; logged.
            reason: the reason for it; logged.

        Raises:
            AgentNotFound: the key is not in quarantine in this partition.
            Unaccounted: actor or reason is empty.
        """
        address = self._address(key, partition)
        await self._operator.discard(address, actor=actor, reason=reason)

    def _address(self, key: Key, partition: str) -> Address:
        self._check(key, partition)
        return Address(partition, self._info.name, key)

    def _check(self, key: Key, partition: str) -> None:
        if type(partition) is not str or partition not in self._catalog.partitions:
            check_partition(partition)
        check_key(key)

    def _ref(self: InstanceManager[Referable[Ref_co]], instance: Instance) -> Ref_co:
        # info.ref is the class named by the agent's __ref__; types cannot express it.
        return self._info.ref(self._info.port, instance.address, instance)  # type: ignore[return-value]  # pyright: ignore[reportReturnType]
