"""What any version has stored is thawed; what newer code has stored is refused."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from persistence import Address, migrate_store, open_store
from persistence.migrations import REVISIONS
from persistence.migrations.schema import SCHEMA_VERSION
from pods import Agent, Host, Pod, Quarantined, eager, lazy
from tests.corpus.letters import DAY, Clerk, Rung
from tests.corpus.record import CORPUS, head_of, release
from tests.corpus.world import (
    FILLED,
    PARTITIONS,
    REASON,
    Book,
    Dump,
    Entry,
    Ledger,
    LedgerV1,
    LedgerV2,
    Sheet,
    Show,
    Studio,
)
from tests.support import ManualClock, answer

__all__: list[str] = []

DUMPS = sorted(CORPUS.glob("*.sql"))
WITH_LETTERS = [dump for dump in DUMPS if not dump.stem.endswith("-tables-1")]

each_dump = pytest.mark.parametrize("dump", DUMPS, ids=lambda dump: dump.stem)


@pytest.fixture
def database(dump: Path, tmp_path: Path) -> Path:
    """Lay a dump out as a database."""
    path = tmp_path / "podvisor.db"
    with closing(sqlite3.connect(path)) as made:
        made.executescript(dump.read_text("utf-8"))
    open_store(path)  # imports SQLAlchemy; here no loop runs yet
    return path


@pytest.fixture
async def url(database: Path) -> str:
    """Bring the tables of a dump up to date."""
    name = f"sqlite+aiosqlite:///{database}"
    (report,) = [one async for one in migrate_store(open_store(name))]
    assert report.problem is None
    return name


@asynccontextmanager
async def host_of(url: str, ledger: type[Agent] = Ledger) -> AsyncGenerator[Host]:
    async with Host(url, clock=ManualClock()) as host:
        host.manager("ledgers", ledger)
        host.manager("sheets", Sheet)
        host.manager("studios", Studio)
        yield host


def rows(url: str) -> Counter[tuple[object, ...]]:
    """Read the records as they lie in the database."""
    with closing(sqlite3.connect(url.partition("///")[2])) as database:
        query = "SELECT partition, manager, key, kind, rev, version, body, checksum"
        return Counter(database.execute(f"{query} FROM podvisor_records"))


def booked(amounts: Sequence[int], note: str = "") -> tuple[Entry, ...]:
    return tuple(Entry(amount, note) for amount in amounts)


def test_every_version_of_the_tables_has_a_dump() -> None:
    """Scoreboard 13: and each dump says who wrote it."""
    versions = {dump.stem.rpartition("-")[2] for dump in DUMPS}

    assert versions == {str(revision.version) for revision in REVISIONS}
    for dump in DUMPS:
        version, _, schema = dump.stem.partition("-tables-")
        assert dump.read_text("utf-8").startswith(head_of(version, int(schema)))


def test_this_version_has_a_dump() -> None:
    """Scoreboard 13: a release without one is not made; see ``record``."""
    name = f"{release()}-tables-{SCHEMA_VERSION}.sql"

    assert name in [dump.name for dump in DUMPS], "run: python -m tests.corpus.record"


@each_dump
async def test_every_version_of_a_state_is_lifted_to_the_present_one(url: str) -> None:
    """Scoreboard 13: v1 -> v3 and v2 -> v3, in each partition its own."""
    found: dict[tuple[str, str], object] = {}
    async with host_of(url) as host:
        ledgers = host.manager_named("ledgers")
        await ledgers.release(
            ("old", "v2"), partition="acme", actor="the test", reason="it was seen"
        )
        for partition in PARTITIONS:
            for version in ("v1", "v2", "v3"):
                ref = await ledgers.get(("old", version), partition=partition)
                found[partition, version] = await ref.ask(Show())

    assert found == {
        (partition, version): (partition, entries)
        for partition in PARTITIONS
        for version, entries in (
            ("v1", booked([3])),
            ("v2", booked([1, 2, 3])),
            ("v3", booked([1, 2, 3, 4], "v3")),
        )
    }


@each_dump
async def test_a_state_of_every_kind_of_value_comes_back_equal(url: str) -> None:
    """Scoreboard 13: nothing is dropped and nothing coerced."""
    async with host_of(url) as host:
        sheets = host.manager_named("sheets")
        found = [
            await (await sheets.get("full", partition=name)).ask(Dump())
            for name in PARTITIONS
        ]

    assert found == [FILLED, FILLED]
    assert [repr(one) for one in found] == [repr(FILLED)] * 2


@each_dump
async def test_a_thaw_changes_no_row(url: str) -> None:
    """Scoreboard 13: an old state is written anew when a turn changes it."""
    before = rows(url)
    async with host_of(url) as host:
        ledgers = host.manager_named("ledgers")
        for version in ("v1", "v3"):
            ref = await ledgers.get(("old", version), partition="acme")
            await ref.ask(Show())
    looked = rows(url)
    async with host_of(url) as host:
        ref = await host.manager_named("ledgers").get(("old", "v1"), partition="acme")
        await ref.ask(Book(5))
    (changed,) = (rows(url) - before).elements()

    assert looked == before
    assert changed[:2] == ("acme", "ledgers")
    assert changed[5] == Ledger.state_version


@each_dump
@pytest.mark.parametrize(
    ("code", "version"), [(LedgerV1, "v2"), (LedgerV1, "v3"), (LedgerV2, "v3")]
)
async def test_a_row_of_newer_code_is_refused_and_kept(
    url: str, code: type[Agent], version: str
) -> None:
    """Scoreboard 13: older code neither reads it wrongly nor writes over it."""
    before = rows(url)
    async with host_of(url, code) as host:
        ledgers = host.manager_named("ledgers")
        refused = await answer(ledgers.get(("old", version), partition="globex"))
        stored = await ledgers.inspect(("old", version), partition="globex")
        served = await ledgers.get(("old", "v1"), partition="globex")
        await served.ask(Book(1))

    assert isinstance(refused, Quarantined)
    assert "this code knows" in str(refused)
    assert [record.version for record in stored] == [int(version[1])]
    assert len(list((before - rows(url)).elements())) == 1  # the one that was served


@each_dump
async def test_a_pod_is_what_it_was(url: str) -> None:
    """Scoreboard 13: its nodes, what was added and removed, and what each stored."""
    async with Host(url, clock=ManualClock()) as host:
        host.manager("ledgers", Ledger)
        studios = host.manager("studios", Studio)
        pod = await Studio.get(studios, "main", partition="acme")
        fresh = await Studio.get(studios, "another", partition="acme")
        names = {node.name for node in await pod.nodes()}
        declared = {node.name for node in await fresh.nodes()}
        shown = {
            name: await (await pod.ensure_node(name)).ask(Show()) for name in names
        }

    assert declared == {"lead", "helper", "dropped"}
    assert shown == {
        "lead": ("", booked([0], "v3")),
        "helper": ("", booked([1], "v3")),
        "added": ("", booked([9], "v3")),
    }


class StudioNext(Pod):
    """The pod of a later release: it has an editor and no helper any more."""

    motto: str = "none"
    lead = eager(Ledger, manager="ledgers")
    editor = eager(Ledger, manager="ledgers", after=[lead])
    dropped = lazy(Ledger, manager="ledgers")


@each_dump
async def test_a_stored_pod_follows_the_code(url: str) -> None:
    """Scoreboard 13: a new node runs, a removed one stays away, no row is lost."""
    before = rows(url)
    async with Host(url, clock=ManualClock()) as host:
        host.manager("ledgers", Ledger)
        later = host.manager("studios", StudioNext)
        pod = await StudioNext.get(later, "main", partition="acme")
        states = {node.name: node.state.value for node in await pod.nodes()}
    async with Host(url, clock=ManualClock()) as host:
        ledgers = host.manager("ledgers", Ledger)
        earlier = host.manager("studios", Studio)
        old = await Studio.get(earlier, "main", partition="acme")
        shown = await (await old.ensure_node(Studio.helper)).ask(Show())
        dropped = await ledgers.inspect(
            ("studios", "main", "dropped"), partition="acme"
        )

    assert states == {"lead": "running", "editor": "running", "added": "hibernated"}
    assert shown == ("", booked([1], "v3"))
    assert dropped == ()
    assert not before - rows(url)


@each_dump
async def test_a_quarantine_holds_until_somebody_ends_it(url: str) -> None:
    """Scoreboard 13: with the reason of the release that made it."""
    key = ("old", "v2")
    async with host_of(url) as host:
        ledgers = host.manager_named("ledgers")
        refused = await answer(ledgers.get(key, partition="acme"))
        marks = [await ledgers.quarantined(partition=name) for name in PARTITIONS]

    assert isinstance(refused, Quarantined)
    assert REASON in str(refused)
    assert [len(one) for one in marks] == [1, 0]


@pytest.mark.parametrize("dump", WITH_LETTERS, ids=lambda dump: dump.stem)
async def test_timers_ring_when_they_are_due(url: str) -> None:
    """Scoreboard 13: what an older release has scheduled wakes its target."""
    clock = ManualClock(start=1_000.0 + 2 * DAY)
    async with Host(url, clock=clock) as host:
        clerks = host.manager("clerks", Clerk)
        found: dict[str, list[str]] = {}
        for name in PARTITIONS:
            clerk = await clerks.get("bell", partition=name)

            async def rung() -> bool:
                found[name] = sorted(await clerk.ask(Rung()))  # noqa: B023  used at once
                return len(found[name]) > 1  # noqa: B023  likewise

            while not await rung():
                clock.advance(1)

    assert found == {name: ["daily", "once"] for name in PARTITIONS}


@pytest.mark.parametrize("dump", WITH_LETTERS, ids=lambda dump: dump.stem)
async def test_dead_letters_and_replies_are_read_back(url: str) -> None:
    """Scoreboard 13: with every field."""
    store = open_store(url)
    await store.open()
    try:
        for name in PARTITIONS:
            (dead,) = await store.dead(partition=name, after="", limit=9)
            reply = await store.reply(Address(name, "clerks", "bell"), "r-1")
            assert (dead.stamp, dead.body, dead.tries) == (
                "0-lost",
                b'{"text":"lost"}',
                7,
            )
            assert (dead.reason, dead.sent, dead.since) == ("nobody heard", 1.5, 2.5)
            assert reply is not None
            assert reply.body == b'{"value":1}'
    finally:
        await store.close()
