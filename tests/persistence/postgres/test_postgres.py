# ruff: noqa: S608  the tests damage rows on purpose, with constants of their own
from __future__ import annotations

import logging
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import attrs
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.pool import QueuePool

from persistence import (
    Address,
    CorruptRecord,
    Delete,
    LiftQuarantine,
    MemoryStore,
    Operation,
    Post,
    PostgresPolicy,
    PutQuarantine,
    Quarantine,
    Save,
    SchemaMismatch,
    StaleOwner,
    StaleRevision,
    Store,
    StoreError,
    StoreUnavailable,
    Take,
    Unit,
    UnsupportedStore,
    open_store,
)
from persistence.postgres.server import Call, Server, Session
from persistence.postgres.setup import Facts, why_unfit
from persistence.postgres.statements import LOCK, Statement
from persistence.postgres.store import PostgresStore
from persistence.store.rows import Row, checksum
from persistence.testing import Make, letter, opened, save, state, unit
from tests.postgres import fresh_schema, outside
from tests.support import spin

__all__: list[str] = []

DAMAGE = (
    """
    CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF new.key = '"b"' THEN RAISE EXCEPTION 'x' USING ERRCODE = 'XX001'; END IF;
        RETURN new;
    END $$
    """,
    """
    CREATE TRIGGER broken BEFORE INSERT ON podvisor_records
    FOR EACH ROW EXECUTE FUNCTION broken()
    """,
)
"""Statements after which a row with the key ``b`` goes where a page is damaged."""

LOCK_ALONE = attrs.evolve(LOCK, text=LOCK.text.replace("SHARE", "UPDATE"))


@pytest.fixture
def url() -> Iterator[str]:
    with fresh_schema() as name:
        yield name


@pytest.fixture
def make(url: str) -> Make:
    return lambda: open_store(url)


def server_of(store: Store) -> Server:
    assert isinstance(store, PostgresStore)
    assert store.server is not None
    return store.server


async def as_owner(url: str, *statements: str) -> list[tuple[object, ...]]:
    """Run statements of a database administrator, who lowers the wall meanwhile."""
    tables = ("records", "owners", "quarantine", "letters")
    lower = [f"ALTER TABLE podvisor_{t} NO FORCE ROW LEVEL SECURITY" for t in tables]
    rows = await outside(url, *lower, *statements)
    await outside(url, *(line.replace("NO FORCE", "FORCE") for line in lower))
    return rows


class TestUrls:
    @pytest.mark.parametrize(
        ("url", "hint"),
        [
            ("postgresql://db/pods", "write 'postgresql+asyncpg'"),
            ("postgres://db/pods", "write 'postgresql+asyncpg'"),
            ("postgresql+psycopg://db/pods", "write 'postgresql+asyncpg'"),
            ("postgresql+asyncpg://db", "names no database"),
            ("postgresql+asyncpg://db/pods?timeout=3", "has the option 'timeout'"),
            ("postgresql+asyncpg://db/pods?schema=Pods", "no plain lower-case name"),
            ("postgresql+asyncpg://db/pods?schema=a,b", "no plain lower-case name"),
            ("postgresql+asyncpg://db/pods?statement_cache_size=x", "no number"),
            ("postgresql:not a url", "no URL"),
        ],
    )
    def test_a_url_of_no_usable_database_is_refused_with_advice(
        self, url: str, hint: str
    ) -> None:
        """A8: a wrong setting is found before the host starts."""
        with pytest.raises(UnsupportedStore) as caught:
            open_store(url)

        assert hint in str(caught.value)

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql://me:hunter2@db/pods",
            "postgresql+asyncpg://me:hunter2@db/pods?x=1",
        ],
    )
    def test_a_password_is_not_shown(self, url: str) -> None:
        """B7: credentials do not reach a log through an error."""
        with pytest.raises(UnsupportedStore) as caught:
            open_store(url)

        assert "hunter2" not in str(caught.value)

    def test_settings_of_another_store_are_refused(self) -> None:
        """A8: a setting that would have no effect is a mistake."""
        with pytest.raises(UnsupportedStore, match="PostgresPolicy"):
            open_store("sqlite+aiosqlite:///x.db", policy=PostgresPolicy())

    @pytest.mark.parametrize(
        "setting",
        [
            {"connect_timeout": 0.0},
            {"statement_timeout": -1.0},
            {"grace": 0.0},
            {"readers": 0},
        ],
    )
    def test_settings_outside_their_range_are_refused(
        self, setting: dict[str, float]
    ) -> None:
        """A8: a limit of zero is not a way to switch it off."""
        with pytest.raises(ValueError, match=next(iter(setting))):
            PostgresPolicy(**setting)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  one of them each

    def test_a_store_does_not_show_its_password(self) -> None:
        """B7: likewise through the store itself."""
        store = open_store("postgresql+asyncpg://me:hunter2@db/pods?schema=podvisor")

        assert (
            repr(store) == "<PostgresStore postgresql+asyncpg://me:***@db/pods closed>"
        )

    def test_a_missing_driver_is_named(self) -> None:
        """A8: the driver is an extra; the error says how to get it."""
        code = (
            "import sys; sys.modules['asyncpg'] = None\n"
            "import persistence\n"
            "try: persistence.open_store('postgresql+asyncpg://db/pods')\n"
            "except persistence.UnsupportedStore as error: print(error)"
        )

        done = subprocess.run(  # noqa: S603  our own code
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        )

        assert "pip install 'podvisor[postgres]'" in done.stdout

    @pytest.mark.parametrize(
        ("settings", "schema", "cache"),
        [("", None, None), ("?schema=pods&statement_cache_size=0", "pods", 0)],
    )
    def test_options_of_ours_reach_the_driver(
        self, settings: str, schema: str | None, cache: int | None
    ) -> None:
        """A8: a schema of its own, and a pool that keeps no prepared statements."""
        store = PostgresStore("postgresql+asyncpg://db/pods" + settings)

        told = store.target.connect_args(PostgresPolicy(statement_timeout=2.0))

        sent = str(told["server_settings"])
        assert ("'search_path': 'pods'" in sent) == (schema == "pods")
        assert "'statement_timeout': '2000'" in sent
        assert told.get("statement_cache_size") == cache
        assert not store.target.url.query


class TestFitness:
    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"version": 120_022}, "older than PostgreSQL 13"),
            ({"encoding": "SQL_ASCII"}, "encoding"),
            ({"syncing": "off"}, "synchronous_commit"),
            ({"schema": None}, "does not exist"),
            ({}, None),
            ({"unwalled": True}, None),
        ],
    )
    def test_a_database_that_cannot_keep_the_promise_is_refused(
        self, change: dict[str, object], reason: str | None
    ) -> None:
        """A9: found at the opening, and not after a loss."""
        facts = Facts(150_018, "UTF8", "on", "public", unwalled=False)

        why = why_unfit(facts._replace(**change))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  one column each

        assert why is None if reason is None else reason in str(why)

    async def test_a_schema_that_does_not_exist_is_named(self, url: str) -> None:
        """A8: the error says what is wrong, and nothing is made elsewhere."""
        store = open_store(re.sub("schema=\\w+", "schema=nowhere", url))

        with pytest.raises(UnsupportedStore, match="does not exist"):
            await store.open()

    async def test_a_database_that_does_not_exist_is_named(self, url: str) -> None:
        """A8: as a setting, not as an outage that may pass."""
        store = open_store(re.sub(r"/\w+\?", "/nowhere_at_all?", url))

        with pytest.raises(UnsupportedStore, match="no such database"):
            await store.open()

    async def test_a_server_that_is_not_there_is_unavailable(self) -> None:
        """P1: an outage at the start may pass."""
        store = open_store("postgresql+asyncpg://127.0.0.1:1/nothing")

        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            await store.open()

    async def test_a_role_that_no_wall_stops_is_warned_of(
        self, url: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """P1: the second wall is either there or reported."""
        ((bypasses,),) = await outside(
            url,
            "SELECT rolsuper OR rolbypassrls FROM pg_roles"
            " WHERE rolname = current_user",
        )

        with caplog.at_level(logging.WARNING, "podvisor.store"):
            async with opened(lambda: open_store(url)):
                pass

        assert bool(caplog.records) is bypasses


class TestSchema:
    async def test_every_key_and_index_begins_with_the_partition(
        self, make: Make, url: str
    ) -> None:
        """A1: read from the database and not from the declaration."""
        async with opened(make):
            indexes = await outside(
                url,
                """
                SELECT c.relname, a.attname, l.collname FROM pg_index i
                JOIN pg_class c ON c.oid = i.indrelid
                JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
                LEFT JOIN pg_collation l ON l.oid = a.attcollation
                WHERE c.relnamespace = current_schema()::regnamespace
                """,
            )

        assert len({table for table, *_ in indexes}) == 7
        assert {(column, order) for _, column, order in indexes} == {("partition", "C")}

    async def test_every_text_compares_byte_by_byte(self, make: Make, url: str) -> None:
        """A4: no collation makes two keys one, or sorts them by a language."""
        async with opened(make):
            columns = await outside(
                url,
                "SELECT table_name, column_name, collation_name, is_nullable"
                " FROM information_schema.columns"
                " WHERE table_schema = current_schema()",
            )
            orders = await outside(
                url,
                """
                SELECT DISTINCT coalesce(l.collname, '-') FROM pg_attribute a
                JOIN pg_class c ON c.oid = a.attrelid
                LEFT JOIN pg_collation l ON l.oid = a.attcollation
                WHERE c.relnamespace = current_schema()::regnamespace
                    AND c.relkind = 'r' AND a.attnum > 0
                """,
            )

        assert {row[3] for row in columns} == {"NO"}
        assert set(orders) == {("C",), ("-",)}

    async def test_every_table_of_tenants_is_walled(self, make: Make, url: str) -> None:
        """A1: row-level security is on, also for the owner; no policy is missing."""
        async with opened(make):
            tables = await outside(
                url,
                """
                SELECT relname, relrowsecurity, relforcerowsecurity,
                    (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid)
                FROM pg_class c
                WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
                """,
            )

        walls = {table: facts for table, *facts in tables}
        assert walls.pop("podvisor_schema") == [False, False, 0]
        assert walls.pop("podvisor_owners") == [True, True, 2]
        assert set(map(tuple, walls.values())) == {(True, True, 1)}

    async def test_tables_of_other_programs_are_left_alone(
        self, make: Make, url: str
    ) -> None:
        """P1: a shared database keeps what others put there."""
        await outside(
            url, "CREATE TABLE records (x int)", "INSERT INTO records VALUES (1)"
        )

        async with opened(make, "acme") as store:
            await store.apply([save("k")])

        assert await outside(url, "SELECT x FROM records") == [(1,)]

    @pytest.mark.parametrize(
        ("change", "found"),
        [
            ("UPDATE podvisor_schema SET version = 99", "version 99"),
            ("DROP TABLE podvisor_schema", "no version"),
            (
                "ALTER TABLE podvisor_records DISABLE ROW LEVEL SECURITY",
                "without row-level security on podvisor_records",
            ),
            (
                "ALTER TABLE podvisor_letters NO FORCE ROW LEVEL SECURITY",
                "without row-level security on podvisor_letters",
            ),
        ],
    )
    async def test_tables_of_another_release_or_without_a_wall_are_refused(
        self, make: Make, url: str, change: str, found: str
    ) -> None:
        """P2: nothing is made, changed or written in a database of another layout."""
        async with opened(make, "acme") as store:
            await store.apply([save("k")])
        await outside(url, change)

        with pytest.raises(SchemaMismatch) as caught:
            await make().open()

        assert found in caught.value.found

    async def test_hosts_may_open_a_new_database_together(self, make: Make) -> None:
        """A9: one makes the tables, the others find them."""
        stores = [make() for _ in range(3)]

        async with anyio.create_task_group() as group:
            for store in stores:
                group.start_soon(store.open)
        claims = [(await store.claim(["acme"]))[0].epoch for store in stores]
        for store in stores:
            await store.close()

        assert claims == [1, 2, 3]

    async def test_the_tables_can_be_worked_on_in_one_transaction(
        self, url: str, make: Make
    ) -> None:
        """A9: what fails in the middle leaves nothing."""
        async with opened(make):
            pass

        def half(connection: Connection) -> None:
            connection.execute(text("CREATE TABLE podvisor_new (x int)"))
            connection.execute(text("SELECT 1 / 0"))

        def whole(connection: Connection) -> object:
            return connection.execute(text("SELECT count(*) FROM pg_tables")).scalar()

        store = PostgresStore(url)
        with pytest.raises(StoreUnavailable):
            await store.alter(half)

        assert int(str(await store.alter(whole))) > 0
        assert await outside(url, "SELECT to_regclass('podvisor_new')") == [(None,)]
        assert store.server is None

    async def test_a_closed_store_leaves_no_connection(
        self, make: Make, url: str
    ) -> None:
        """P6: every session of ours is gone from the server."""
        async with opened(make, "acme") as store:
            await store.apply([save("k")])
            await store.count("workers", partition="acme")
            pids = await sessions(store)

        assert len(pids) == 2
        await gone(url, pids)


async def sessions(store: Store) -> list[int]:
    """Return the processes of the connection that writes and of one that reads."""
    server = server_of(store)
    found: list[int] = []
    for engine in (server.writing, server.reading):
        async with server.session(engine) as session:
            found.append(session.driver.get_server_pid())
    return found


async def gone(url: str, pids: Sequence[int]) -> None:
    """Wait until the server has ended sessions; the limit ends a test that hangs."""
    with anyio.fail_after(5):
        while await outside(
            url, f"SELECT 1 FROM pg_stat_activity WHERE pid = ANY ('{{{pids[0]}}}')"
        ):
            await anyio.lowlevel.checkpoint()


WHERE_B = "WHERE partition = 'acme' AND key = '\"b\"'"


class TestDamage:
    @pytest.mark.parametrize(
        "change",
        [
            "kind = 'sketch'",
            "rev = 7",
            "version = 0",
            "parent_manager = 'pods'",
            "parent_key = 'not json'",
            "on_parent_stop = 'x'",
            "body = '\\x7b'",
            "checksum = '\\x00'",
        ],
    )
    async def test_a_damaged_column_costs_its_row_only(
        self, make: Make, url: str, change: str
    ) -> None:
        """P2: the bad record is reported, its bytes are kept, its neighbours load."""
        every = "SELECT * FROM podvisor_records ORDER BY partition, key"
        async with opened(make, "acme", "globex") as store:
            await store.apply([save("a"), save("b"), save("b", partition="globex")])
            await as_owner(url, f"UPDATE podvisor_records SET {change} {WHERE_B}")
            before = await as_owner(url, every)
            found = await store.load("workers", ["a", "b", "c"], partition="acme")
            foreign = await store.load("workers", ["b"], partition="globex")
            after = await as_owner(url, every)

        assert found[0] == (state("a"),)
        assert isinstance(found[1], CorruptRecord)
        assert found[1].address == Address("acme", "workers", "b")
        assert found[2] == ()
        assert foreign == [(state("b", partition="globex"),)]
        assert after == before

    async def test_a_right_checksum_over_wrong_values_is_not_enough(
        self, make: Make, url: str
    ) -> None:
        """P2: a row that no record of ours has is reported."""
        row = Row("acme", "workers", '"b"', "state", 1, 1, "Pods!", '"x"', "", b"{}")
        async with opened(make, "acme") as store:
            await store.apply([save("a"), save("b")])
            await as_owner(
                url,
                "UPDATE podvisor_records SET parent_manager = 'Pods!',"
                f" parent_key = '\"x\"', checksum = '\\x{checksum(row).hex()}'"
                f" {WHERE_B}",
            )
            found = await store.load("workers", ["a", "b"], partition="acme")

        assert found[0] == (state("a"),)
        assert isinstance(found[1], CorruptRecord)

    async def test_a_row_cannot_stand_in_for_another(
        self, make: Make, url: str
    ) -> None:
        """A4: the checksum covers the identity, so a moved row is not believed."""
        async with opened(make, "acme", "globex") as store:
            await store.apply([save("b")])
            await as_owner(
                url, f"UPDATE podvisor_records SET partition = 'globex' {WHERE_B}"
            )
            (found,) = await store.load("workers", ["b"], partition="globex")

        assert isinstance(found, CorruptRecord)

    async def test_a_page_that_cannot_be_read_costs_the_rows_on_it(
        self, make: Make, url: str
    ) -> None:
        """P2: the server gives up on the batch; the keys are then read one by one."""
        async with opened(make, "acme") as store:
            await store.apply([save(key) for key in ("a", "b", "c")])
        # A view stands in for the table: reading one row of it fails as damage does.
        await outside(
            url,
            """
            CREATE FUNCTION broken(key text, body bytea) RETURNS bytea
            LANGUAGE plpgsql VOLATILE AS $$ BEGIN
                IF key = '"b"' THEN RAISE EXCEPTION 'x' USING ERRCODE = 'XX001'; END IF;
                RETURN body;
            END $$
            """,
            "ALTER TABLE podvisor_records RENAME TO intact_records",
            """
            CREATE VIEW podvisor_records AS SELECT partition, manager, key, kind, rev,
                version, parent_manager, parent_key, on_parent_stop,
                broken(key, body) AS body, checksum
            FROM intact_records
            """,
        )

        store = PostgresStore(url)
        store.server = Server.of(store.target, PostgresPolicy())
        try:
            found = await store.load("workers", ["a", "b", "c"], partition="acme")
        finally:
            await store.close()

        assert found[0] == (state("a"),)
        assert isinstance(found[1], CorruptRecord)
        assert "cannot read" in found[1].reason
        assert found[2] == (state("c"),)

    async def test_a_listing_passes_over_what_it_cannot_read(
        self, make: Make, url: str
    ) -> None:
        """P5: one bad row does not stop a scan, nor end it early."""
        parent = Address("acme", "pods", "root")
        keys = [f"k{n}" for n in range(5)]
        marks = [Quarantine(Address("acme", "workers", key), "x", 1.0) for key in keys]
        async with opened(make, "acme", "globex", "initech") as store:
            await store.apply([unit(Save(state(key, parent=parent))) for key in keys])
            await store.apply([unit(PutQuarantine(mark)) for mark in marks])
            for table in ("records", "quarantine"):
                for key, bad in (("k0", "k0"), ("k1", '"k1" '), ("k2", '["k2"')):
                    await as_owner(
                        url,
                        f"UPDATE podvisor_{table} SET key = '{bad}'"
                        f" WHERE key = '\"{key}\"'",
                    )
            await as_owner(
                url,
                "UPDATE podvisor_owners SET partition = 'NOT/one'"
                " WHERE partition = 'globex'",
            )
            listed = await store.keys("workers", partition="acme", after=None, limit=1)
            children = await store.children(parent)
            quarantined = await store.quarantined(partition="acme")
            partitions = await store.partitions(after=None, limit=2)
            pending = await store.pending(after=None, limit=2)

        assert listed == ["k3"]
        assert [child.key for child in children] == ["k3", "k4"]
        assert [mark.address.key for mark in quarantined] == ["k3", "k4"]
        assert partitions == ["acme", "initech"]
        assert pending == []


@attrs.frozen(eq=False)
class CountingSession(Session):
    """Counts the writes that were tried, by partition."""

    tried: Counter[str]

    async def run(self, statement: Statement, calls: Sequence[Call]) -> list[object]:
        self.tried.update(partition for partition, _ in calls if statement is not LOCK)
        return await super().run(statement, calls)


@attrs.frozen(eq=False, slots=False)
class CountingServer(Server):
    """Counts the writes of every transaction, also of those that were undone."""

    tried: Counter[str] = attrs.field(factory=Counter[str])

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Session]:
        async with super().transaction() as session:
            yield CountingSession(session.driver, self.tried)


class TestSuspects:
    async def test_a_damaged_page_costs_the_others_a_few_tries_and_no_more(
        self, make: Make, url: str
    ) -> None:
        """P1: who writes to it again and again does so apart from the others."""
        others = [f"p{n}" for n in range(7)]
        turns = 6
        async with opened(make, "acme", *others) as store:
            await outside(url, *DAMAGE)
            assert isinstance(store, PostgresStore)
            whole = server_of(store)
            store.server = counted = CountingServer(
                whole.target, whole.writing, whole.reading
            )
            for turn in range(1, turns + 1):
                batch = [save("k", turn, partition=name) for name in others]
                *saved, good, bad = await store.apply(
                    [*batch, save("good", turn), save("b")]
                )

                assert saved == [None] * len(others)
                assert good is None
                assert isinstance(bad, StoreUnavailable)
                assert "damaged" in bad.reason

        tried = [counted.tried[name] for name in others]
        assert max(tried) <= turns + 4
        assert sum(tried) <= len(others) * (turns + 3)
        assert counted.tried["acme"] > 2 * turns

    async def test_a_stale_partition_has_transactions_of_its_own(
        self, make: Make
    ) -> None:
        """P1: likewise what is refused by us and not by the server."""
        others = [f"p{n}" for n in range(3)]
        async with opened(make, "acme", *others) as store:
            assert isinstance(store, PostgresStore)
            whole = server_of(store)
            store.server = counted = CountingServer(
                whole.target, whole.writing, whole.reading
            )
            for turn in range(1, 7):
                batch = [save("k", turn, partition=name) for name in others]
                answers = await store.apply([save("k", 9), *batch])

                assert isinstance(answers[0], StaleRevision)
                assert answers[1:] == [None] * len(others)

        assert {counted.tried[name] for name in others} == {7}


class TestRefusals:
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

    async def test_a_key_that_no_index_takes_fails_its_unit_only(
        self, make: Make
    ) -> None:
        """P1: 2,000 characters may be 6,000 bytes; an index row has 2,700."""
        noise = random.Random(1)
        long = "".join(chr(noise.randrange(0x4E00, 0x9FA5)) for _ in range(2000))
        async with opened(make, "acme") as store:
            bad, good = await store.apply([save(long), save("k")])

        assert isinstance(bad, StoreUnavailable)
        assert "larger than an index of PostgreSQL takes" in bad.reason
        assert good is None

    async def test_a_body_may_have_any_bytes(self, make: Make) -> None:
        """A9: also NUL, which no text of PostgreSQL has."""
        body = bytes(range(256))
        async with opened(make, "acme") as store:
            await store.apply([save("k", body=body)])
            found = await store.load("workers", ["k"], partition="acme")

        assert found == [(state("k", body=body),)]

    @pytest.mark.parametrize("seed", range(6))
    async def test_batches_are_answered_as_units_one_after_the_other(
        self, make: Make, seed: int
    ) -> None:
        """A9: sent together, refused as if each had been sent alone."""
        dice = random.Random(seed)
        model = MemoryStore()
        await model.open()
        await model.claim(["acme", "globex"])
        async with opened(make, "acme", "globex") as store:
            for _ in range(25):
                batch = [some_unit(dice) for _ in range(dice.randrange(1, 9))]
                answers = await store.apply(batch)
                wanted = [(await model.apply([one]))[0] for one in batch]

                assert shown(answers) == shown(wanted), batch
                assert await everything(store) == await everything(model)
        await model.close()


def some_unit(dice: random.Random) -> Unit:
    """Make a unit of few instances, so that it often meets another one."""
    partition = dice.choice(["acme", "globex"])
    operations = tuple(
        some_operation(dice, partition) for _ in range(dice.randrange(1, 4))
    )
    return Unit(partition, dice.choice([1, 1, 1, 1, 1, 2]), operations)


def some_operation(dice: random.Random, partition: str) -> Operation:
    key = dice.choice("ab")
    address = Address(partition, "workers", key)
    record = state(
        key, dice.randrange(1, 4), b"%d" % dice.randrange(9), partition=partition
    )
    mail = letter(dice.choice("12"), key, partition=partition)
    match dice.randrange(8):
        case 0:
            return Delete(address)
        case 1:
            return PutQuarantine(Quarantine(address, dice.choice("xyz"), 1.0))
        case 2:
            return LiftQuarantine(address)
        case 3:
            return Post(mail)
        case 4:
            return Take(mail.target, mail.id, dice.choice(["", mail.stamp]))
        case _:
            return Save(record)


def shown(answers: Sequence[StoreError | None]) -> list[str]:
    return [str(answer) for answer in answers]


async def everything(store: Store) -> list[object]:
    found: list[object] = []
    for partition in ("acme", "globex"):
        found += await store.load("workers", ["a", "b"], partition=partition)
        found += await store.quarantined(partition=partition)
        found += await store.letters(
            partition=partition, until=9e9, after=(-1.0, ""), limit=99
        )
    return found


class TestTwoHosts:
    async def test_the_older_of_two_hosts_is_refused(self, make: Make) -> None:
        """A9: 100 writes of a stale owner, none accepted."""
        async with opened(make, "acme", "globex") as old, opened(make, "acme") as new:
            mine = [save(f"k{n}", body=b"old") for n in range(100)]
            answers = await old.apply([*mine, save("k", partition="globex")])
            count = await new.count("workers", partition="acme")

        assert {type(answer) for answer in answers[:-1]} == {StaleOwner}
        assert answers[-1] is None
        assert count == 0

    async def test_a_claim_waits_for_a_save_that_is_on_its_way(
        self, make: Make, url: str
    ) -> None:
        """A9: nothing of the old owner is committed after the new one has read."""
        order: list[str] = []
        async with opened(make, "acme") as old, opened(make) as new:

            async def claim() -> None:
                await new.claim(["acme"])
                order.append("claimed")

            async with (
                anyio.create_task_group() as group,
                server_of(old).transaction() as session,
            ):
                await session.run(LOCK, [("acme", {"partition": "acme"})])
                group.start_soon(claim)
                await blocked_by(url, session.driver.get_server_pid())
                order.append("saved")

        assert order == ["saved", "claimed"]

    async def test_a_save_and_a_claim_of_the_same_partitions_never_deadlock(
        self, make: Make, url: str
    ) -> None:
        """A9: both take the owners in the order of their names, however they came."""
        names = ["p1", "p2", "p0"]
        answers: list[StoreError | None] = []
        async with (
            opened(make, *names) as saving,
            opened(make) as claiming,
            opened(make) as third,
        ):
            (saver, _) = await sessions(saving)

            async def saves() -> None:
                answers.extend(
                    await saving.apply([save("k", partition=name) for name in names])
                )

            async with (
                anyio.create_task_group() as group,
                server_of(third).transaction() as session,
            ):
                await session.run(LOCK_ALONE, [("p2", {"partition": "p2"})])
                group.start_soon(saves)
                await blocked_by(url, session.driver.get_server_pid())
                group.start_soon(claiming.claim, ["p0", "p1"])
                await blocked_by(url, saver)

        assert answers == [None, None, None]

    async def test_of_two_writers_of_one_row_the_second_is_refused(
        self, make: Make
    ) -> None:
        """A9: no lost update, also under the same epoch."""
        async with opened(make, "acme") as store, opened(make) as own_copy:
            await store.apply([save("k")])
            answers = [
                *await store.apply([save("k", 2, b"first")]),
                *await own_copy.apply([save("k", 2, b"second")]),
            ]

        assert answers[0] is None
        assert isinstance(answers[1], StaleRevision)


async def blocked_by(url: str, pid: int) -> None:
    """Wait until some session waits for another; the limit ends a test that hangs."""
    question = f"SELECT 1 FROM pg_locks WHERE {pid} = ANY (pg_blocking_pids(pid))"
    with anyio.fail_after(10):
        while not await outside(url, question):
            await anyio.lowlevel.checkpoint()


class TestRoundTrips:
    async def test_a_batch_costs_as_many_round_trips_as_one_unit(
        self, make: Make
    ) -> None:
        """A6: a hundred partitions, one transaction, no statement of two partitions."""
        names = [f"p{n:02}" for n in range(100)]
        async with opened(make, *names) as store:
            asked = await asked_of(store)
            await store.apply([save("k", partition="p00")])
            await spin()
            one = len(asked)
            await store.apply([save("j", partition=name) for name in names])
            await spin()
            many = len(asked) - one

        assert one == many == len([";", "BEGIN", "LOCK", "INSERT", "COMMIT"])


async def asked_of(store: Store) -> list[str]:
    """Record what is sent on the connection that writes."""
    log: list[str] = []
    server = server_of(store)
    async with server.session(server.writing) as session:
        await spin()  # what was sent before is logged in a later step of the loop
        session.driver.add_query_logger(lambda query: log.append(str(query.query)))
    return log


class TestCancellation:
    async def test_a_cancelled_save_is_whole_or_absent(self, make: Make) -> None:
        """A9: at whatever step the call is cancelled, the store goes on."""
        rounds = 30
        async with opened(make, "acme") as store:
            for steps in range(rounds):
                key = f"k{steps}"
                pair = unit(Save(state((key, "1"))), Save(state((key, "2"))))
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
            server = server_of(store)
            pools = (server.writing.pool, server.reading.pool)

        assert all(bool(one) == bool(two) for one, two in found)
        assert answers == [None]
        assert all(isinstance(pool, QueuePool) for pool in pools)
        assert [pool.checkedout() for pool in pools if isinstance(pool, QueuePool)] == [
            0,
            0,
        ]
