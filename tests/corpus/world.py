"""The world whose rows the corpus holds: agents of three versions, pods, a quarantine.

It is written through the public API by the release that a dump is named after, and
thawed by every release that follows. What stands in a dump never changes, so neither
may what is said here of it; a new kind of row gets a new class or a new key.
"""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import attrs

from persistence import Address, PutQuarantine, Quarantine, Unit, open_store
from pods import (
    Agent,
    Host,
    InstanceManager,
    Message,
    Pod,
    add_node,
    eager,
    handler,
    lazy,
    remove_node,
    upcast,
)
from tests.support import ManualClock

__all__ = [
    "FILLED",
    "PARTITIONS",
    "REASON",
    "Book",
    "Dump",
    "Entry",
    "Ledger",
    "LedgerV1",
    "LedgerV2",
    "Sheet",
    "Show",
    "Studio",
    "write_world",
]

PARTITIONS = ("acme", "globex")
REASON = "it was found on the floor"


class Book(Message[None]):
    amount: int


class Name(Message[None]):
    name: str


@attrs.frozen
class Entry:
    amount: int
    note: str = ""


class Show(Message[tuple[str, tuple[Entry, ...]]]):
    pass


class LedgerV1(Agent):
    """A ledger, as the first release of an application had it."""

    title: str = ""
    total: int = 0

    @handler
    def book(self, message: Book) -> None:
        self.total += message.amount

    @handler
    def name(self, message: Name) -> None:
        self.title = message.name


class LedgerV2(Agent):
    """The second release keeps each amount."""

    state_version = 2
    title: str = ""
    amounts: list[int] = attrs.field(factory=list[int])

    @staticmethod
    @upcast(1)
    def split(state: dict[str, object]) -> dict[str, object]:
        state["amounts"] = [state.pop("total")]
        return state

    @handler
    def book(self, message: Book) -> None:
        self.amounts = [*self.amounts, message.amount]

    @handler
    def name(self, message: Name) -> None:
        self.title = message.name


class Ledger(Agent):
    """The third has another word for the title, and notes."""

    state_version = 3
    label: str = ""
    entries: tuple[Entry, ...] = ()

    @staticmethod
    @upcast(1)
    def split(state: dict[str, object]) -> dict[str, object]:
        return LedgerV2.split(state)

    @staticmethod
    @upcast(2)
    def annotate(state: dict[str, object]) -> dict[str, object]:
        amounts = state.pop("amounts")
        assert isinstance(amounts, list)
        entries = [{"amount": amount, "note": ""} for amount in amounts]  # pyright: ignore[reportUnknownVariableType]  it is JSON
        return {"label": state.pop("title"), "entries": entries, **state}

    @handler
    def book(self, message: Book) -> None:
        self.entries = (*self.entries, Entry(message.amount, "v3"))

    @handler
    def name(self, message: Name) -> None:
        self.label = message.name

    @handler
    def show(self, _: Show) -> tuple[str, tuple[Entry, ...]]:
        return self.label, self.entries


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@attrs.frozen
class Filling:
    """A value of every kind that a state can have."""

    text: str
    number: int
    ratio: float
    flag: bool
    nothing: str | None
    moment: datetime
    day: date
    span: timedelta
    price: Decimal
    ident: UUID
    raw: bytes
    colour: Colour
    words: list[str]
    pair: tuple[int, str]
    many: tuple[Entry, ...]
    table: dict[str, list[int | None]]
    unique: frozenset[str]


FILLED = Filling(
    text="ünï \U0001f409 'quoted' \"twice\" \\ \n\ttab",
    number=2**70,
    ratio=-0.1,
    flag=True,
    nothing=None,
    moment=datetime(2026, 3, 29, 1, 30, 0, 5, tzinfo=UTC),
    day=date(2024, 2, 29),
    span=timedelta(days=-1, microseconds=7),
    price=Decimal("1.20"),
    ident=UUID("12345678-1234-5678-1234-567812345678"),
    raw=b"\x00\xff",
    colour=Colour.BLUE,
    words=["", "a"],
    pair=(1, "1"),
    many=(Entry(0), Entry(-5, "é")),
    table={"": [1, None], "b": []},
    unique=frozenset({"x", "y"}),
)


class Fill(Message[None]):
    pass


class Dump(Message[Filling | None]):
    pass


class Sheet(Agent):
    filling: Filling | None = None

    @handler
    def fill(self, _: Fill) -> None:
        self.filling = FILLED

    @handler
    def dump(self, _: Dump) -> Filling | None:
        return self.filling


class Studio(Pod):
    motto: str = "none"
    lead = eager(Ledger, manager="ledgers")
    helper = lazy(Ledger, manager="ledgers", owner=lead)
    dropped = lazy(Ledger, manager="ledgers")

    @handler
    def name(self, message: Name) -> None:
        self.motto = message.name


async def write_world(url: str) -> None:
    """Write the same keys into each partition, with contents of its own."""
    ledger: type[Agent]
    for version, ledger in enumerate((LedgerV1, LedgerV2, Ledger), start=1):
        async with Host(url, clock=ManualClock()) as host:
            ledgers: InstanceManager[Agent] = host.manager("ledgers", ledger)
            for partition in PARTITIONS:
                ref = await ledgers.get(("old", f"v{version}"), partition=partition)
                await ref.ask(Name(partition))
                for amount in range(1, version + 2):
                    await ref.ask(Book(amount))
    async with Host(url, clock=ManualClock()) as host:
        host.manager("ledgers", Ledger)
        sheets = host.manager("sheets", Sheet)
        studios = host.manager("studios", Studio)
        for partition in PARTITIONS:
            await (await sheets.get("full", partition=partition)).ask(Fill())
            studio = await Studio.get(studios, "main", partition=partition)
            await studio.ask(Name(partition))
            for number, node in enumerate((Studio.lead, Studio.helper, Studio.dropped)):
                ref = await studio.ensure_node(node)
                await ref.ask(Book(number))
            added = add_node("added", lazy(Ledger, manager="ledgers"))
            await studio.mutate([added, remove_node("dropped")])
            await (await studio.ensure_node("added")).ask(Book(9))
    await _quarantine(url)


async def _quarantine(url: str) -> None:
    store = open_store(url)
    await store.open()
    try:
        (claim,) = await store.claim(["acme"])
        address = Address("acme", "ledgers", ("old", "v2"))
        mark = PutQuarantine(Quarantine(address, REASON, 1_700_000_000.5))
        answers = await store.apply([Unit("acme", claim.epoch, (mark,))])
        assert answers == [None]
    finally:
        await store.close()
