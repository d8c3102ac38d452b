"""A store in memory: for tests, and for hosts whose pods may end with the process."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

import attrs

from ..errors import CorruptRecord, StaleOwner, StaleRevision, StoreClosed, StoreError
from ..identity import Address, Key, key_from_text, key_to_text
from ..store import (
    Claim,
    Delete,
    LiftQuarantine,
    Loaded,
    Operation,
    PutQuarantine,
    Quarantine,
    Record,
    RecordKind,
    Row,
    Save,
    Store,
    StoredBytes,
    Unit,
    record_of,
    row_of,
)
from .letters import Mail, Undo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..store import DeadLetter, Letter, Reply, SpoiledLetter

__all__ = ["MemoryStore"]

_STATE = RecordKind.STATE.value
_Place = tuple[str, str]
"""A manager name and the canonical text of a key."""


@attrs.define(eq=False)
class _Partition:
    """The rows of one partition; it has no reference to any other partition.

    ``keys``, ``states`` and ``children`` are derived from ``rows``; ``_replace`` alone
    changes ``rows`` and keeps the three in agreement with it.
    """

    name: str
    epoch: int = 0
    rows: dict[_Place, dict[str, Row]] = attrs.field(
        factory=dict[_Place, dict[str, Row]]
    )
    keys: dict[str, list[str]] = attrs.field(factory=dict[str, list[str]])
    states: Counter[str] = attrs.field(factory=Counter[str])
    children: dict[_Place, set[_Place]] = attrs.field(factory=dict[_Place, set[_Place]])
    quarantine: dict[_Place, Quarantine] = attrs.field(factory=dict[_Place, Quarantine])
    mail: Mail = attrs.field(factory=Mail)

    def apply(self, unit: Unit) -> StoreError | None:
        """Apply a unit as a whole, or change nothing and return why it is refused."""
        if unit.epoch != self.epoch or not self.epoch:
            return StaleOwner(unit.partition, unit.epoch)
        before: dict[_Place, dict[str, Row]] = {}
        quarantine = dict(self.quarantine)
        undo: Undo = []
        for operation in unit.operations:
            refusal = self._apply_operation(operation, before, undo)
            if refusal is not None:
                for place, rows in before.items():
                    self._replace(place, rows)
                for undo_one in reversed(undo):
                    undo_one()
                self.quarantine = quarantine
                return refusal
        return None

    def _apply_operation(
        self,
        operation: Operation,
        before: dict[_Place, dict[str, Row]],
        undo: Undo,
    ) -> StoreError | None:
        match operation:
            case Save(record):
                return self._save(record, before)
            case Delete(address):
                place = place_of(address)
                before.setdefault(place, self.rows.get(place, {}))
                self._replace(place, {})
                self.mail.remove_target(*place, undo)
            case PutQuarantine(quarantine):
                self.quarantine[place_of(quarantine.address)] = quarantine
            case LiftQuarantine(address):
                self.quarantine.pop(place_of(address), None)
            case _:
                return self.mail.apply(operation, undo)
        return None

    def _save(
        self, record: Record, before: dict[_Place, dict[str, Row]]
    ) -> StoreError | None:
        place = place_of(record.address)
        rows = self.rows.get(place, {})
        kind = record.kind.value
        stored_rev = rows[kind].rev if kind in rows else 0
        if stored_rev != record.rev - 1:
            return StaleRevision(record.address, record.rev - 1)
        before.setdefault(place, rows)
        self._replace(place, {**rows, kind: row_of(record)})
        return None

    def _replace(self, place: _Place, rows: dict[str, Row]) -> None:
        """Replace the rows of a place, and update what is derived from them."""
        old = self.rows.pop(place, {})
        manager, text = place
        self.states[manager] += (_STATE in rows) - (_STATE in old)
        if rows:
            self.rows[place] = rows
        if rows and not old:
            insort(self.keys.setdefault(manager, []), text)
        elif old and not rows:
            keys = self.keys[manager]
            del keys[bisect_left(keys, text)]
        for row in old.values():
            if row.parent_manager:
                self.children[row.parent_manager, row.parent_key].discard(place)
        for row in rows.values():
            if row.parent_manager:
                parent = (row.parent_manager, row.parent_key)
                self.children.setdefault(parent, set()).add(place)


def place_of(address: Address) -> _Place:
    """Return the place of an address in its partition."""
    return address.manager, key_to_text(address.key)


@attrs.define(eq=False, repr=False)
class MemoryStore(Store):
    """Keeps the contract of ``Store``, except that its rows end with the process.

    The rows stay when the store is closed, so a test can open it again like a file.
    """

    _partitions: dict[str, _Partition] = attrs.field(
        factory=dict[str, _Partition], init=False
    )
    _open: bool = attrs.field(default=False, init=False)

    def __repr__(self) -> str:
        rows = sum(len(one.rows) for one in self._partitions.values())
        return f"<MemoryStore partitions={len(self._partitions)} instances={rows}>"

    async def open(self) -> None:
        self._open = True

    async def close(self) -> None:
        self._open = False

    async def claim(self, partitions: Sequence[str]) -> list[Claim]:
        await self._check_open()
        return [self._claim(name) for name in partitions]

    async def load(
        self, manager: str, keys: Sequence[Key], *, partition: str
    ) -> list[Loaded]:
        await self._check_open()
        rows = self._find(partition).rows
        return [
            _load(
                Address(partition, manager, key),
                rows.get((manager, key_to_text(key)), {}),
            )
            for key in keys
        ]

    async def apply(self, units: Sequence[Unit]) -> list[StoreError | None]:
        await self._check_open()
        return [self._find(unit.partition).apply(unit) for unit in units]

    async def keys(
        self, manager: str, *, partition: str, after: Key | None, limit: int
    ) -> list[Key]:
        await self._check_open()
        texts = self._find(partition).keys.get(manager, [])
        start = 0 if after is None else bisect_right(texts, key_to_text(after))
        return [key_from_text(text) for text in texts[start : start + limit]]

    async def count(self, manager: str, *, partition: str) -> int:
        await self._check_open()
        return self._find(partition).states[manager]

    async def partitions(self, *, after: str | None, limit: int) -> list[str]:
        await self._check_open()
        names = sorted(self._partitions)
        start = 0 if after is None else bisect_right(names, after)
        return names[start : start + limit]

    async def children(self, parent: Address) -> list[Address]:
        await self._check_open()
        places = self._find(parent.partition).children.get(place_of(parent), set())
        return [
            Address(parent.partition, manager, key_from_text(text))
            for manager, text in sorted(places)
        ]

    async def quarantined(self, *, partition: str) -> list[Quarantine]:
        await self._check_open()
        quarantine = self._find(partition).quarantine
        return [quarantine[place] for place in sorted(quarantine)]

    async def inspect(self, address: Address) -> list[StoredBytes]:
        await self._check_open()
        rows = self._find(address.partition).rows.get(place_of(address), {})
        return [
            StoredBytes(kind, row.rev, row.version, row.body, intact=True)
            for kind, row in sorted(rows.items())
        ]

    async def letters(
        self, *, partition: str, until: float, after: tuple[float, str], limit: int
    ) -> list[Letter | SpoiledLetter]:
        await self._check_open()
        due = self._find(partition).mail.due_letters(partition, until, after)
        return list(islice(due, limit))

    async def mail(self, target: Address, *, limit: int) -> list[Letter]:
        await self._check_open()
        return list(islice(self._find(target.partition).mail.letters_of(target), limit))

    async def pending(
        self, *, after: str | None, limit: int
    ) -> list[tuple[str, float]]:
        await self._check_open()
        found = (
            (name, due)
            for name in sorted(self._partitions)
            if (due := self._partitions[name].mail.first_due()) is not None
        )
        return list(islice((f for f in found if f[0] > (after or "")), limit))

    async def dead(self, *, partition: str, after: str, limit: int) -> list[DeadLetter]:
        await self._check_open()
        letters = self._find(partition).mail.dead
        return list(islice((letters[s] for s in sorted(letters) if s > after), limit))

    async def reply(self, target: Address, key: str) -> Reply | None:
        await self._check_open()
        return self._find(target.partition).mail.reply(target, key)

    async def _check_open(self) -> None:
        """Raise if closed, after giving way to other tasks as a real store would."""
        await asyncio.sleep(0)
        if not self._open:
            raise StoreClosed

    def _find(self, partition: str) -> _Partition:
        """Return a partition; an empty one that is not kept if it was never claimed."""
        return self._partitions.get(partition) or _Partition(partition)

    def _claim(self, name: str) -> Claim:
        partition = self._partitions.setdefault(name, _Partition(name))
        partition.epoch += 1
        quarantine = partition.quarantine
        return Claim(
            name,
            partition.epoch,
            tuple(quarantine[place] for place in sorted(quarantine)),
            len(partition.mail.letters),
            partition.mail.first_due(),
        )


def _load(address: Address, rows: dict[str, Row]) -> Loaded:
    try:
        return tuple(record_of(rows[kind], address) for kind in sorted(rows))
    except CorruptRecord as error:
        return error
