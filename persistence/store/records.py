"""What is stored, as values: records, operations, units and claims.

A *record* is one stored row: the state of an instance, or the topology of a pod. A
*unit* is what one turn wants to have saved, all of it or nothing. A unit belongs to
exactly one partition and carries the epoch under which its host owns that partition.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import attrs

from .letters import Answer, Bury, Defer, Exhume, ForgetReplies, Post, Reply, Take

if TYPE_CHECKING:
    from ..identity import Address

__all__ = [
    "Claim",
    "Delete",
    "LiftQuarantine",
    "Operation",
    "PutQuarantine",
    "Quarantine",
    "Record",
    "RecordKind",
    "Save",
    "StoredBytes",
    "Unit",
]


class RecordKind(enum.Enum):
    """Which half of an instance a record holds."""

    STATE = "state"
    TOPOLOGY = "topology"


class Record(NamedTuple):
    """One stored row.

    A named tuple and no attrs class, because every save and every thaw makes one, and
    an attrs class that is frozen takes twice as long.

    Attributes:
        address: whose it is.
        kind: state or topology.
        rev: revision of the row, from 1 up; every save adds one.
        version: schema version of the body, from 1 up (``Agent.state_version``).
        body: JSON text in UTF-8.
        parent: address of the parent at the time of the save, in the same partition;
            ``None`` for a root and for a topology.
        on_parent_stop: what becomes of it when its parent stops, in the words of the
            layer above; carried, not read.
    """

    address: Address
    kind: RecordKind
    rev: int
    version: int
    body: bytes
    parent: Address | None = None
    on_parent_stop: str = ""


@attrs.frozen
class Save:
    """Write a record whose row stands at ``record.rev - 1`` (0: has no row)."""

    record: Record


@attrs.frozen
class Delete:
    """Remove an address: records, mail, replies; one that has none is no error."""

    address: Address


@attrs.frozen
class PutQuarantine:
    """Mark an address as one that may not start; a second mark replaces the first."""

    quarantine: Quarantine


@attrs.frozen
class LiftQuarantine:
    """Take the mark away; an address without one is no error."""

    address: Address


@attrs.frozen
class Quarantine:
    """Why an instance may not start, and since when (Unix seconds)."""

    address: Address
    reason: str
    since: float


Operation: TypeAlias = (
    Save
    | Delete
    | PutQuarantine
    | LiftQuarantine
    | Post
    | Take
    | Defer
    | Bury
    | Exhume
    | Answer
    | ForgetReplies
)


@attrs.frozen
class Unit:
    """What one turn wants saved: all of it or nothing, in one partition.

    Raises:
        ValueError: an operation, or the parent of a record, belongs to another
            partition. This is a bug in the caller, never a user's mistake, and it is
            found before anything is written.
    """

    partition: str
    epoch: int
    operations: tuple[Operation, ...]

    def __attrs_post_init__(self) -> None:
        for operation in self.operations:
            if type(operation) is Save:  # nearly all are, and a match is slower
                record = operation.record
                if record.address.partition == self.partition and record.parent is None:
                    continue
            if any(part != self.partition for part in _partitions_of(operation)):
                what = type(operation).__name__
                msg = f"a {what} is not in partition {self.partition!r}"
                raise ValueError(msg)


def _partitions_of(operation: Operation) -> tuple[str, ...]:
    """Name every partition that an operation mentions; it has to be one."""
    match operation:
        case Save(record):
            return _with(record.address, record.parent)
        case Post(letter) | Defer(letter):
            return _with(letter.target, letter.sender)
        case PutQuarantine(Quarantine(address)) | Answer(Reply(address)):
            return (address.partition,)
        case Delete(address) | LiftQuarantine(address) | Take(address):
            return (address.partition,)
        case Bury() | Exhume() | ForgetReplies():
            return (operation.partition,)


def _with(address: Address, other: Address | None) -> tuple[str, ...]:
    if other is None:
        return (address.partition,)
    return (address.partition, other.partition)


@attrs.frozen
class Claim:
    """What a host gets when it takes a partition.

    Attributes:
        epoch: owner epoch, from 1 up; an older one is refused from now on.
        quarantined: every instance of the partition that may not start.
        letters: letters that are stored.
        next_due: when the first of them is due, Unix seconds; ``None``: there is none.
        hidden: of the letters, those that damage keeps from being found.
    """

    partition: str
    epoch: int
    quarantined: tuple[Quarantine, ...] = ()
    letters: int = 0
    next_due: float | None = None
    hidden: int = 0


@attrs.frozen
class StoredBytes:
    """One stored row of an instance as it is, readable or not.

    Attributes:
        kind: ``state`` or ``topology``, unchecked.
        rev: revision of the row.
        version: schema version of the body.
        body: the bytes.
        intact: the checksum is right.
    """

    kind: str
    rev: int
    version: int
    body: bytes
    intact: bool
