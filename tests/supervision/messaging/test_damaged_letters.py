"""Letters that a store cannot give any more: logged once, and no other waits."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest

from persistence import (
    Claim,
    Letter,
    SpoiledLetter,
    StoreError,
    Take,
    Unit,
    open_store,
)
from persistence.testing import RelayStore
from supervision import Agent, Host, Message, handler
from supervision.messaging.partition_letters import PartitionLetters
from tests.support import MakeStore, ManualClock, eventually, offline

__all__: list[str] = []


class Note(Message[None]):
    text: str


class Notes(Message[tuple[str, ...]]):
    pass


class Book(Agent):
    notes: tuple[str, ...] = ()

    @handler
    def note(self, message: Note) -> None:
        self.notes = (*self.notes, message.text)

    @handler
    def all_notes(self, message: Notes) -> tuple[str, ...]:
        return self.notes


_LOST = SpoiledLetter(
    partition="acme",
    manager="books\udcff",
    key='"b"',
    id="x",
    stamp="x",
    due=0.0,
    reason="it is planted",
    lost=True,
)


@attrs.define(eq=False, repr=False)
class _Damaged(RelayStore):
    """Lists a damaged letter first, and counts it when its partition is claimed.

    Attributes:
        letter: the damaged letter.
        readings: how often the letters were listed.
    """

    letter: SpoiledLetter = _LOST
    readings: int = 0

    def was_read(self, times: int) -> bool:
        """Return whether the letters were listed at least so many times."""
        return self.readings >= times

    async def claim(self, partitions: Sequence[str]) -> list[Claim]:
        found = await RelayStore.claim(self, partitions)
        return [attrs.evolve(one, letters=one.letters + 1, hidden=1) for one in found]

    async def letters(
        self, *, partition: str, until: float, after: tuple[float, str], limit: int
    ) -> list[Letter | SpoiledLetter]:
        found = await RelayStore.letters(
            self, partition=partition, until=until, after=after, limit=limit
        )
        self.readings += after < (0.0, "x")
        return [self.letter, *found] if after < (0.0, "x") else found


@attrs.define(eq=False, repr=False)
class _Refusing(RelayStore):
    """Refuses the first turns that take a letter."""

    refusals: int = 2

    async def apply(self, units: Sequence[Unit]) -> list[StoreError | None]:
        takes = [isinstance(o, Take) for unit in units for o in unit.operations]
        if any(takes) and self.refusals:
            self.refusals -= 1
            raise offline()
        return await RelayStore.apply(self, units)


async def test_a_letter_whose_turn_cannot_be_saved_is_said_and_tried_again(
    make: MakeStore, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """P2, row 6: no caller waits for a reply, so the log has it."""
    store = _Refusing(make())
    async with Host(store=store, clock=clock) as host:
        book = await host.manager("books", Book).get("b", partition="acme")
        await book.tell(Note("one"), durable=True)
        known = host.runtime.mailroom.letters["acme"]
        for left in (1, 0):
            await eventually(functools.partial(_has_come_back, store, left, known))
            clock.advance(60)
        await eventually(lambda: not known.letters)
        notes = await book.ask(Notes())

    said = [r.message for r in caplog.records if r.name == "podvisor.mail"]
    assert notes == ("one",)
    assert said == ["letters.unsaved"] * 2


def _has_come_back(store: _Refusing, left: int, known: PartitionLetters) -> bool:
    waits = known.settled is None and known.timer is not None
    return store.refusals == left and known.unsaved == 1 and waits


async def test_a_letter_that_is_lost_is_said_once_and_delays_no_other(
    make: MakeStore, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """P2, row 6: whatever its row looks like, those behind it are handled."""
    store = _Damaged(make())
    async with Host(store=store, clock=clock) as host:
        book = await host.manager("books", Book).get("b", partition="acme")
        await eventually(lambda: store.was_read(1))

        await book.tell(Note("one"), durable=True)
        host.runtime.mailroom.due_letters.look(host.runtime.catalog.partition("acme"))
        await eventually(lambda: store.was_read(2))
        await eventually(
            lambda: host.runtime.catalog.partition("acme").counters.handled
        )
        notes = await book.ask(Notes())

    said = [r.message for r in caplog.records if r.name == "podvisor.mail"]
    assert notes == ("one",)
    assert said == ["letters.hidden", "letter.damaged"]


async def test_a_letter_that_can_be_neither_read_nor_buried_is_said_once(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """P2, row 6: a name that is no text cannot be handed to the database again."""
    unburied = attrs.evolve(_LOST, lost=False)
    store = _Damaged(open_store(tmp_path / "podvisor.db"), unburied)
    async with Host(store=store, clock=clock) as host:
        book = await host.manager("books", Book).get("b", partition="acme")
        for readings in (1, 2, 3):
            host.runtime.mailroom.due_letters.look(
                host.runtime.catalog.partition("acme")
            )
            await eventually(functools.partial(store.was_read, readings))
        await eventually(lambda: host.runtime.writer.statistics().refused >= 2)
        await book.ask(Notes())

    said = [r.message for r in caplog.records if r.name == "podvisor.mail"]
    assert said == ["letters.hidden", "letter.damaged"]
