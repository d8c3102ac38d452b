"""The live instances of one manager: nested maps, the partition outermost.

There is no map across partitions to filter, so nothing can be found in the wrong one,
and counting one partition costs nothing of the others.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from persistence import Address, Key

    from ..agents import Instance

__all__ = ["Registries", "Registry"]

_NOBODY: Mapping[Key, Instance] = MappingProxyType({})


class Registry:
    """Who is live, by partition and then by key."""

    __slots__ = ("_shards",)

    def __init__(self) -> None:
        self._shards: dict[str, dict[Key, Instance]] = {}

    def __repr__(self) -> str:
        return f"<Registry partitions={len(self._shards)}>"

    def __iter__(self) -> Iterator[Instance]:
        for shard in list(self._shards.values()):
            yield from list(shard.values())

    def find(self, partition: str, key: Key) -> Instance | None:
        """Return the instance that stands for a key, in whatever phase."""
        shard = self._shards.get(partition)
        return None if shard is None else shard.get(key)

    def shard(self, partition: str) -> Mapping[Key, Instance]:
        """Return the instances of one partition, by key."""
        return self._shards.get(partition, _NOBODY)

    def partitions(self) -> tuple[str, ...]:
        """Return the partitions that have a live instance."""
        return tuple(self._shards)

    def add(self, instance: Instance) -> None:
        """Publish an instance whose address is free."""
        address = instance.address
        shard = self._shards.get(address.partition)
        if shard is None:
            shard = self._shards[address.partition] = {}
        shard[address.key] = instance

    def remove(self, address: Address, instance: Instance) -> bool:
        """Take out this very instance; a successor at the same address stays."""
        shard = self._shards.get(address.partition)
        if shard is None or shard.get(address.key) is not instance:
            return False
        del shard[address.key]
        if not shard:
            del self._shards[address.partition]
        return True


class Registries:
    """The registries of one host.

    Attributes:
        by_manager: each registry, by the name of its manager.
    """

    __slots__ = ("by_manager",)

    def __init__(self) -> None:
        self.by_manager: dict[str, Registry] = {}

    def __repr__(self) -> str:
        return f"<Registries managers={len(self.by_manager)}>"

    def of(self, manager: str) -> Registry:
        """Return the registry of a manager, made when the manager is declared."""
        found = self.by_manager.get(manager)
        if found is None:
            found = self.by_manager[manager] = Registry()
        return found

    def find(self, address: Address) -> Instance | None:
        """Return the instance that stands at an address, in whatever phase."""
        registry = self.by_manager.get(address.manager)
        return (
            None if registry is None else registry.find(address.partition, address.key)
        )

    def remove(self, instance: Instance) -> None:
        """Take out this very instance; a successor at the same address stays."""
        self.by_manager[instance.manager.name].remove(instance.address, instance)

    def instances(self) -> list[Instance]:
        """Return every instance in memory, in whatever phase."""
        return [i for registry in self.by_manager.values() for i in registry]

    def live_by_partition(self) -> dict[str, int]:
        """Count the instances in memory; safe to call from another thread."""
        numbers: dict[str, int] = {}
        for registry in list(self.by_manager.values()):
            for partition in registry.partitions():
                live = len(registry.shard(partition))
                numbers[partition] = numbers.get(partition, 0) + live
        return numbers

    def queued_by_partition(self) -> dict[str, int]:
        """Count the messages in mailboxes; safe to call from another thread."""
        numbers: dict[str, int] = {}
        for instance in self.instances():
            partition = instance.address.partition
            numbers[partition] = numbers.get(partition, 0) + instance.queued
        return numbers
