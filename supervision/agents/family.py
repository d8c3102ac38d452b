"""Parents and children: pure changes of the family tree, inside one partition."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from ..errors import LineageRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from persistence import Address

    from .instance import Instance
    from .phases import OnParentStop

__all__ = [
    "ancestors_of",
    "attach_child",
    "detach_child",
    "family_used",
    "is_busy",
    "refuse_adoption",
]


def attach_child(child: Instance, parent: Instance, policy: OnParentStop) -> None:
    """Make one live instance the child of another.

    Both are in its row, too: if they change, the row is due for a save.

    Raises:
        LineageRefused: another live parent has it, or the tree would be a circle.
    """
    refuse_adoption(child, parent)
    family = child.ensure_family()
    known = child.parent_address
    if known != parent.address or family.on_parent_stop is not policy:
        child.dirty = child.dirty or (child.rev > 0 and child.manager.stored)
    family.parent = parent
    family.lost_parent = None
    family.above = ()
    family.on_parent_stop = policy
    parent.ensure_family().children[child.address] = child


def refuse_adoption(child: Instance, parent: Instance) -> None:
    """Raise if an instance cannot become the child of another.

    Raises:
        LineageRefused: it spans partitions, is a circle, or another parent is live.
    """
    reason: str | None = None
    if child.address.partition != parent.address.partition:
        reason = "a tree never spans partitions"
    elif child.parent is not None and child.parent is not parent:
        reason = f"{child.parent.address} is its parent"
    elif any(ancestor is child for ancestor in _upwards(parent)):
        reason = "it is an ancestor of the parent"
    if reason is not None:
        raise LineageRefused(parent.address, child.address, reason)


def detach_child(child: Instance) -> Instance | None:
    """Take a child out of its parent's family; return the parent it had."""
    family = child.family
    if family is None or family.parent is None:
        return None
    parent = family.parent
    family.lost_parent = parent.address
    family.above = tuple(_chain(parent))
    family.parent = None
    if parent.family is not None:
        parent.family.children.pop(child.address, None)
    return parent


def ancestors_of(
    instance: Instance, find: Callable[[Address], Instance | None]
) -> Iterator[Address]:
    """Yield the ancestors of an instance, the nearest first.

    A live ancestor names its own parent. What is above one that is not live is what the
    last live instance below it remembers.

    Args:
        instance: where to begin.
        find: returns the instance that stands at an address.
    """
    remembered: dict[Address, Address] = {}
    found: Instance | None = instance
    address = instance.address
    seen: set[Address] = set()
    while address not in seen:
        seen.add(address)
        above = remembered.get(address)
        if found is not None and found.family is not None:
            chain = found.family.above
            remembered.update(pairwise(chain))
            above = found.parent_address or above
        if above is None:
            return
        yield above
        found, address = find(above), above


def family_used(instance: Instance) -> float:
    """Return when an instance or any live descendant last had traffic."""
    return max(member.used for member in _downwards(instance))


def is_busy(instance: Instance) -> bool:
    """Return whether an instance or a live descendant is attached or has work."""
    return any(
        member.address in member.partition.attached
        or member.queued > 0
        or member.running is not None
        or (
            member.manager.extension is not None
            and member.manager.extension.busy(member)
        )
        for member in _downwards(instance)
    )


def _chain(instance: Instance) -> Iterator[Address]:
    """Yield an instance and its ancestors, as far as memory knows them."""
    for member in _upwards(instance):
        yield member.address
        if member.parent is None and member.family is not None:
            yield from member.family.above


def _upwards(instance: Instance | None) -> Iterator[Instance]:
    while instance is not None:
        yield instance
        instance = instance.parent


def _downwards(instance: Instance) -> Iterator[Instance]:
    stack = [instance]
    while stack:
        member = stack.pop()
        yield member
        stack.extend(member.children)
