"""A store in memory: for tests, and for hosts whose pods need not outlive them."""

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
    """Everything that one partition has; it knows of no other."""

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
        """Apply a unit as a whole, or leave everything as it was."""
        if unit.epoch != self.epoch or not self.epoch:
            return StaleOwner(unit.partition, unit.epoch)
        before: dict[_Place, dict[str, Row]] = {}
        marks = dict(self.quarantine)
        undo: Undo = []
        for operation in unit.operations:
            refusal = self._carry_out(operation, before, undo)
            if refusal is not None:
                for place, rows in before.items():
                    self._replace(place, rows)
                for put_back in reversed(undo):
                    put_back()
                self.quarantine = marks
                return refusal
        return None

    def _carry_out(
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
                self.mail.drop(*place, undo)
            case PutQuarantine(quarantine):
                self.quarantine[place_of(quarantine.address)] = quarantine
            case LiftQuarantine(address):
                self.quarantine.pop(place_of(address), None)
            case _:
                return self.mail.carry_out(operation, undo)
        return None

    def _save(
        self, record: Record, before: dict[_Place, dict[str, Row]]
    ) -> StoreError | None:
        place = place_of(record.address)
        rows = self.rows.get(place, {})
        kind = record.kind.value
        stands_at = rows[kind].rev if kind in rows else 0
        if stands_at != record.rev - 1:
            return StaleRevision(record.address, record.rev - 1)
        before.setdefault(place, rows)
        self._replace(place, {**rows, kind: row_of(record)})
        return None

    def _replace(self, place: _Place, rows: dict[str, Row]) -> None:
        """Put other rows in a place, and keep what is derived from them true."""
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
    """Say where an address has its rows inside its partition."""
    return address.manager, key_to_text(address.key)


@attrs.define(eq=False, repr=False)
class MemoryStore(Store):
    """Keeps the whole contract of ``Store`` except that it ends with the process.

    What it holds stays when it is closed, so that a test can open it again as it would
    open a file.
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
        await self._enter()
        return [self._claim(name) for name in partitions]

    async def load(
        self, manager: str, keys: Sequence[Key], *, partition: str
    ) -> list[Loaded]:
        await self._enter()
        rows = self._find(partition).rows
        return [
            _load(
                Address(partition, manager, key),
                rows.get((manager, key_to_text(key)), {}),
            )
            for key in keys
        ]

    async def apply(self, units: Sequence[Unit]) -> list[StoreError | None]:
        await self._enter()
        return [self._find(unit.partition).apply(unit) for unit in units]

    async def keys(
        self, manager: str, *, partition: str, after: Key | None, limit: int
    ) -> list[Key]:
        await self._enter()
        texts = self._find(partition).keys.get(manager, [])
        start = 0 if after is None else bisect_right(texts, key_to_text(after))
        return [key_from_text(text) for text in texts[start : start + limit]]

    async def count(self, manager: str, *, partition: str) -> int:
        await self._enter()
        return self._find(partition).states[manager]

    async def partitions(self, *, after: str | None, limit: int) -> list[str]:
        await self._enter()
        names = sorted(self._partitions)
        start = 0 if after is None else bisect_right(names, after)
        return names[start : start + limit]

    async def children(self, parent: Address) -> list[Address]:
        await self._enter()
        places = self._find(parent.partition).children.get(place_of(parent), set())
        return [
            Address(parent.partition, manager, key_from_text(text))
            for manager, text in sorted(places)
        ]

    async def quarantined(self, *, partition: str) -> list[Quarantine]:
        await self._enter()
        marks = self._find(partition).quarantine
        return [marks[place] for place in sorted(marks)]

    async def inspect(self, address: Address) -> list[StoredBytes]:
        await self._enter()
        rows = self._find(address.partition).rows.get(place_of(address), {})
        return [
            StoredBytes(kind, row.rev, row.version, row.body, intact=True)
            for kind, row in sorted(rows.items())
        ]

    async def letters(
        self, *, partition: str, until: float, after: tuple[float, str], limit: int
    ) -> list[Letter | SpoiledLetter]:
        await self._enter()
        due = self._find(partition).mail.due(partition, until, after)
        return list(islice(due, limit))

    async def mail(self, target: Address, *, limit: int) -> list[Letter]:
        await self._enter()
        return list(islice(self._find(target.partition).mail.of(target), limit))

    async def pending(
        self, *, after: str | None, limit: int
    ) -> list[tuple[str, float]]:
        await self._enter()
        found = (
            (name, due)
            for name in sorted(self._partitions)
            if (due := self._partitions[name].mail.first_due()) is not None
        )
        return list(islice((f for f in found if f[0] > (after or "")), limit))

    async def dead(self, *, partition: str, after: str, limit: int) -> list[DeadLetter]:
        await self._enter()
        letters = self._find(partition).mail.dead
        return list(islice((letters[s] for s in sorted(letters) if s > after), limit))

    async def reply(self, target: Address, key: str) -> Reply | None:
        await self._enter()
        return self._find(target.partition).mail.reply(target, key)

    async def _enter(self) -> None:
        """Refuse if closed; let others run, as they do while a real store works."""
        await asyncio.sleep(0)
        if not self._open:
            raise StoreClosed

    def _find(self, partition: str) -> _Partition:
        """Return a partition; an empty one stands in for one that was never claimed."""
        return self._partitions.get(partition) or _Partition(partition)

    def _claim(self, name: str) -> Claim:
        partition = self._partitions.setdefault(name, _Partition(name))
        partition.epoch += 1
        marks = partition.quarantine
        return Claim(
            name,
            partition.epoch,
            tuple(marks[place] for place in sorted(marks)),
            len(partition.mail.letters),
            partition.mail.first_due(),
        )


def _load(address: Address, rows: dict[str, Row]) -> Loaded:
    try:
        return tuple(record_of(rows[kind], address) for kind in sorted(rows))
    except CorruptRecord as error:
        return error
