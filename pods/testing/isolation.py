"""Proof that two partitions of a host share nothing."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, TypeGuard

from supervision import Agent, AgentRef, Host, Instance

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from persistence import Key, Record, Store

__all__ = ["NotIsolated", "check_isolation"]

_PAGE = 1_000
_DEEPEST = 20


class NotIsolated(AssertionError):
    """Something of one partition is reached from another one.

    Attributes:
        findings: what, a line each.
    """

    def __init__(self, findings: tuple[str, ...]) -> None:
        super().__init__(findings)
        self.findings = findings

    def __str__(self) -> str:
        return "\n".join(self.findings)


async def check_isolation(host: Host, first: str, second: str) -> None:
    """Check that two partitions share nothing: objects, refs, families, rows.

    Agents are searched through their fields, as deep as these go. Immutable values,
    classes and functions may be shared.

    Raises:
        NotIsolated: something was found.
    """
    findings = [
        *_shared_objects(host, first, second),
        *_shared_books(host, first, second),
        *_foreign_relations(host, first, second),
        *_foreign_refs(host, first, second),
        *await _foreign_rows(host, first, second),
    ]
    if findings:
        raise NotIsolated(tuple(findings))


def _agents(host: Host, partition: str) -> list[tuple[Instance, Agent]]:
    return [
        (instance, instance.agent)
        for instance in host.runtime.registries.instances()
        if instance.address.partition == partition and instance.agent is not None
    ]


def _shared_objects(host: Host, first: str, second: str) -> Iterator[str]:
    """Find mutable objects that agents of both partitions hold."""
    seen: dict[int, tuple[object, str]] = {}  # the object too: an id is used again
    for instance, agent in _agents(host, first):
        for path, value in _objects(agent):
            seen[id(value)] = (value, f"{instance.address}{path}")
    for instance, agent in _agents(host, second):
        for path, value in _objects(agent):
            if id(value) in seen:
                place = seen[id(value)][1]
                kind = type(value).__name__
                yield f"one {kind} is {place} and {instance.address}{path}"


def _shared_books(host: Host, first: str, second: str) -> Iterator[str]:
    """Find what the runtime keeps once for both partitions."""
    ours = host.runtime.partitions.get(first)
    theirs = host.runtime.partitions.get(second)
    if ours is None or theirs is None:
        return
    if ours.counters is theirs.counters:
        yield "both partitions count in the same numbers"
    if ours.context is theirs.context:
        yield "both partitions run in the same context"


def _objects(agent: Agent) -> Iterator[tuple[str, object]]:
    """Give every mutable object below an agent, with the way to it."""
    done: set[int] = set()
    todo: list[tuple[str, object, int]] = [("", agent, 0)]
    while todo:
        path, value, depth = todo.pop()
        if id(value) in done or depth > _DEEPEST or _is_shareable(value):
            continue
        done.add(id(value))
        if type(value) not in (tuple, frozenset):
            yield path, value
        todo += [(f"{path}{step}", inner, depth + 1) for step, inner in _inside(value)]


def _is_shareable(value: object) -> bool:
    """Return whether a value may be shared, as it cannot be changed."""
    plain = (str, bytes, int, float, complex, bool, type(None), type, Enum, AgentRef)
    return isinstance(value, plain) or callable(value)


def _inside(value: object) -> Iterator[tuple[str, object]]:
    if _is_mapping(value):
        for key, inner in value.items():
            yield f"[{key!r}]", inner
    elif _is_collection(value):
        for index, inner in enumerate(value):
            yield f"[{index}]", inner
    for name in _names(value):
        if hasattr(value, name):
            yield f".{name}", getattr(value, name)


def _names(value: object) -> list[str]:
    """Return the names of an object's fields, without those of the runtime."""
    names = [*getattr(value, "__dict__", ()), *getattr(value, "__slots__", ())]
    return [name for name in names if not name.startswith("_podvisor")]


def _is_mapping(value: object) -> TypeGuard[Mapping[object, object]]:
    return isinstance(value, dict)


def _is_collection(value: object) -> TypeGuard[Collection[object]]:
    return isinstance(value, list | tuple | set | frozenset)


def _foreign_refs(host: Host, first: str, second: str) -> Iterator[str]:
    """Find refs to the other partition in the fields of agents."""
    for partition in (first, second):
        for instance, agent in _agents(host, partition):
            for path, value in _objects(agent):
                for step, inner in _inside(value):
                    if isinstance(inner, AgentRef) and (
                        inner.address.partition != partition
                    ):
                        yield f"{instance.address}{path}{step} leads to {inner.address}"


def _foreign_relations(host: Host, first: str, second: str) -> Iterator[str]:
    """Find families that span partitions, and instances in a wrong place."""
    for instance in host.runtime.registries.instances():
        address = instance.address
        if address.partition not in (first, second):
            continue
        relatives = [child.address for child in instance.children]
        if instance.parent_address is not None:
            relatives.append(instance.parent_address)
        for relative in relatives:
            if relative.partition != address.partition:
                yield f"{address} is a relative of {relative}"
        if instance.partition.name != address.partition:
            yield f"{address} is counted in partition {instance.partition.name!r}"


async def _foreign_rows(host: Host, first: str, second: str) -> list[str]:
    """Find rows whose identity or parent is in another partition than they are."""
    found: list[str] = []
    for partition in (first, second):
        for manager in host.runtime.managers:
            for record in await _records(host, manager, partition):
                parent = record.parent
                if record.address.partition != partition or (
                    parent is not None and parent.partition != partition
                ):
                    found.append(f"a row of {partition!r} is about {record}")
    return found


async def _records(host: Host, manager: str, partition: str) -> list[Record]:
    async def read(store: Store) -> list[Record]:
        records: list[Record] = []
        after: Key | None = None
        while True:
            keys = await store.keys(
                manager, partition=partition, after=after, limit=_PAGE
            )
            loaded = await store.load(manager, keys, partition=partition)
            for one in loaded:
                records += one if isinstance(one, tuple) else ()
            if len(keys) < _PAGE:
                return records
            after = keys[-1]

    return await host.runtime.catalog.read(read, partition=partition)
