"""The stored values: records, operations, units and claims.

A *record* is one stored row: the state of an instance, or the topology of a pod. A
*unit* is what one turn wants stored, all of it or nothing. A unit belongs to exactly
one partition and carries the epoch under which its host owns that partition.
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
    """What a record holds: the state of an instance, or the topology of a pod."""

    STATE = "state"
    TOPOLOGY = "topology"


class Record(NamedTuple):
    """One stored row.

    A named tuple and not an attrs class: every save and every thaw builds one, and a
    frozen attrs class takes twice as long to build.

    Attributes:
        address: address of the instance.
        kind: state or topology.
        rev: revision of the row, from 1 up; every save adds one.
        version: schema version of the body, from 1 up (``Agent.state_version``).
        body: JSON text in UTF-8.
        parent: address of the parent at the time of the save, in the same partition;
            ``None`` for a root and for a topology.
        on_parent_stop: what happens to the instance when its parent stops, in the words
            of ``supervision``; stored here and not interpreted.
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
    """Write a record; its row must be at ``record.rev - 1`` (0: must not exist)."""

    record: Record


@attrs.frozen
class Delete:
    """Remove the records, letters and replies of an address; no error if none exist."""

    address: Address


@attrs.frozen
class PutQuarantine:
    """Put an address in quarantine; a second quarantine replaces the first."""

    quarantine: Quarantine


@attrs.frozen
class LiftQuarantine:
    """Lift the quarantine of an address; no error if it has none."""

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
    """What one turn wants stored: all of it or nothing, in one partition.

    ``supervision`` builds it; ``Writer`` takes it.

    Attributes:
        partition: the partition.
        epoch: owner epoch of the host; a store refuses one that is not the current one.
        operations: what to do, in order.

    Raises:
        ValueError: an operation, or the parent of a record, belongs to another
            partition. This is a bug in the caller, never a user's mistake. It is found
            before anything is written.
    """

    partition: str
    epoch: int
    operations: tuple[Operation, ...]

    def __attrs_post_init__(self) -> None:
        for operation in self.operations:
            if type(operation) is Save:  # nearly every one is; a match is slower
                record = operation.record
                if record.address.partition == self.partition and record.parent is None:
                    continue
            if any(part != self.partition for part in _partitions_of(operation)):
                what = type(operation).__name__
                msg = f"a {what} is not in partition {self.partition!r}"
                raise ValueError(msg)


def _partitions_of(operation: Operation) -> tuple[str, ...]:
    """Return every partition that an operation names; all must be the unit's own."""
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
    """The result of claiming a partition for a host.

    Attributes:
        partition: the partition.
        epoch: owner epoch, from 1 up; an older one is refused from now on.
        quarantined: every quarantined instance of the partition.
        letters: how many letters are stored.
        next_due: due time of the first letter, Unix seconds; ``None``: there is none.
        hidden: how many of the letters cannot be found because of damage.
    """

    partition: str
    epoch: int
    quarantined: tuple[Quarantine, ...] = ()
    letters: int = 0
    next_due: float | None = None
    hidden: int = 0


@attrs.frozen
class StoredBytes:
    """One stored row of an instance, readable or not.

    Attributes:
        kind: ``state`` or ``topology``, unchecked.
        rev: revision of the row.
        version: schema version of the body.
        body: the stored bytes.
        intact: whether the checksum is right.
    """

    kind: str
    rev: int
    version: int
    body: bytes
    intact: bool
