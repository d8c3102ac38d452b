# ruff: noqa: S608  the tests look into tables by names of their own
"""Tables of an older release: refused by a host, and brought up to date on demand."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import anyio
import anyio.to_thread
import attrs
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, create_mock_engine
from sqlalchemy.schema import ExecutableDDLElement

from persistence import (
    Migration,
    SchemaMismatch,
    StaleOwner,
    StoreError,
    StoreUnavailable,
    UnsupportedStore,
    migrate_store,
    migration_script,
    open_store,
    upgrade,
)
from persistence.migrations import REVISIONS, Revision
from persistence.migrations.schema import SCHEMA_VERSION, metadata
from persistence.postgres.store import PostgresStore
from persistence.testing import Make, opened, save, state
from tests.postgres import fresh_schema, outside

__all__: list[str] = []


async def old_database(path: Path, version: int) -> None:
    """Make the tables of an older release, with an owner and a row."""
    await anyio.to_thread.run_sync(_make_tables, path, version)


def _make_tables(path: Path, version: int) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        engine = create_engine("sqlite://", creator=lambda: database)
        with engine.connect() as connection:
            context = MigrationContext.configure(connection)
            upgrade._run_steps(context, REVISIONS[:version], 0)  # pyright: ignore[reportPrivateUsage]  to a version of its own
            connection.commit()
        database.execute("INSERT INTO podvisor_owners VALUES ('acme', 7)")


def everything(path: Path) -> list[tuple[object, ...]]:
    """Read the layout and all rows of a database, as another program would."""
    with closing(sqlite3.connect(path)) as database:
        layout = [
            (name, _on_one_line(sql))
            for name, sql in database.execute("SELECT name, sql FROM sqlite_schema")
            if sql is not None
        ]
        rows = [
            (name, *row)
            for name, sql in layout
            if sql.startswith("CREATE TABLE")
            for row in database.execute(f"SELECT * FROM {name}")
        ]
    return sorted([*layout, *rows], key=repr)


def versions(path: Path) -> tuple[int, int]:
    """Read the version of the tables and the epoch of acme's owner."""
    with closing(sqlite3.connect(path)) as database:
        (version,) = database.execute("SELECT version FROM podvisor_schema").fetchone()
        (epoch,) = database.execute("SELECT epoch FROM podvisor_owners").fetchone()
    return int(version), int(epoch)


async def migrated(path: Path, *, dry_run: bool = False) -> Migration:
    (report,) = [one async for one in migrate_store(open_store(path), dry_run=dry_run)]
    return report


def layout(path: Path) -> dict[str, object]:
    """Describe the tables and indexes as the database has them."""
    with closing(sqlite3.connect(path)) as database:
        tables = database.execute("PRAGMA table_list").fetchall()
        return {
            name: (
                without_rowid,
                database.execute(f"PRAGMA table_info({name})").fetchall(),
                sorted(
                    (
                        index[1:],
                        database.execute(f"PRAGMA index_xinfo({index[1]})").fetchall(),
                    )
                    for index in database.execute(f"PRAGMA index_list({name})")
                ),
            )
            for _, name, _, _, without_rowid, _ in tables
            if name.startswith("podvisor")
        }


class TestTheSame:
    async def test_a_new_database_is_laid_out_as_a_migrated_one(
        self, make: Make, path: Path, tmp_path: Path
    ) -> None:
        """B12: tables, columns, keys, indexes, and that there are no rowids."""
        async with opened(make):
            pass
        other = tmp_path / "other.db"
        await old_database(other, 1)
        await migrated(other)

        assert layout(other) == layout(path)
        assert len(layout(path)) == len(metadata.tables)

    async def test_a_migrated_database_lacks_nothing_that_is_declared(
        self, path: Path
    ) -> None:
        """B12: alembic finds no difference to the declared tables."""
        await old_database(path, 1)
        await migrated(path)

        engine = create_engine(f"sqlite:///{path}")
        with engine.connect() as connection:
            found = compare_metadata(MigrationContext.configure(connection), metadata)
        engine.dispose()

        assert found == []

    def test_the_script_for_postgresql_makes_what_is_declared(self) -> None:
        """B12: every table and index of the declaration, to the letter."""
        declared: list[str] = []

        def note(ddl: object, *_: object, **__: object) -> None:
            assert isinstance(ddl, ExecutableDDLElement)
            declared.append(_on_one_line(str(ddl.compile(dialect=engine.dialect))))

        engine = create_mock_engine("postgresql://", note)
        metadata.create_all(engine, checkfirst=False)
        script = _on_one_line(migration_script("postgresql+asyncpg://host/name"))

        assert len(declared) == script.count("CREATE TABLE") + script.count(" INDEX ")
        assert [ddl for ddl in declared if ddl not in script] == []

    def test_the_script_for_postgresql_secures_every_table_of_tenants(self) -> None:
        """A1: a table that a revision adds is behind row-level security, too."""
        script = migration_script("postgresql+asyncpg://host/name")

        for table in metadata.tables.keys() - {"podvisor_schema"}:
            assert f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY;" in script

    @pytest.mark.parametrize("since", range(SCHEMA_VERSION + 1))
    async def test_the_script_does_what_the_command_does(
        self, path: Path, tmp_path: Path, since: int
    ) -> None:
        """B12: a database administrator may run it instead."""
        by_hand, by_command = tmp_path / "hand.db", tmp_path / "command.db"
        for file in (by_hand, by_command):
            if since == 0:
                file.touch()
            else:
                await old_database(file, since)
        with closing(sqlite3.connect(by_hand, isolation_level=None)) as database:
            database.executescript(migration_script("sqlite+aiosqlite://", since=since))
        report = await migrated(by_command)

        assert everything(by_hand) == everything(by_command)
        assert report.found == since

    def test_the_revisions_are_the_versions(self) -> None:
        """B12: numbered without a gap, each table made once."""
        tables = [table for one in REVISIONS for table in one.tables]

        assert [one.version for one in REVISIONS] == list(range(1, SCHEMA_VERSION + 1))
        assert sorted(tables) == sorted(metadata.tables)


def _on_one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


class TestHosts:
    @pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
    async def test_an_older_database_is_refused_with_the_command_to_run(
        self, make: Make, path: Path, version: int
    ) -> None:
        """P2: a host changes no tables of another release."""
        await old_database(path, version)
        before = everything(path)

        with pytest.raises(SchemaMismatch) as caught:
            await make().open()

        assert f"podvisor migrate 'sqlite+aiosqlite:///{path}'" in str(caught.value)
        assert everything(path) == before

    async def test_a_migrated_database_serves_and_keeps_its_rows(
        self, make: Make, path: Path
    ) -> None:
        """A9: what was stored by the older release is there."""
        await old_database(path, 1)
        await migrated(path)

        async with opened(make) as store:
            (claim,) = await store.claim(["acme"])
            answers = await store.apply([attrs.evolve(save("k"), epoch=claim.epoch)])
            found = await store.load("workers", ["k"], partition="acme")

        assert claim.epoch == 9
        assert (answers, found) == ([None], [(state("k"),)])

    async def test_a_host_that_still_runs_is_fenced_off(
        self, make: Make, path: Path
    ) -> None:
        """A9: a release that knows other tables does not write into these."""
        await old_database(path, 1)  # its owner has the epoch 7
        await migrated(path)

        async with opened(make) as store:
            (answer,) = await store.apply([attrs.evolve(save("k"), epoch=7)])

        assert isinstance(answer, StaleOwner)


class TestOneDatabase:
    async def test_the_report_says_what_was_found_and_done(self, path: Path) -> None:
        """B12: and a second time there is nothing to do."""
        await old_database(path, 1)

        looked = await migrated(path, dry_run=True)
        untouched = versions(path)
        done = await migrated(path)
        again = await migrated(path)

        steps = tuple((one.version, one.title) for one in REVISIONS[1:])
        assert looked == Migration(found=1, steps=steps)
        assert untouched == (1, 7)
        assert done == Migration(found=1, steps=steps, done=True)
        assert again == Migration(found=SCHEMA_VERSION)
        assert versions(path) == (SCHEMA_VERSION, 8)

    async def test_a_step_that_fails_leaves_everything_as_it_was(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A9: all steps are one transaction."""

        def fail(_: object) -> None:
            raise StoreUnavailable("test", "the power has failed")

        broken = Revision(SCHEMA_VERSION + 1, "trouble", (), fail)
        monkeypatch.setattr(upgrade, "REVISIONS", (*REVISIONS, broken))
        await old_database(path, 1)
        before = everything(path)

        report = await migrated(path)

        assert isinstance(report.problem, StoreUnavailable)
        assert everything(path) == before

    async def test_two_processes_may_migrate_at_once(self, path: Path) -> None:
        """A9: one takes the steps, the other finds them taken."""
        await old_database(path, 1)
        reports: list[Migration] = []

        async def one() -> None:
            reports.append(await migrated(path))

        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(one)

        assert sorted(report.done for report in reports) == [False] * 3 + [True]
        assert [report.problem for report in reports] == [None] * 4
        assert versions(path) == (SCHEMA_VERSION, 8)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ("UPDATE podvisor_schema SET version = 99", "version 99"),
            ("UPDATE podvisor_schema SET version = 0", "version 0"),
            ("UPDATE podvisor_schema SET version = -1", "version -1"),
            ("DELETE FROM podvisor_schema", "no version"),
            ("DROP TABLE podvisor_schema", "no version"),
            ("DROP TABLE podvisor_owners", "without podvisor_owners"),
            ("UPDATE podvisor_schema SET version = 1", "with podvisor_dead_letters"),
        ],
    )
    async def test_tables_that_are_of_no_older_release_are_left_alone(
        self, make: Make, path: Path, change: str, said: str
    ) -> None:
        """P2: newer ones, and those that somebody has changed."""
        async with opened(make, "acme") as store:
            await store.apply([save("k")])
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute(change)
        before = everything(path)

        report = await migrated(path)

        assert isinstance(report.problem, SchemaMismatch)
        assert said in str(report.problem)
        assert everything(path) == before

    async def test_a_database_that_is_not_there_is_not_made(self, path: Path) -> None:
        """P2: a name that was mistyped is told."""
        report = await migrated(path)

        assert isinstance(report.problem, UnsupportedStore)
        assert "there is no such file" in str(report.problem)
        assert not await anyio.Path(path).exists()

    async def test_a_locked_database_is_told(self, path: Path) -> None:
        """P1: nothing of it is changed, and the command can be repeated."""
        await old_database(path, 1)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            report = await migrated(path)

        assert isinstance(report.problem, StoreUnavailable)
        assert versions(path) == (1, 7)


async def test_every_file_is_migrated_and_a_broken_one_is_told(tmp_path: Path) -> None:
    """A3: the files of the others are brought up to date."""
    store = open_store(f"sqlite+aiosqlite:///{tmp_path}/{{partition}}.db")
    for name in ("acme", "globex", "initech"):
        await old_database(tmp_path / f"{name}.db", 1)
    (tmp_path / "broken.db").write_bytes(b"no database" * 1_000)

    reports = [one async for one in migrate_store(store)]

    assert [one.partition for one in reports] == ["acme", "broken", "globex", "initech"]
    assert [one.done for one in reports] == [True, False, True, True]
    assert isinstance(reports[1].problem, StoreError)


async def test_a_host_on_files_names_the_command_for_all_of_them(
    tmp_path: Path,
) -> None:
    """A3: one command for the store, and not one for each file."""
    url = f"sqlite+aiosqlite:///{tmp_path}/{{partition}}.db"
    await old_database(tmp_path / "acme.db", 1)

    async with opened(lambda: open_store(url), "globex") as store:
        with pytest.raises(SchemaMismatch) as caught:
            await store.claim(["acme"])

    assert f"podvisor migrate {url!r}" in str(caught.value)


async def test_a_store_in_memory_has_nothing_to_migrate() -> None:
    """B12: it is said, and nothing is done."""
    with pytest.raises(UnsupportedStore, match="no tables"):
        _ = [one async for one in migrate_store(open_store("memory://"))]
    for url in ("memory://", "mysql://host/name", "podvisor.db"):
        with pytest.raises(UnsupportedStore, match="SQLite and PostgreSQL"):
            migration_script(url)


@pytest.mark.parametrize("since", [-1, SCHEMA_VERSION + 1])
def test_a_version_that_never_was_is_refused(since: int) -> None:
    """B12: no script leads from there."""
    with pytest.raises(ValueError, match="there is no version"):
        migration_script("sqlite://", since=since)


async def test_without_alembic_it_is_said_what_to_install(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B12: a host does not need it, the command does."""
    monkeypatch.setitem(sys.modules, "alembic.runtime.migration", None)

    with pytest.raises(UnsupportedStore, match=r"pip install 'podvisor\[migrate\]'"):
        migration_script("sqlite://")
    with pytest.raises(UnsupportedStore, match=r"pip install 'podvisor\[migrate\]'"):
        await migrated(path)


def test_a_host_does_not_import_alembic() -> None:
    """B12: a new database is made without it."""
    code = (
        "import asyncio, sys, tempfile, pathlib, persistence\n"
        "async def main(folder):\n"
        "    store = persistence.open_store(pathlib.Path(folder) / 'x.db')\n"
        "    await store.open()\n"
        "    await store.close()\n"
        "with tempfile.TemporaryDirectory() as folder: asyncio.run(main(folder))\n"
        "sys.exit('alembic' in sys.modules)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], check=False)  # noqa: S603  our own code

    assert done.returncode == 0


class TestPostgres:
    async def test_an_old_database_is_migrated_and_walled_in(self, url: str) -> None:
        """A1: as a new one is, to the column, the index and the policy."""
        with fresh_schema() as other:
            async with opened(lambda: open_store(other)):
                pass
            wanted = await described(other)
        await old_postgres(url)
        with pytest.raises(SchemaMismatch, match="podvisor migrate"):
            await open_store(url).open()

        looked = [r async for r in migrate_store(open_store(url), dry_run=True)]
        done = [r async for r in migrate_store(open_store(url))]
        again = [r async for r in migrate_store(open_store(url))]
        async with opened(lambda: open_store(url)) as store:
            (claim,) = await store.claim(["acme"])
            (stale, saved) = await store.apply(
                [attrs.evolve(save("k"), epoch=n) for n in (7, claim.epoch)]
            )

        assert [(r.found, r.done, r.problem) for r in (*looked, *done, *again)] == [
            (1, False, None),
            (1, True, None),
            (SCHEMA_VERSION, False, None),
        ]
        assert await described(url) == wanted
        assert claim.epoch == 9
        assert isinstance(stale, StaleOwner)
        assert saved is None


@pytest.fixture
def url() -> Generator[str]:
    with fresh_schema() as name:
        yield name


async def old_postgres(url: str) -> None:
    """Make the tables of version 1 on a server, with an owner."""

    def make(connection: Connection) -> None:
        context = MigrationContext.configure(connection)
        upgrade._run_steps(context, REVISIONS[:1], 0)  # pyright: ignore[reportPrivateUsage]  likewise

    store = open_store(url)
    assert isinstance(store, PostgresStore)
    await store.alter(make)
    await outside(
        url,
        "ALTER TABLE podvisor_owners NO FORCE ROW LEVEL SECURITY",
        "INSERT INTO podvisor_owners VALUES ('acme', 7)",
        "ALTER TABLE podvisor_owners FORCE ROW LEVEL SECURITY",
    )


async def described(url: str) -> list[list[tuple[object, ...]]]:
    """Describe what a schema holds, but for its name."""
    here = "current_schema()"
    queries = (
        (
            "SELECT table_name, column_name, ordinal_position, data_type, is_nullable,"
            " collation_name FROM information_schema.columns"
            f" WHERE table_schema = {here} ORDER BY 1, 3"
        ),
        (
            f"SELECT indexname, replace(indexdef, {here}, '') FROM pg_indexes"
            f" WHERE schemaname = {here} ORDER BY 1"
        ),
        (
            "SELECT tablename, policyname, cmd, qual, with_check FROM pg_policies"
            f" WHERE schemaname = {here} ORDER BY 1, 2"
        ),
        (
            "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class"
            f" WHERE relkind = 'r' AND relnamespace = {here}::regnamespace ORDER BY 1"
        ),
    )
    return [await outside(url, query) for query in queries]
