"""Letters that are found before their sender has learnt that they are stored."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import attrs
import pytest

from persistence import Post, StoreError, Unit
from persistence.testing import RelayStore
from supervision import Agent, Host, Message, handler
from supervision.letterbox import box_of
from tests.support import MakeStore, ManualClock, eventually

__all__: list[str] = []


class Note(Message[None]):
    text: str


class Send(Message[None]):
    text: str
    name: str = ""


class Notes(Message[tuple[str, ...]]):
    pass


class Book(Agent):
    notes: tuple[str, ...] = ()

    @handler
    def note(self, message: Note) -> None:
        self.notes = (*self.notes, message.text)

    @handler
    def send(self, message: Send) -> None:
        other = self.context.ref("books", "other")
        if not message.name:
            self.context.tell(other, Note(message.text), durable=True)
            return
        now = datetime.fromtimestamp(0, UTC)
        note = Note(message.text)
        self.context.schedule(note, at=now, name=message.name, target=other)

    @handler
    def all_notes(self, message: Notes) -> tuple[str, ...]:
        return self.notes


@attrs.define(eq=False, repr=False)
class _SeenFirst(RelayStore):
    """Lets a letter be read, and handled, before it answers that it is stored."""

    meanwhile: Callable[[], object] | None = None
    handled: Callable[[], bool] = lambda: False

    async def apply(self, units: Sequence[Unit]) -> list[StoreError | None]:
        answers = await RelayStore.apply(self, units)
        posts = any(isinstance(o, Post) for unit in units for o in unit.operations)
        if posts and self.meanwhile is not None:
            self.meanwhile()
            await eventually(self.handled)
        return answers


@pytest.mark.parametrize("name", ["", "timer"])
async def test_a_letter_that_is_read_before_its_sender_is_told_is_handled_once(
    make: MakeStore, clock: ManualClock, name: str
) -> None:
    """A9: the reading has handed it over already; it has come and comes no more."""
    store = _SeenFirst(make())
    async with Host(store=store, clock=clock) as host:
        books = host.manager("books", Book)
        sender = await books.get("sender", partition="acme")
        other = await books.get("other", partition="acme")
        partition = host.runtime.partition("acme")
        store.meanwhile = functools.partial(
            host.runtime.mailroom.rounds.look, partition
        )
        store.handled = lambda: partition.counters.handled > 1

        await sender.ask(Send("one", name))
        await eventually(lambda: not box_of(partition).letters)
        await eventually(lambda: not box_of(partition).out)
        notes = await other.ask(Notes())

    assert notes == ("one",)
