"""A file per partition: what happens to one is not seen by another."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import anyio
import attrs
import pytest

from persistence import (
    Address,
    CorruptRecord,
    FilesPolicy,
    Letter,
    Post,
    Save,
    SchemaMismatch,
    StaleOwner,
    Store,
    StoreError,
    StoreUnavailable,
    UnsupportedStore,
    open_store,
)
from persistence.files.store import FilesStore
from persistence.testing import Make, opened, save, state, unit
from tests.support import ManualClock, eventually

__all__: list[str] = []


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return lambda: open_store(url_in(tmp_path))


def url_in(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder}/{{partition}}/podvisor.db"


def file_of(folder: Path, partition: str) -> Path:
    return folder / partition / "podvisor.db"


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Hold the write lock of a file, as another process would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def entries(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def execute(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(statement)


async def refusal(store: Store, partition: str) -> Exception | None:
    """Say what a save into a partition fails with, raised or returned."""
    try:
        answers = await store.apply([save("new", partition=partition)])
    except StoreUnavailable as error:
        return error
    return answers[0]


async def test_nothing_of_a_partition_lies_in_the_folder_of_another(
    make: Make, tmp_path: Path
) -> None:
    """A3: neither its state nor its name, in no file of the other."""
    async with opened(make, "acme", "globex") as store:
        for name in ("acme", "globex"):
            record = state("k", body=b'"secret of %s"' % name.encode(), partition=name)
            await store.apply([unit(Save(record), partition=name)])
        written = {
            name: b"".join([file.read_bytes() for file in (tmp_path / name).iterdir()])
            for name in ("acme", "globex")
        }

    assert b"secret of acme" in written["acme"]
    assert b"acme" not in written["globex"]
    assert b"globex" not in written["acme"]
    assert entries(tmp_path) == ["acme", "globex"]


async def test_removing_one_folder_leaves_the_others_whole(
    make: Make, tmp_path: Path
) -> None:
    """A3: and the partition begins anew, as one that never was."""
    async with opened(make, "acme", "globex") as store:
        await store.apply([save("k"), save("k", partition="globex")])
    shutil.rmtree(tmp_path / "acme")

    async with opened(make) as store:
        listed = await store.partitions(after=None, limit=9)
        found = await store.load("workers", ["k"], partition="acme")
        kept = await store.load("workers", ["k"], partition="globex")
        claims = await store.claim(["acme", "globex"])

    assert listed == ["globex"]
    assert found == [()]
    assert kept == [(state("k", partition="globex"),)]
    assert [claim.epoch for claim in claims] == [1, 2]


async def test_looking_makes_no_folder(make: Make, tmp_path: Path) -> None:
    """P6: only a claim makes one; an unknown name leaves nothing behind."""
    address = Address("acme", "workers", "k")
    async with opened(make) as store:
        await store.load("workers", ["k"], partition="acme")
        await store.keys("workers", partition="acme", after=None, limit=1)
        await store.count("workers", partition="acme")
        await store.children(address)
        await store.quarantined(partition="acme")
        await store.inspect(address)
        await store.mail(address, limit=1)
        refused = await refusal(store, "acme")

    assert isinstance(refused, StaleOwner)
    assert entries(tmp_path) == []


async def test_a_lock_on_one_file_does_not_delay_another(
    make: Make, tmp_path: Path
) -> None:
    """A3: another process sits in a transaction in A while B is written and read."""
    async with opened(make, "acme", "globex") as store:
        answers: list[StoreError | None] = []
        with locked(file_of(tmp_path, "acme")):
            async with anyio.create_task_group() as group:
                group.start_soon(store.apply, [save("k")])
                for n in range(20):
                    answers += await store.apply([save(f"k{n}", partition="globex")])
                read = await store.load("workers", ["k"], partition="acme")
                assert read == [()]
                group.cancel_scope.cancel()
        counts = [await store.count("workers", partition=n) for n in ("acme", "globex")]

    assert answers == [None] * 20
    assert counts == [0, 20]


@attrs.frozen
class Harm:
    """What somebody does to a partition's file while the store is closed."""

    name: str
    said: str


HARMS = [
    Harm("no database", "the file is no SQLite database"),
    Harm("a folder", "cannot be opened"),
    Harm("cut off", "a page of the database is damaged"),
    Harm("a link to another", "a link in the place"),
    Harm("the file of another", "has the rows of another partition"),
]


def do_harm(harm: Harm, tmp_path: Path) -> None:
    file = file_of(tmp_path, "acme")
    match harm.name:
        case "no database":
            file.write_bytes(b"not a database" * 1000)
        case "a folder":
            file.unlink()
            file.mkdir()
        case "cut off":
            file.write_bytes(file.read_bytes()[:5000])
        case "a link to another":
            shutil.rmtree(tmp_path / "acme")
            (tmp_path / "acme").symlink_to(tmp_path / "globex")
        case _:
            shutil.copy(file_of(tmp_path, "globex"), file)


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.name)
async def test_a_broken_file_fails_alone_and_is_named(
    make: Make, tmp_path: Path, harm: Harm
) -> None:
    """P2: it is not made anew, nor taken for another; the others go on."""
    async with opened(make, "acme", "globex") as store:
        await store.apply([save("k"), save("k", partition="globex")])
    do_harm(harm, tmp_path)

    async with opened(make, "globex") as store:
        with pytest.raises(StoreUnavailable, match="in partition 'acme'") as claimed:
            await store.claim(["acme"])
        with pytest.raises(StoreUnavailable, match="in partition 'acme'"):
            await store.load("workers", ["k"], partition="acme")
        raised, saved = await store.apply(
            [save("l"), attrs.evolve(save("l", partition="globex"), epoch=2)]
        )
        pending = await store.pending(after=None, limit=9)

    assert harm.said in str(claimed.value)
    assert "globex" not in str(claimed.value)
    assert isinstance(raised, StoreUnavailable)
    assert (saved, pending) == (None, [])


async def test_damage_inside_a_file_costs_its_row_only(
    make: Make, tmp_path: Path
) -> None:
    """P2: as it does in a shared file."""
    async with opened(make, "acme") as store:
        await store.apply([save("a"), save("b")])
        execute(
            file_of(tmp_path, "acme"),
            "UPDATE podvisor_records SET body = X'00' WHERE key = '\"b\"'",
        )
        good, bad = await store.load("workers", ["a", "b"], partition="acme")

    assert good == (state("a"),)
    assert isinstance(bad, CorruptRecord)


async def test_a_file_of_another_release_is_refused_alone(
    make: Make, tmp_path: Path
) -> None:
    """P2: the others are claimed and written."""
    async with opened(make, "acme", "globex"):
        pass
    execute(file_of(tmp_path, "acme"), "UPDATE podvisor_schema SET version = 99")

    async with opened(make, "globex") as store:
        with pytest.raises(SchemaMismatch, match="99"):
            await store.claim(["acme"])
        (claim,) = await store.claim(["globex"])

    assert claim.epoch == 3


@pytest.mark.parametrize("inside", ["podvisor.db", "a/b/podvisor.db"])
async def test_a_folder_that_cannot_be_made_fails_alone(
    tmp_path: Path, inside: str
) -> None:
    """P1: a file stands where the folder should be."""
    (tmp_path / "acme").write_text("in the way")
    url = f"sqlite+aiosqlite:///{tmp_path}/{{partition}}/{inside}"

    async with opened(lambda: open_store(url), "globex") as store:
        with pytest.raises(StoreUnavailable, match="the file system answered"):
            await store.claim(["acme"])
        listed = await store.partitions(after=None, limit=9)

    assert listed == ["globex"]
    assert (tmp_path / "acme").read_text() == "in the way"


async def test_the_folder_of_all_partitions_has_to_be_there(tmp_path: Path) -> None:
    """P1: a disk that is not mounted is not taken for an empty store."""
    store = open_store(url_in(tmp_path / "not" / "there"))

    with pytest.raises(UnsupportedStore, match="there is no folder"):
        await store.open()


async def test_the_place_of_the_store_may_be_a_link(tmp_path: Path) -> None:
    """A3: an operator decides where the folder of all partitions is."""
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)

    async with opened(lambda: open_store(url_in(tmp_path / "link")), "acme") as store:
        answers = await store.apply([save("k")])

    assert answers == [None]
    assert file_of(real, "acme").is_file()


async def test_a_listing_shows_partitions_and_nothing_else(
    make: Make, tmp_path: Path
) -> None:
    """G17: what others put into the folder is passed over, and pages are full."""
    names = ["acme", "acme-corp", "b", "con", "nul.x", "x."]
    for name in ("ACME", "lost+found", "empty", ".hidden", "%61cme"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").write_text("")
    pages: list[list[str]] = []
    async with opened(make, *names) as store:
        after = None
        while page := await store.partitions(after=after, limit=2):
            pages.append(page)
            after = page[-1]

    assert pages == [names[:2], names[2:4], names[4:]]


async def test_pending_finds_the_letters_of_closed_files(make: Make) -> None:
    """A9: a host that starts wakes whom letters wait for, a page at a time."""
    names = [f"p{n}" for n in range(7)]
    async with opened(make, *names) as store:
        for name in names[::2]:
            target = Address(name, "workers", "k")
            letter = Letter(target, "1", "1", "Note", 1, b"{}", due=5.0)
            await store.apply([unit(Post(letter), partition=name)])

    async with opened(make) as store:
        first = await store.pending(after=None, limit=3)
        rest = await store.pending(after=first[-1][0], limit=3)

    assert first == [("p0", 5.0), ("p2", 5.0), ("p4", 5.0)]
    assert rest == [("p6", 5.0)]


async def test_a_hundred_partitions_need_three_open_files(tmp_path: Path) -> None:
    """P6: all are served, and the bound holds at every moment."""
    names = [f"p{n}" for n in range(100)]
    store = FilesStore(url_in(tmp_path), policy=FilesPolicy(max_open=3))
    most = 0

    async def work(name: str) -> None:
        nonlocal most
        await store.claim([name])
        assert await store.apply([save("k", partition=name)]) == [None]
        assert await store.count("workers", partition=name) == 1
        most = max(most, store.statistics().open)

    async with opened(lambda: store), anyio.create_task_group() as group:
        for name in names:
            group.start_soon(work, name)

    assert most == 3
    assert store.statistics().opened >= 100
    assert repr(store) == f"<FilesStore {url_in(tmp_path)} <DatabaseCache open=0>>"


async def test_an_idle_file_is_closed_and_its_log_is_gone(tmp_path: Path) -> None:
    """P6: the handles and threads of a quiet partition are given back."""
    clock = ManualClock()
    store = FilesStore(url_in(tmp_path), clock=clock)
    async with opened(lambda: store, "acme"):
        await store.apply([save("k")])
        clock.advance(61)
        await eventually(lambda: not store.statistics().closing)
        files = entries(tmp_path / "acme")
        count = await store.count("workers", partition="acme")

    assert files == ["podvisor.db"]
    assert count == 1


@asynccontextmanager
async def two_hosts(make: Make) -> AsyncGenerator[tuple[Store, Store]]:
    async with opened(make, "acme", "globex") as old, opened(make, "acme") as new:
        yield old, new


async def test_of_two_hosts_on_one_folder_each_keeps_its_own_partitions(
    make: Make,
) -> None:
    """A9: the one that lost a partition cannot write into it, and goes on elsewhere."""
    async with two_hosts(make) as (old, new):
        lost, kept = await old.apply([save("k"), save("k", partition="globex")])
        count = await new.count("workers", partition="acme")

    assert isinstance(lost, StaleOwner)
    assert (kept, count) == (None, 0)
