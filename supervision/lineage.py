"""Parents and children: pure changes of the family tree, inside one partition."""

from __future__ import annotations

from collections.abc import Iterator

from .errors import LineageRefused
from .instance import Instance
from .phases import OnParentStop

__all__ = ["attach", "detach", "family_used", "is_busy", "refuse_adoption"]


def attach(child: Instance, parent: Instance, policy: OnParentStop) -> None:
    """Make one live instance the child of another.

    Both are in its row, too: if they change, the row is due for a save.

    Raises:
        LineageRefused: another live parent has it, or the tree would be a circle.
    """
    refuse_adoption(child, parent)
    family = child.kin()
    known = child.parent_address
    if known != parent.address or family.on_parent_stop is not policy:
        child.dirty = child.dirty or (child.rev > 0 and child.kind.stored)
    family.parent = parent
    family.lost_parent = None
    family.on_parent_stop = policy
    parent.kin().children[child.address] = child


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


def detach(child: Instance) -> Instance | None:
    """Take a child out of its parent's family; return the parent it had."""
    family = child.family
    if family is None or family.parent is None:
        return None
    parent = family.parent
    family.lost_parent = parent.address
    family.parent = None
    if parent.family is not None:
        parent.family.children.pop(child.address, None)
    return parent


def family_used(instance: Instance) -> float:
    """Return when an instance or any live descendant last had traffic."""
    return max(member.used for member in _downwards(instance))


def is_busy(instance: Instance) -> bool:
    """Say whether an instance or a live descendant is held or has something to do."""
    return any(
        member.address in member.partition.attached
        or member.queued > 0
        or member.running is not None
        or (member.kind.extension is not None and member.kind.extension.busy(member))
        for member in _downwards(instance)
    )


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
