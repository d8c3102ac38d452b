"""Keyed singletons of one agent class, one per (partition, key).

Every call names its partition; there is no default, and none is taken from anywhere
else. A key of another partition looks like a key that does not exist.
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
    """What a manager has in one partition.

    Attributes:
        live: instances in memory, in any phase.
        stored: instances with a stored state, live or not.
        hibernated: stored instances that are not in memory.
        quarantined: instances that may not start.
        queued: messages that wait in mailboxes.
    """

    live: int
    stored: int
    hibernated: int
    quarantined: int
    queued: int


class InstanceManager(Generic[A_co]):
    """A named home for the instances of one agent class; ``host.manager`` makes it.

    Args:
        info: what its instances share.
        registry: its instances in memory.
        catalog: finds and starts instances.
        stopping: stops them.
        operator: what people do about instances in quarantine.
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
        """The name under which the host and every address know it."""
        return self._info.name

    @property
    def info(self) -> ManagerInfo:
        """What its instances have in common."""
        return self._info

    async def get(
        self: InstanceManager[Referable[Ref_co]], key: Key, *, partition: str
    ) -> Ref_co:
        """Return a ref to the instance of a key, started or thawed if need be.

        At most one instance per (partition, key) is live; callers that come while it
        starts or hibernates wait and get the same one.

        Args:
            key: a ``str``, or a tuple of keys.
            partition: the tenant; never taken from anywhere else.

        Raises:
            InvalidKey: not a valid key.
            InvalidPartition: not a valid partition id.
            Quarantined: the instance may not start.
            StartFailed: it could not be started.
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
        # info.ref is the class that the agent's __ref__ names; types cannot say so.
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
        """Hibernate an instance: its mail is handled, its children stop, it is saved.

        Returns:
            ``True`` when a live one was stopped; ``False`` when none was live.

        Raises:
            InvalidKey: not a valid key.
            InvalidPartition: not a valid partition id.
            StoreError: its state could not be saved; it is live again.
            UnstorableState: likewise.
            StopTimeout: its turn does not end even when cancelled.
        """
        instance = self._catalog.find(self._address(key, partition))
        if instance is None or not instance.live:
            return False
        await self._stopping.stop(instance)
        return True

    async def stats(self, *, partition: str) -> ManagerStatistics:
        """Count what this manager has in a partition.

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
        """List keys that are live or stored, in the order of their JSON text.

        Args:
            partition: the tenant.
            after: the last key of the page before.
            limit: keys in one page, from 1 to 10,000.

        Raises:
            InvalidPartition: not a valid partition id.
            InvalidKey: ``after`` is no key.
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
        """List the instances of this manager that may not start, with the reasons.

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
        """Let a quarantined instance start again; its bytes are as they were.

        Args:
            key: which instance.
            partition: the tenant.
            actor: who decides; goes to the log.
            reason: why; goes to the log.

        Raises:
            AgentNotFound: nothing of that key is in quarantine in this partition.
            Unaccounted: actor or reason is empty.
        """
        address = self._address(key, partition)
        await self._operator.release(address, actor=actor, reason=reason)

    async def inspect(self, key: Key, *, partition: str) -> tuple[StoredBytes, ...]:
        """Return the stored rows of an instance as they are, readable or not.

        For a person who wonders what to do about a quarantined instance; it starts
        nothing. An instance that has no rows, here or anywhere, gives none.

        Raises:
            InvalidKey: not a valid key.
            InvalidPartition: not a valid partition id.
        """
        return await self._operator.inspect(self._address(key, partition))

    async def discard(
        self, key: Key, *, partition: str, actor: str, reason: str
    ) -> None:
        """Remove a quarantined instance for good: its rows, mail and replies.

        The next ``get`` starts afresh. Nothing else of the partition is touched.

        Args:
            key: which instance.
            partition: the tenant.
            actor: who decides; goes to the log.
            reason: why; goes to the log.

        Raises:
            AgentNotFound: nothing of that key is in quarantine in this partition.
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
        # info.ref is the class that the agent's __ref__ names; types cannot say so.
        return self._info.ref(self._info.port, instance.address, instance)  # type: ignore[return-value]  # pyright: ignore[reportReturnType]
