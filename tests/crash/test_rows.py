from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from persistence import open_store
from pods import Host, PodsError, Quarantined, SchemaMismatch, StoreError

from .agents import Bump, Look, Team, homes

__all__: list[str] = []

VALUES: dict[str, object] = {
    "zero": 0,
    "minus one": -1,
    "huge": 2**63 - 1,
    "fraction": 1.5,
    "no text": "",
    "text": "x",
    "a number as text": "7",
    "text with NUL": "a\0b",
    "json": "{}",
    "no bytes": b"",
    "bytes": b"\xff\x00",
    "long": "y" * 10_000,
}
COLUMNS = (
    "kind",
    "rev",
    "epoch",
    "version",
    "parent_manager",
    "parent_key",
    "on_parent_stop",
    "checksum",
    "body",
)
UNUSED = {"epoch"}
"""The epoch of the last writer is kept for people; only the owner's counts."""

UNCHANGED = {("parent_manager", "no text"), ("parent_key", "no text")} | {
    ("on_parent_stop", "no text")
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "podvisor.db"
    open_store(path)  # imports SQLAlchemy outside of the loop
    return path


def change(file: Path, statements: list[tuple[str, tuple[object, ...]]]) -> None:
    """Change rows behind everybody's back, while nobody has the file open."""
    database = sqlite3.connect(file)
    with database:
        for statement, values in statements:
            assert database.execute(statement, values).rowcount == 1, statement
    database.close()


async def fill(file: Path, keys: list[str]) -> None:
    async with Host(file) as host:
        here = homes(host)
        for partition in ("acme", "globex"):
            for key in keys:
                meter = await here.meters.get(key, partition=partition)
                await meter.ask(Bump())
            await Team.get(here.teams, "team", partition=partition)


@pytest.mark.parametrize("column", COLUMNS)
async def test_a_row_with_an_odd_value_is_refused_and_nobody_else(
    file: Path, column: str
) -> None:
    """P2, row 6: whatever stands in a column, only its own instance is affected."""
    keys = list(VALUES)
    await fill(file, [*keys, "well"])
    where = "partition = 'acme' and manager = 'meters' and key = ?"
    update = f"update podvisor_records set {column} = ? where {where}"  # noqa: S608  a test's own text
    change(file, [(update, (VALUES[key], f'"{key}"')) for key in keys])

    served: list[str] = []
    async with Host(file) as host:
        here = homes(host)
        for key in keys:
            try:
                meter = await here.meters.get(key, partition="acme")
            except Quarantined:
                continue
            assert await meter.ask(Bump()) == 2
            served.append(key)
        for partition, key in [("acme", "well"), *(("globex", key) for key in keys)]:
            meter = await here.meters.get(key, partition=partition)
            assert (await meter.ask(Look())).total == 1
        listed = await here.meters.keys(partition="acme")

    harmless = {key for name, key in UNCHANGED if name == column}
    assert set(served) == (set(keys) if column in UNUSED else harmless)
    assert set(keys) <= set(listed)


@pytest.mark.parametrize(
    ("moved", "address"),
    [
        ("partition = 'globex'", ("globex", "meters", "mine")),
        ("manager = 'teams'", ("acme", "teams", "mine")),
        ("key = '\"other\"'", ("acme", "meters", "other")),
    ],
)
async def test_a_row_under_another_identity_serves_nobody(
    file: Path, moved: str, address: tuple[str, str, str]
) -> None:
    """P2, G7: the checksum covers whose row it is; none stands in for another."""
    await fill(file, ["mine"])
    table, mine = "podvisor_records", "manager = 'meters' and key = '\"mine\"'"
    clear = f"delete from {table} where partition = 'globex' and {mine}"  # noqa: S608  a test's own text
    update = f"update {table} set {moved} where partition = 'acme' and {mine}"  # noqa: S608  likewise
    change(file, [(clear, ()), (update, ())])
    partition, manager, key = address

    async with Host(file) as host:
        homes(host)
        with pytest.raises(Quarantined):
            await host.manager_named(manager).get(key, partition=partition)


@pytest.mark.parametrize("value", list(VALUES))
async def test_an_odd_epoch_stops_its_own_partition_at_most(
    file: Path, value: str
) -> None:
    """P1: the row that says who owns a partition is one tenant's, too."""
    await fill(file, ["one"])
    statement = "update podvisor_owners set epoch = ? where partition = 'acme'"
    change(file, [(statement, (VALUES[value],))])

    async with Host(file) as host:
        here = homes(host)
        far = await here.meters.get("one", partition="globex")
        try:
            near = await here.meters.get("one", partition="acme")
            assert await near.ask(Bump()) == 2
        except PodsError:
            pass
        assert await far.ask(Bump()) == 2


@pytest.mark.parametrize("value", list(VALUES))
async def test_an_odd_mark_stops_its_own_instance_at_most(
    file: Path, value: str
) -> None:
    """P1: a quarantine that cannot be read hides nobody else's."""
    await fill(file, ["one", "two"])
    insert = "insert into podvisor_quarantine values ('acme', 'meters', ?, ?, ?)"
    change(
        file,
        [
            (insert, ('"one"', VALUES[value], VALUES[value])),
            (insert, (VALUES[value], "why", 0.0)),
        ],
    )

    async with Host(file) as host:
        here = homes(host)
        with pytest.raises(Quarantined):
            await here.meters.get("one", partition="acme")
        for partition, key in (("acme", "two"), ("globex", "one")):
            meter = await here.meters.get(key, partition=partition)
            assert await meter.ask(Bump()) == 2


Break = Callable[[Path], bytes]


def content(file: Path) -> bytes:
    return file.read_bytes()


def _no_database(file: Path) -> bytes:
    file.write_bytes(b"this was a database once, and now it is a diary" * 100)
    return content(file)


def _other_schema(file: Path) -> bytes:
    change(file, [("update podvisor_schema set version = 'x'", ())])
    return content(file)


def _no_stamp(file: Path) -> bytes:
    change(file, [("delete from podvisor_schema", ())])
    return content(file)


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        (_no_database, StoreError),
        (_other_schema, SchemaMismatch),
        (_no_stamp, SchemaMismatch),
    ],
)
async def test_a_file_that_is_not_ours_is_refused_untouched(
    file: Path, broken: Break, error: type[StoreError]
) -> None:
    """P2: nothing is made, mended or begun afresh in it."""
    await fill(file, ["one"])
    before = broken(file)

    with pytest.raises(error):
        async with Host(file):
            pass

    assert content(file) == before
