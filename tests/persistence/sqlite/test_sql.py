# ruff: noqa: S608  the tests damage rows on purpose, with constants of their own
from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from persistence import (
    Address,
    CorruptRecord,
    PutQuarantine,
    Quarantine,
    Record,
    RecordKind,
    Save,
    SchemaMismatch,
    StaleOwner,
    Store,
    StoreClosed,
    StoreUnavailable,
    Unit,
    UnsupportedStore,
    open_store,
)
from persistence.sql import letter_statements, statements
from persistence.sqlite.engine import Engines, transaction
from persistence.sqlite.store import SqlStore
from persistence.store.rows import Row, checksum
from persistence.testing import Make, opened, save, state, unit

__all__: list[str] = []

STATEMENTS: dict[str, str] = {
    name: getattr(module, name)
    for module in (statements, letter_statements)
    for name in module.__all__
    if name != "OWNED"  # a part of many, and none by itself
}


def lenient(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")


def outside(path: Path, *statements: str) -> list[tuple[object, ...]]:
    """Run statements as another program would, on a connection of its own."""
    rows: list[tuple[object, ...]] = []
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.text_factory = lenient
        for statement in statements:
            rows = database.execute(statement).fetchall()
    return rows


class TestUrls:
    @pytest.mark.parametrize(
        ("url", "hint"),
        [
            ("podvisor.db", "no URL"),
            ("/var/lib/podvisor.db", "no URL"),
            ("", "no URL"),
            ("sqlite:///x.db", "write 'sqlite+aiosqlite'"),
            ("sqlite+pysqlite:///x.db", "write 'sqlite+aiosqlite'"),
            ("postgresql+asyncpg://db", "names no database"),
            ("postgresql://db/pods", "write 'postgresql+asyncpg'"),
            ("mysql://db/pods", "not one of a supported store"),
            ("redis://db", "not one of a supported store"),
            ("memory://x", "not one of a supported store"),
            ("sqlite+aiosqlite://", "share one transaction"),
            ("sqlite+aiosqlite:///", "share one transaction"),
            ("sqlite+aiosqlite:///:memory:", "share one transaction"),
            ("sqlite+aiosqlite:///file::memory:?cache=shared&uri=true", "share one"),
            ("sqlite+aiosqlite:///file:x?mode=memory&uri=true", "share one"),
            ("sqlite+aiosqlite:///file:x?vfs=memdb&uri=true", "begins with 'file:/'"),
            ("sqlite+aiosqlite:///file:/?vfs=memdb&uri=true", "begins with 'file:/'"),
            ("sqlite+aiosqlite:///file:/x.db?uri=true", "has options"),
            ("sqlite+aiosqlite:///x.db?timeout=3", "has options"),
        ],
    )
    def test_a_url_of_no_usable_store_is_refused_with_advice(
        self, url: str, hint: str
    ) -> None:
        """A8: a wrong setting is found before the host starts."""
        with pytest.raises(UnsupportedStore) as caught:
            open_store(url)

        assert hint in str(caught.value)
        assert "sqlite+aiosqlite:///podvisor.db" in str(caught.value)

    @pytest.mark.parametrize("url", [None, 5])
    def test_what_is_no_url_is_refused(self, url: str) -> None:
        """A8: a setting that was left out is named, without a type checker too."""
        with pytest.raises(UnsupportedStore, match="it is neither a text nor a Path"):
            open_store(url)

    def test_a_password_is_not_shown(self) -> None:
        """B7: credentials do not reach a log through an error."""
        with pytest.raises(UnsupportedStore) as caught:
            open_store("postgresql://user:hunter2@db/pods")

        assert "hunter2" not in str(caught.value)

    async def test_a_missing_folder_is_named(self, tmp_path: Path) -> None:
        """A8: the error says which folder to make."""
        store = open_store(f"sqlite+aiosqlite:///{tmp_path}/not/there/x.db")

        with pytest.raises(UnsupportedStore) as caught:
            await store.open()

        assert f"no folder '{tmp_path}/not/there'" in str(caught.value)

    async def test_a_folder_in_place_of_the_file_is_reported(
        self, tmp_path: Path
    ) -> None:
        """A8: what cannot be opened is unavailable, and the store stays closed."""
        store = open_store(f"sqlite+aiosqlite:///{tmp_path}")

        with pytest.raises(StoreUnavailable, match="cannot be opened"):
            await store.open()
        with pytest.raises(StoreClosed):
            await store.count("workers", partition="acme")

    async def test_a_named_memory_database_serves_tests(self) -> None:
        """A8: a memdb gives each connection its own transaction."""
        store = open_store("sqlite+aiosqlite:///file:/urls?vfs=memdb&uri=true")
        async with opened(lambda: store, "acme"):
            answers = await store.apply([save("k")])
            count = await store.count("workers", partition="acme")

        assert (answers, count) == ([None], 1)

    def test_sqlalchemy_is_not_imported_before_it_is_needed(self) -> None:
        """A8: a host in memory does not pay for a database."""
        code = (
            "import sys, persistence; persistence.open_store('memory://');"
            "sys.exit(any(m in sys.modules for m in ('sqlalchemy', 'aiosqlite')))"
        )

        done = subprocess.run([sys.executable, "-c", code], check=False)  # noqa: S603  our own code

        assert done.returncode == 0


class TestSchema:
    async def test_every_key_and_index_begins_with_the_partition(
        self, make: Make, path: Path
    ) -> None:
        """A1: read from the database and not from the declaration."""
        async with opened(make):
            pass

        tables = outside(
            path,
            "SELECT name FROM sqlite_master WHERE name LIKE 'podvisor%'"
            " AND type = 'table'",
        )
        assert len(tables) == 7
        for (table,) in tables:
            columns = outside(path, f"PRAGMA table_info({table})")
            primary = {column[5]: column[1] for column in columns}
            assert primary[1] == "partition"
            assert all(column[3] for column in columns), "a column may be NULL"
            for index in outside(path, f"PRAGMA index_list({table})"):
                described = outside(path, f"PRAGMA index_xinfo({index[1]})")
                assert described[0][2] == "partition"
                assert {row[4] for row in described} == {"BINARY"}

    @pytest.mark.parametrize("name", sorted(STATEMENTS))
    async def test_every_statement_descends_an_index(
        self, make: Make, path: Path, name: str
    ) -> None:
        """G17: none scans a table, none sorts more than the mail of one instance."""
        sql = STATEMENTS[name]
        parameters = dict.fromkeys(re.findall(r":(\w+)", sql), "[]")

        async with opened(make):
            with closing(sqlite3.connect(path)) as database:
                plan = database.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
                steps = [step[3] for step in plan]

        assert not [step for step in steps if "SCAN podvisor" in step]
        assert name == "MAIL" or not [s for s in steps if "TEMP B-TREE" in s]

    async def test_tables_of_other_programs_are_left_alone(
        self, make: Make, path: Path
    ) -> None:
        """P1: a shared file keeps what others put there."""
        outside(path, "CREATE TABLE records (x)", "INSERT INTO records VALUES (1)")

        async with opened(make, "acme") as store:
            await store.apply([save("k")])

        assert outside(path, "SELECT x FROM records") == [(1,)]

    @pytest.mark.parametrize(
        ("change", "found"),
        [
            ("UPDATE podvisor_schema SET version = 9", "version 9"),
            ("UPDATE podvisor_schema SET version = 0", "version 0"),
            ("DELETE FROM podvisor_schema", "no version"),
            ("DROP TABLE podvisor_schema", "no version"),
            ("DROP TABLE podvisor_owners", "version 2 without podvisor_owners"),
        ],
    )
    async def test_tables_of_another_release_are_refused_and_kept(
        self, make: Make, path: Path, change: str, found: str
    ) -> None:
        """P2: nothing is made, changed or written in a database of another layout."""
        async with opened(make, "acme") as store:
            await store.apply([save("k")])
        outside(path, change)
        before = outside(path, "SELECT sql FROM sqlite_master")

        with pytest.raises(SchemaMismatch) as caught:
            await make().open()

        assert caught.value.found == found
        assert outside(path, "SELECT sql FROM sqlite_master") == before
        assert outside(path, "SELECT count(*) FROM podvisor_records") == [(1,)]

    async def test_two_hosts_may_open_a_new_file_together(self, make: Make) -> None:
        """A9: one makes the tables, the other finds them."""
        stores = [make() for _ in range(4)]

        async with anyio.create_task_group() as group:
            for store in stores:
                group.start_soon(store.open)
        claims = [(await store.claim(["acme"]))[0].epoch for store in stores]
        for store in stores:
            await store.close()

        assert claims == [1, 2, 3, 4]

    async def test_connections_are_set_up_for_durability(self, make: Make) -> None:
        """A9: write-ahead log, a sync for every commit, patience with a lock."""

        def pragmas(database: sqlite3.Connection) -> list[object]:
            names = ("journal_mode", "synchronous", "busy_timeout")
            return [database.execute(f"PRAGMA {n}").fetchone()[0] for n in names]

        async with opened(make) as store:
            read = await engines_of(store).read("test", pragmas)
            written = await engines_of(store).write("test", pragmas)

        full = 2
        assert read == written == ["wal", full, 5000]

    async def test_a_closed_store_leaves_no_connection(
        self, make: Make, path: Path
    ) -> None:
        """P6: the last one to leave removes the log, so nobody holds the file."""
        async with opened(make, "acme") as store:
            await store.apply([save("k")])
            await store.count("workers", partition="acme")

        assert [file.name for file in path.parent.iterdir()] == [path.name]


def engines_of(store: Store) -> Engines:
    assert isinstance(store, SqlStore)
    assert store.engines is not None
    return store.engines


async def statements_of(store: Store) -> list[str]:
    """Record what SQLite executes, with the values filled in."""
    engines = engines_of(store)
    log: list[str] = []

    def trace(database: sqlite3.Connection) -> None:
        database.set_trace_callback(log.append)

    await engines.write("test", trace)
    await engines.read("test", trace)
    log.clear()
    return log


class TestStatements:
    async def test_a_thaw_names_no_row_of_another_partition(self, make: Make) -> None:
        """G9: seen in the statements that SQLite executes."""
        async with opened(make, "acme", "globex") as store:
            await store.apply([save("k"), save("k", partition="globex")])
            log = await statements_of(store)

            await store.load("workers", ["k", "l"], partition="acme")

        begin, *reads, end = log
        assert (begin, end) == ("BEGIN", "ROLLBACK")
        assert ["'acme'" in statement for statement in reads] == [True, True]
        assert not any("globex" in statement for statement in reads)

    async def test_no_statement_names_two_partitions(self, make: Make) -> None:
        """A6: also not in a transaction that many partitions share."""
        names = ("acme", "globex", "initech")
        async with opened(make, *names) as store:
            log = await statements_of(store)

            await store.apply(
                [save(key, partition=name) for name in names for key in ("a", "b")]
                + [save("a", 2, partition=name) for name in names]
            )

        naming = [[name for name in names if f"'{name}'" in line] for line in log]
        assert max(map(len, naming)) == 1
        assert {name for line in naming for name in line} == set(names)
        assert [line for line in log if "COMMIT" in line] == ["COMMIT"]


WHERE_ACME_B = " WHERE partition = 'acme' AND key = '\"b\"'"
DAMAGE = [
    ("kind", ["'stbte'", "X'FF'", "7", "CAST(X'FFFE' AS TEXT)"]),
    ("rev", ["2", "0", "-1", "'many'", "1.5", "X'01'"]),
    ("version", ["2", "0", "'one'"]),
    ("parent_manager", ["'pods'", "X'00'", "CAST(X'FF' AS TEXT)"]),
    ("parent_key", ["'[\"x\"]'", "'not json'", "X'00'"]),
    ("body", ["X'7B'", "X''", "'{}'"]),
    ("checksum", ["X'0000000000000000'", "X''", "'text'", "5"]),
]


def forge(path: Path, row: Row) -> None:
    """Put other columns in the row of acme's ``b``, with the checksum that fits."""
    with closing(sqlite3.connect(path)) as database, database:
        for name, value in {**row._asdict(), "checksum": checksum(row)}.items():
            database.execute(
                f"UPDATE podvisor_records SET {name} = ?" + WHERE_ACME_B, (value,)
            )


def zero_the_page(path: Path, text: bytes) -> None:
    """Fill the page that holds a text with zeros; no store has the file open."""
    content = bytearray(path.read_bytes())
    page = content.index(text) // 4096 * 4096
    content[page : page + 4096] = bytes(4096)
    path.write_bytes(content)


class TestDamage:
    async def test_a_damaged_schema_that_is_no_text_is_a_typed_refusal(
        self, make: Make, path: Path
    ) -> None:
        """P2, row 6: SQLite quotes it, and Python cannot read the quotation."""
        async with opened(make):
            pass
        outside(
            path,
            "PRAGMA writable_schema = ON",
            "UPDATE sqlite_schema SET sql = CAST(x'435245415445205441424c4565d4' AS"
            " TEXT) WHERE name = 'podvisor_replies'",
        )

        with pytest.raises(StoreUnavailable, match="a page of the database is damaged"):
            await make().open()

    @pytest.mark.parametrize(
        ("column", "value"),
        [(column, value) for column, values in DAMAGE for value in values],
    )
    async def test_a_damaged_column_costs_its_row_only(
        self, make: Make, path: Path, column: str, value: str
    ) -> None:
        """P2: the bad record is reported, its bytes are kept, its neighbours load."""
        async with opened(make, "acme", "globex") as store:
            await store.apply([save("a"), save("b"), save("b", partition="globex")])
            outside(
                path,
                f"UPDATE podvisor_records SET {column} = {value}" + WHERE_ACME_B,
            )
            before = outside(path, "SELECT * FROM podvisor_records")
            found = await store.load("workers", ["a", "b", "c"], partition="acme")
            foreign = await store.load("workers", ["b"], partition="globex")

        assert found[0] == (state("a"),)
        assert isinstance(found[1], CorruptRecord)
        assert found[1].address == Address("acme", "workers", "b")
        assert found[2] == ()
        assert foreign == [(state("b", partition="globex"),)]
        assert outside(path, "SELECT * FROM podvisor_records") == before

    @pytest.mark.parametrize(
        "columns",
        [
            ("sketch", 1, 1, "", ""),
            ("state", 0, 1, "", ""),
            ("state", 1, -1, "", ""),
            ("state", 1, 1, "pods", ""),
            ("state", 1, 1, "", '"x"'),
            ("state", 1, 1, "Pods!", '"x"'),
            ("state", 1, 1, "pods", "[]"),
            ("state", 1, 1, "pods", '[ "x" ]'),
        ],
    )
    async def test_a_row_that_no_record_has_is_reported(
        self, make: Make, path: Path, columns: tuple[str, int, int, str, str]
    ) -> None:
        """P2: a right checksum over wrong values is not enough."""
        async with opened(make, "acme") as store:
            await store.apply([save("a"), save("b")])
            forge(path, Row("acme", "workers", '"b"', *columns, "stop", b"{}"))
            found = await store.load("workers", ["a", "b"], partition="acme")

        assert found[0] == (state("a"),)
        assert isinstance(found[1], CorruptRecord)

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE podvisor_records SET key = '\"y\"'",
            "UPDATE podvisor_records SET manager = 'pods'",
            "UPDATE podvisor_records SET partition = 'globex'",
        ],
    )
    async def test_a_row_cannot_stand_in_for_another(
        self, make: Make, path: Path, change: str
    ) -> None:
        """A4: the checksum covers the identity, so a moved row is not believed."""
        everywhere = [
            (partition, manager, key)
            for partition in ("acme", "globex")
            for manager in ("workers", "pods")
            for key in ("x", "y")
        ]
        async with opened(make, "acme") as store:
            await store.apply([save("x")])
            outside(path, change)
            found = [
                (await store.load(manager, [key], partition=partition))[0]
                for partition, manager, key in everywhere
            ]

        assert [type(one) for one in found if one] == [CorruptRecord]

    async def test_one_bad_half_makes_the_instance_unusable(
        self, make: Make, path: Path
    ) -> None:
        """P2: a pod is not thawed from its topology alone."""
        topology = Record(
            Address("acme", "workers", "k"), RecordKind.TOPOLOGY, 1, 1, b"[]"
        )
        async with opened(make, "acme") as store:
            await store.apply([save("k"), unit(Save(topology))])
            outside(
                path, "UPDATE podvisor_records SET body = X'00' WHERE kind = 'state'"
            )
            (found,) = await store.load("workers", ["k"], partition="acme")

        assert isinstance(found, CorruptRecord)

    async def test_a_listing_passes_over_what_it_cannot_read(
        self, make: Make, path: Path
    ) -> None:
        """P5: one bad row does not stop a scan, nor end it early."""
        parent = Address("acme", "pods", "root")
        keys = [f"k{n}" for n in range(6)]
        marks = [Quarantine(Address("acme", "workers", key), "x", 1.0) for key in keys]
        async with opened(make, "acme", "globex", "initech") as store:
            await store.apply([unit(Save(state(key, parent=parent))) for key in keys])
            await store.apply([unit(PutQuarantine(mark)) for mark in marks])
            for table in ("records", "quarantine"):
                for key, bad in (
                    ("k0", "CAST(X'226BFF22' AS TEXT)"),
                    ("k1", "'\"k1'"),
                    ("k2", "'\"k2\" '"),
                    ("k3", "X'00'"),
                ):
                    damage = f"UPDATE podvisor_{table} SET key = {bad}"
                    outside(path, damage + f" WHERE key = '\"{key}\"'")
            outside(
                path,
                "UPDATE podvisor_quarantine SET reason = X'FF', since = 'then'"
                " WHERE key = '\"k4\"'",
                "UPDATE podvisor_owners SET partition = 'NOT/one'"
                " WHERE partition = 'globex'",
            )
            listed = [
                await store.keys("workers", partition="acme", after=None, limit=1),
                await store.keys("workers", partition="acme", after="k4", limit=9),
            ]
            children = await store.children(parent)
            quarantined = await store.quarantined(partition="acme")
            partitions = await store.partitions(after=None, limit=2)

        assert listed == [["k4"], ["k5"]]
        assert [child.key for child in children] == ["k4", "k5"]
        assert [mark.address.key for mark in quarantined] == ["k4", "k5"]
        assert (quarantined[0].reason, quarantined[0].since) == ("\ufffd", 0.0)
        assert partitions == ["acme", "initech"]

    async def test_a_damaged_page_costs_the_rows_on_it(
        self, make: Make, path: Path
    ) -> None:
        """P2: a page of zeros in the middle of the file; nothing is silently wrong."""
        keys = [f"k{n:03}" for n in range(100)]
        body = b'"%s"' % (b"x" * 500)
        partitions = ("acme", "globex")
        async with opened(make, *partitions) as store:
            for name in partitions:
                await store.apply([save(k, body=body, partition=name) for k in keys])
        zero_the_page(path, b'acmeworkers"k050"state')

        async with opened(make) as store:
            found = await store.load("workers", keys, partition="acme")
            foreign = await store.load("workers", keys, partition="globex")

        lost = [one for one in found if isinstance(one, CorruptRecord)]
        good = [(state(k, body=body),) for k in keys]
        assert 0 < len(lost) < 50
        assert all(one in (want, *lost) for one, want in zip(found, good, strict=True))
        assert foreign == [(state(k, body=body, partition="globex"),) for k in keys]

    async def test_a_file_that_is_no_database_is_unavailable(
        self, make: Make, path: Path
    ) -> None:
        """P2: it is not made into one."""
        content = b"not a database" * 1000
        await anyio.Path(path).write_bytes(content)

        with pytest.raises(UnsupportedStore, match="no SQLite database"):
            await make().open()

        assert await anyio.Path(path).read_bytes() == content


async def on_writer(store: Store, statement: str) -> None:
    """Run a statement on the connection that writes, outside a transaction."""
    engines = engines_of(store)
    await engines.run_in_thread(
        engines.writing, "test", lambda database: database.execute(statement).fetchall()
    )


class TestRefusals:
    @pytest.mark.parametrize("batch", [1, 10])
    async def test_a_full_disk_fails_the_batch_and_service_resumes(
        self, make: Make, batch: int
    ) -> None:
        """P1: nothing of the batch is saved; the same connection goes on later."""
        body = b'"%s"' % (b"x" * 20_000)
        big = [save(f"big{n}", body=body) for n in range(batch)]
        async with opened(make, "acme") as store:
            await store.apply([save("k")])
            await on_writer(store, "PRAGMA max_page_count=1")
            with pytest.raises(
                StoreUnavailable, match=r"full \(SQLITE_FULL\)"
            ) as caught:
                await store.apply([save("k", 2), *big])
            after_failure = await store.load("workers", ["k", "big0"], partition="acme")
            await on_writer(store, "PRAGMA max_page_count=100000")
            answers = await store.apply([save("k", 2), *big])

        assert "xxxx" not in f"{caught.value}{caught.value.__cause__}"
        assert after_failure == [(state("k"),), ()]
        assert answers == [None] * (batch + 1)

    async def test_a_lock_that_is_held_too_long_is_reported(
        self, make: Make, path: Path
    ) -> None:
        """P1: another process in a transaction delays us, and ends nothing."""
        async with opened(make, "acme") as store:
            await on_writer(store, "PRAGMA busy_timeout=10")
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(StoreUnavailable, match="SQLITE_BUSY"):
                    await store.apply([save("k")])
                count = await store.count("workers", partition="acme")
            answers = await store.apply([save("k")])

        assert count == 0
        assert answers == [None]

    async def test_a_read_only_database_is_reported(self, make: Make) -> None:
        """P1: reads go on."""
        async with opened(make, "acme") as store:
            await on_writer(store, "PRAGMA query_only=ON")
            with pytest.raises(StoreUnavailable, match="read-only"):
                await store.apply([save("k")])
            count = await store.count("workers", partition="acme")

        assert count == 0

    async def test_a_table_that_vanished_is_reported(
        self, make: Make, path: Path
    ) -> None:
        """P1: a fault without a name of its own is reported by its code."""
        async with opened(make, "acme") as store:
            await store.apply([save("k")])
            outside(path, "DROP TABLE podvisor_records")
            with pytest.raises(StoreUnavailable, match="answered SQLITE_ERROR"):
                await store.apply([save("k", 2)])
            with pytest.raises(StoreUnavailable, match="answered SQLITE_ERROR"):
                await store.load("workers", ["k"], partition="acme")

    @pytest.mark.parametrize("others", [[], [save("x")], [save("y"), save("z")]])
    async def test_a_value_that_cannot_be_stored_fails_its_unit_only(
        self, make: Make, others: list[Unit]
    ) -> None:
        """P1: a revision beyond 64 bits, in a batch of its own and of others."""
        record = state("huge")._replace(version=2**70)
        poison = unit(Save(state("fresh")), Save(record))
        async with opened(make, "acme", "globex") as store:
            *saved, answer, foreign = await store.apply(
                [*others, poison, save("k", partition="globex")]
            )
            count = await store.count("workers", partition="acme")

        assert isinstance(answer, StoreUnavailable)
        assert foreign is None
        assert saved == [None] * len(others)
        assert count == len(others)

    @pytest.mark.parametrize("others", [0, 2])
    @pytest.mark.parametrize("saves", [1, 2])
    async def test_nothing_is_saved_after_sqlite_ended_the_transaction(
        self, make: Make, path: Path, others: int, saves: int
    ) -> None:
        """A9: the rest of the batch is not committed statement by statement."""
        trigger = "CREATE TRIGGER bad BEFORE INSERT ON podvisor_records"
        condition = " WHEN new.key = '\"bad\"' BEGIN SELECT RAISE(ROLLBACK, 'x'); END"
        bad = [Save(state("bad")), Save(state("more"))][:saves]
        batch = [save(f"k{n}") for n in range(others)]
        async with opened(make, "acme", "globex") as store:
            outside(path, trigger + condition)
            with pytest.raises(StoreUnavailable):
                await store.apply([*batch, unit(*bad), save("k", partition="globex")])
            counts = [
                await store.count("workers", partition=name)
                for name in ("acme", "globex")
            ]

        assert counts == [0, 0]

    async def test_of_two_hosts_on_one_file_the_older_is_refused(
        self, make: Make
    ) -> None:
        """A9: 100 writes of a stale owner, none accepted."""
        async with opened(make, "acme", "globex") as old, opened(make, "acme") as new:
            mine = [save(f"k{n}", body=b"old") for n in range(100)]
            answers = await old.apply([*mine, save("k", partition="globex")])
            count = await new.count("workers", partition="acme")

        assert {type(answer) for answer in answers[:-1]} == {StaleOwner}
        assert answers[-1] is None
        assert count == 0

    async def test_a_cancelled_save_is_whole_or_absent(self, make: Make) -> None:
        """A9: at whatever step the call is cancelled, the store goes on."""
        rounds = 12
        async with opened(make, "acme") as store:
            for steps in range(rounds):
                address = f"k{steps}"
                pair = unit(Save(state((address, "1"))), Save(state((address, "2"))))
                async with anyio.create_task_group() as group:
                    group.start_soon(store.apply, [pair])
                    for _ in range(steps):
                        await anyio.lowlevel.checkpoint()
                    group.cancel_scope.cancel()
            found = [
                await store.load(
                    "workers", [(f"k{n}", "1"), (f"k{n}", "2")], partition="acme"
                )
                for n in range(rounds)
            ]
            answers = await store.apply([save("after")])
            lent = [engines_of(store).writing.lent, engines_of(store).reading.lent]

        assert all(bool(one) == bool(two) for one, two in found)
        assert answers == [None]
        assert lent == [0, 0]

    def test_a_transaction_that_was_left_open_is_ended_by_the_next(self) -> None:
        """P1: a rollback that failed does not keep the lock for ever."""
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
            database.execute("CREATE TABLE t (x)")
            database.execute("BEGIN")
            database.execute("INSERT INTO t VALUES (1)")

            transaction(database, lambda db: db.execute("INSERT INTO t VALUES (2)"))

            rows = database.execute("SELECT x FROM t").fetchall()
        assert rows == [(2,)]
