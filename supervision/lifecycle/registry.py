"""The registries: the instances of each manager, in one map for each partition.

No map spans partitions, so no filter can return an instance of the wrong one. Counting
one partition costs nothing for the others.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from persistence import Address, Key

    from ..agents import Instance

__all__ = ["Registries", "Registry"]

_EMPTY: Mapping[Key, Instance] = MappingProxyType({})


class Registry:
    """The instances of one manager, by partition and then by key.

    At most one instance stands at an address, in any phase but ``STOPPED``. A partition
    without instances has no map. ``Catalog`` and ``InstanceManager`` read it.
    """

    __slots__ = ("_shards",)

    def __init__(self) -> None:
        self._shards: dict[str, dict[Key, Instance]] = {}

    def __repr__(self) -> str:
        return f"<Registry partitions={len(self._shards)}>"

    def __iter__(self) -> Iterator[Instance]:
        for shard in list(self._shards.values()):
            yield from list(shard.values())

    def find(self, partition: str, key: Key) -> Instance | None:
        """Return the instance published for a key, in any phase."""
        shard = self._shards.get(partition)
        return None if shard is None else shard.get(key)

    def shard(self, partition: str) -> Mapping[Key, Instance]:
        """Return the instances of one partition, by key."""
        return self._shards.get(partition, _EMPTY)

    def partitions(self) -> tuple[str, ...]:
        """Return the partitions that have an instance in memory."""
        return tuple(self._shards)

    def add(self, instance: Instance) -> None:
        """Publish an instance; its address must be free."""
        address = instance.address
        shard = self._shards.get(address.partition)
        if shard is None:
            shard = self._shards[address.partition] = {}
        shard[address.key] = instance

    def remove(self, address: Address, instance: Instance) -> bool:
        """Remove exactly this instance; a successor at the same address stays.

        Returns:
            Whether the instance stood at the address.
        """
        shard = self._shards.get(address.partition)
        if shard is None or shard.get(address.key) is not instance:
            return False
        del shard[address.key]
        if not shard:
            del self._shards[address.partition]
        return True


class Registries:
    """The registries of one host; every instance is in one of them.

    Attributes:
        by_manager: each registry, by the name of its manager.
    """

    __slots__ = ("by_manager",)

    def __init__(self) -> None:
        self.by_manager: dict[str, Registry] = {}

    def __repr__(self) -> str:
        return f"<Registries managers={len(self.by_manager)}>"

    def of(self, manager: str) -> Registry:
        """Return the registry of a manager; the first use creates it."""
        found = self.by_manager.get(manager)
        if found is None:
            found = self.by_manager[manager] = Registry()
        return found

    def find(self, address: Address) -> Instance | None:
        """Return the instance published at an address, in any phase."""
        registry = self.by_manager.get(address.manager)
        return (
            None if registry is None else registry.find(address.partition, address.key)
        )

    def remove(self, instance: Instance) -> None:
        """Remove exactly this instance; a successor at the same address stays."""
        self.by_manager[instance.manager.name].remove(instance.address, instance)

    def instances(self) -> list[Instance]:
        """Return every instance in memory, in any phase."""
        return [i for registry in self.by_manager.values() for i in registry]

    def live_by_partition(self) -> dict[str, int]:
        """Count instances in memory by partition; safe to call from another thread."""
        numbers: dict[str, int] = {}
        for registry in list(self.by_manager.values()):
            for partition in registry.partitions():
                live = len(registry.shard(partition))
                numbers[partition] = numbers.get(partition, 0) + live
        return numbers

    def queued_by_partition(self) -> dict[str, int]:
        """Count mailbox messages by partition; safe to call from another thread."""
        numbers: dict[str, int] = {}
        for instance in self.instances():
            partition = instance.address.partition
            numbers[partition] = numbers.get(partition, 0) + instance.queued
        return numbers
