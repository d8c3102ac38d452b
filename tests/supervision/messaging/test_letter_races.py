"""Letters that are found before their sender has learnt that they are stored."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

import attrs
import pytest

from persistence import (
    Clock,
    Key,
    Letter,
    Loaded,
    Operation,
    Post,
    SpoiledLetter,
    Store,
    StoreError,
    Take,
    Unit,
)
from persistence.testing import RelayStore
from supervision import Agent, AgentRef, Host, Message, handler
from tests.support import MakeStore, ManualClock, eventually, offline

__all__: list[str] = []


class Note(Message[None]):
    text: str


class Send(Message[None]):
    text: str
    name: str = ""
    after: float = 0.0


class CallOff(Message[None]):
    name: str


class Notes(Message[tuple[str, ...]]):
    pass


class Book(Agent):
    notes: tuple[str, ...] = ()
    sent: int = 0

    @handler
    def note(self, message: Note) -> None:
        self.notes = (*self.notes, message.text)

    @handler
    def send(self, message: Send) -> None:
        self.sent += 1
        other = self.context.ref("books", "other")
        if not message.name:
            self.context.tell(other, Note(message.text), durable=True)
            return
        note = Note(message.text)
        after, name = message.after, message.name
        self.context.schedule(note, after=after, name=name, target=other)

    @handler
    def call_off(self, message: CallOff) -> None:
        other = self.context.ref("books", "other")
        self.context.unschedule(message.name, target=other)

    @handler
    def all_notes(self, message: Notes) -> tuple[str, ...]:
        return self.notes


Step = Callable[[], Awaitable[None]]
_Due = tuple[type[object], Step]


@attrs.define(eq=False, repr=False)
class _Stepwise(RelayStore):
    """Runs steps before and after it saves units that post or take letters.

    Attributes:
        before: steps before a save, each with its first operation, in this order.
        after: steps after a save, in the same form.
        loading: steps before it loads rows.
        read: steps after it has read letters, before it returns them.
    """

    before: list[_Due] = attrs.field(factory=list[_Due])
    after: list[_Due] = attrs.field(factory=list[_Due])
    loading: list[Step] = attrs.field(factory=list[Step])
    read: list[Step] = attrs.field(factory=list[Step])

    async def letters(
        self, *, partition: str, until: float, after: tuple[float, str], limit: int
    ) -> list[Letter | SpoiledLetter]:
        found = await RelayStore.letters(
            self, partition=partition, until=until, after=after, limit=limit
        )
        if self.read and found:
            await self.read.pop(0)()
        return found

    async def load(
        self, manager: str, keys: Sequence[Key], *, partition: str
    ) -> list[Loaded]:
        if self.loading:
            await self.loading.pop(0)()
        return await RelayStore.load(self, manager, keys, partition=partition)

    async def apply(self, units: Sequence[Unit]) -> list[StoreError | None]:
        kinds = {type(o) for unit in units for o in unit.operations}
        await _take_step(self.before, kinds)
        answers = await RelayStore.apply(self, units)
        await _take_step(self.after, kinds)
        return answers


async def _take_step(steps: list[_Due], kinds: set[type[Operation]]) -> None:
    if steps and steps[0][0] in kinds:
        await steps.pop(0)[1]()


@contextlib.asynccontextmanager
async def two_books(
    store: Store, clock: Clock
) -> AsyncGenerator[tuple[Host, AgentRef[Book], AgentRef[Book]]]:
    """Start a book that sends, and the other one, to which it does."""
    async with Host(store=store, clock=clock) as host:
        books = host.manager("books", Book)
        sender = await books.get("sender", partition="acme")
        yield host, sender, await books.get("other", partition="acme")


@pytest.mark.parametrize("name", ["", "timer"])
async def test_a_letter_that_is_read_before_its_sender_is_told_is_handled_once(
    make: MakeStore, clock: ManualClock, name: str
) -> None:
    """A9: the reading leaves it to the end of the turn that has sent it."""
    store = _Stepwise(make())
    async with two_books(store, clock) as (host, sender, other):
        partition = host.runtime.catalog.partition("acme")

        known = host.runtime.mailroom.letters[partition.name]

        async def read() -> None:
            host.runtime.mailroom.due_letters.look(partition)
            await eventually(lambda: known.settled is None)
            waiting.append(len(known.out))

        waiting: list[int] = []
        store.after.append((Post, read))
        await sender.ask(Send("one", name))
        await eventually(lambda: not known.letters)
        notes = await other.ask(Notes())

    assert notes == ("one",)
    assert waiting == [0]


async def test_a_letter_whose_sender_is_told_late_is_handled_once(
    make: MakeStore, clock: ManualClock
) -> None:
    """A9: the store has failed, and while its row is looked up, letters are read."""
    store = _Stepwise(make())
    async with two_books(store, clock) as (host, sender, other):
        partition = host.runtime.catalog.partition("acme")
        known = host.runtime.mailroom.letters[partition.name]

        async def fail() -> None:
            raise offline()

        async def read_and_handle() -> None:
            host.runtime.mailroom.due_letters.look(partition)
            await eventually(lambda: known.settled is None)
            await eventually(lambda: not known.out)

        store.after.append((Post, fail))
        store.loading.append(read_and_handle)
        await sender.ask(Send("one"))
        await eventually(lambda: not known.letters)
        notes = await other.ask(Notes())

    assert notes == ("one",)
    assert not store.loading


async def test_a_timer_that_replaces_one_which_is_handled_now_is_handled_once(
    make: MakeStore, clock: ManualClock
) -> None:
    """A9: the end of the old one says nothing of the new one, which is on its way."""
    store = _Stepwise(make())
    async with two_books(store, clock) as (host, sender, other):
        partition = host.runtime.catalog.partition("acme")
        known = host.runtime.mailroom.letters[partition.name]
        waiting: list[int] = []
        await sender.ask(Send("old", "timer", after=10.0))

        async def handle_the_old_one() -> None:
            clock.advance(10)
            await eventually(lambda: partition.counters.handled == 3)

        async def go_on() -> None:
            await eventually(lambda: known.settled is None)

        async def read_again() -> None:
            host.runtime.mailroom.due_letters.look(partition)
            await eventually(lambda: known.settled is None)
            instance = host.runtime.catalog.find(other.address)
            waiting.append(-1 if instance is None else instance.queued)

        store.before += [(Post, handle_the_old_one), (Take, go_on), (Take, read_again)]
        await sender.ask(Send("new", "timer"))
        await eventually(lambda: not known.out and not store.before)
        notes = await other.ask(Notes())

    assert notes == ("old", "new")
    assert waiting == [0]


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("earlier", [False, True])
async def test_a_timer_that_is_called_off_while_it_is_read_is_not_handled(
    make: MakeStore, clock: ManualClock, *, earlier: bool, replaced: bool
) -> None:
    """A9: nor one that is replaced; an earlier host may have posted it."""
    old = Send("old", "timer", after=10.0)
    if earlier:
        async with two_books(make(), clock) as (_, sender, _):
            await sender.ask(old)
    store = _Stepwise(make())
    async with two_books(store, clock) as (host, sender, other):
        if not earlier:
            await sender.ask(old)
        known = host.runtime.mailroom.letters["acme"]

        async def in_between() -> None:
            new = Send("new", "timer", after=10.0)
            await sender.ask(new if replaced else CallOff("timer"))

        store.read.append(in_between)
        for _ in range(4):
            clock.advance(10)
            await eventually(lambda: known.settled is None and not known.out)
        notes = await other.ask(Notes())

    assert not store.read
    assert notes == (("new",) if replaced else ())


async def test_a_letter_that_is_gone_undoes_the_turn_that_has_handled_it(
    make: MakeStore, clock: ManualClock
) -> None:
    """A9: it was handled elsewhere: what it does must not take effect twice."""
    store = _Stepwise(make())
    async with two_books(store, clock) as (host, sender, other):
        partition = host.runtime.catalog.partition("acme")
        before = other.incarnation

        async def take_it() -> None:
            (stored,) = await store.mail(other.address, limit=9)
            assert isinstance(stored, Letter)
            take = Take(stored.target, stored.id, stored.stamp)
            answers = await store.inner.apply(
                [Unit("acme", partition.epoch, (take,))],
            )
            assert answers == [None]

        store.before.append((Take, take_it))
        await sender.ask(Send("one"))
        await eventually(lambda: host.runtime.catalog.find(other.address) is None)
        after = await other.ask(Notes())
        await sender.ask(Send("two"))
        clock.advance(60)
        await eventually(lambda: partition.counters.saves == 3)
        notes = await other.ask(Notes())

    assert not store.before
    assert (before, after) == (2, ())
    assert notes == ("two",)
    assert partition.counters.save_failures == 1
