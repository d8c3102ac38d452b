# ruff: noqa: S608  the tests forget the partition on purpose, in constants of their own
"""Row-level security, seen with a role that owns nothing, as an application has it."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import TypeGuard

import asyncpg
import pytest

from persistence import (
    Address,
    Answer,
    Post,
    PutQuarantine,
    Quarantine,
    Reply,
    Save,
    Unit,
    open_store,
)
from persistence.postgres import statements as postgres_statements
from persistence.postgres.server import Server
from persistence.postgres.statements import Statement, writing
from persistence.postgres.store import PostgresStore
from persistence.sql.letter_statements import (
    DEFER,
    DROP_MAIL,
    DROP_REPLIES,
    EXHUME,
    FORGET_REPLIES,
    TAKE_AWAY,
)
from persistence.sql.statements import DELETE, LIFT_QUARANTINE, MOVE
from persistence.testing import letter, opened, state
from tests.postgres import app_role, fresh_schema, outside

__all__: list[str] = []

TABLES = ["records", "owners", "quarantine", "letters", "dead_letters", "replies"]
PARTITIONS = ("acme", "globex")


@pytest.fixture
async def urls() -> AsyncGenerator[tuple[str, str]]:
    """Fill tables with rows of two partitions; give the owner's and the role's URL."""
    with fresh_schema() as owner:
        async with opened(lambda: open_store(owner), *PARTITIONS) as store:
            await store.apply([filled(name) for name in PARTITIONS])
        with app_role(owner) as application:
            yield owner, application


@pytest.fixture
async def store(urls: tuple[str, str]) -> AsyncGenerator[PostgresStore]:
    found = open_store(urls[1])
    assert isinstance(found, PostgresStore)
    await found.open()
    yield found
    await found.close()


def filled(partition: str) -> Unit:
    """Save one row in every table."""
    address = Address(partition, "workers", "k")
    return Unit(
        partition,
        1,
        (
            Save(state("k", partition=partition, parent=address)),
            PutQuarantine(Quarantine(address, "why", 1.0)),
            Post(letter("1", partition=partition)),
            Answer(Reply(address, "r", b"d", partition.encode(), 9.0)),
        ),
    )


def setting(value: str) -> str:
    return f"SELECT set_config('podvisor.partition', '{value}', true)"


@pytest.mark.parametrize("table", TABLES)
async def test_without_a_setting_nothing_is_seen(
    urls: tuple[str, str], table: str
) -> None:
    """A1: a program that forgets the partition reads no row of anybody."""
    rows = await outside(urls[1], f"SELECT * FROM podvisor_{table}")

    assert rows == []


@pytest.mark.parametrize("table", [t for t in TABLES if t != "dead_letters"])
async def test_a_setting_shows_the_rows_of_its_partition(
    urls: tuple[str, str], table: str
) -> None:
    """A1: and no other, though the statement names none; the tables' owner as well."""
    for url in urls:
        rows = await outside(
            url, setting("acme"), f"SELECT DISTINCT partition FROM podvisor_{table}"
        )

        assert rows == [("acme",)]


@pytest.mark.parametrize("table", TABLES)
async def test_the_setting_of_the_host_shows_names_only(
    urls: tuple[str, str], table: str
) -> None:
    """B6: it lists who owns which partition, and nothing that a tenant stored."""
    rows = await outside(
        urls[1], setting("*"), f"SELECT partition FROM podvisor_{table} ORDER BY 1"
    )

    assert rows == ([("acme",), ("globex",)] if table == "owners" else [])


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO podvisor_owners VALUES ('initech', 1)",
        "INSERT INTO podvisor_quarantine VALUES ('globex', 'm', '\"k\"', 'x', 1)",
        "UPDATE podvisor_records SET partition = 'globex'",
        "UPDATE podvisor_letters SET partition = 'globex'",
        "UPDATE podvisor_replies SET partition = 'globex'",
    ],
)
async def test_a_row_of_another_partition_cannot_be_written(
    urls: tuple[str, str], statement: str
) -> None:
    """A1: neither made nor turned into one."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await outside(urls[1], setting("acme"), statement)


@pytest.mark.parametrize("value", ["*", "", "acme-corp", "acm", "acme%", "Acme"])
async def test_no_other_setting_opens_a_partition(
    urls: tuple[str, str], value: str
) -> None:
    """A4: the whole name counts, byte by byte; the host's setting changes nothing."""
    url = urls[1]
    rows = await outside(url, setting(value), "SELECT * FROM podvisor_records")
    raised = await outside(
        url, setting(value), "UPDATE podvisor_owners SET epoch = 9 RETURNING partition"
    )

    assert rows == raised == []


def forgetful(statement: Statement) -> Statement:
    """Take the partition out of every condition of a statement."""
    text = re.sub(r"\bpartition = (\$\d+::text)", r"\1 IS NOT NULL", statement.text)
    assert text != statement.text
    return Statement(text, statement.names)


VALUES: dict[str, object] = {
    "partition": "acme",
    "manager": "workers",
    "key": '"k"',
    "keys": ['"k"'],
    "kind": "state",
    "after": "",
    "limit": 99,
    "until": 9e9,
    "due": -1.0,
    "stamp": "",
    "id": "1",
    "request": "r",
    "before": 9e9,
    "epoch": 1,
    "rev": 2,
    "version": 1,
    "parent_manager": "",
    "parent_key": "",
    "on_parent_stop": "",
    "checksum": b"12345678",
    "body": b"{}",
}
READS = [
    *("LOAD", "KEYS", "COUNT", "CHILDREN", "QUARANTINED", "STORED_BYTES"),
    *("LETTERS", "MAIL", "FIRST_DUE", "REPLY"),
]


def size_of(answer: object) -> int:
    """Count the rows that a statement found, or read the count that it gave."""
    if not is_list(answer):
        return int(str(answer))
    first = answer[0]
    if is_row(first) and isinstance(first[0], int):
        return first[0]
    return len(answer)


def is_list(answer: object) -> TypeGuard[list[object]]:
    return isinstance(answer, list)


def is_row(answer: object) -> TypeGuard[tuple[object, ...]]:
    return isinstance(answer, tuple)


@pytest.mark.parametrize("name", READS)
async def test_a_statement_that_forgets_the_partition_reads_nothing_foreign(
    urls: tuple[str, str], store: PostgresStore, name: str
) -> None:
    """A1: row security hides what the mistake would show without it."""
    planted = forgetful(getattr(postgres_statements, name))

    secured = await answer_of(store, planted)
    table = "letters" if name in ("LETTERS", "MAIL", "FIRST_DUE") else "records"
    table = {"QUARANTINED": "quarantine", "REPLY": "replies"}.get(name, table)
    await outside(urls[0], f"ALTER TABLE podvisor_{table} DISABLE ROW LEVEL SECURITY")
    unsecured = await answer_of(store, planted)

    assert "globex" not in repr(secured)
    if name == "KEYS":  # two keys of one text are listed once
        assert size_of(secured) == size_of(unsecured) == 1
    else:
        assert (size_of(secured), size_of(unsecured)) == (1, 2)


async def answer_of(store: PostgresStore, statement: Statement) -> object:
    assert store.server is not None
    async with store.server.session(store.server.reading) as session:
        (answer,) = await session.run(statement, [("acme", VALUES)])
    return answer


@pytest.mark.parametrize(
    ("text", "table"),
    [
        (DELETE, "records"),
        (MOVE, "records"),
        (LIFT_QUARANTINE, "quarantine"),
        (TAKE_AWAY, "letters"),
        (DROP_MAIL, "letters"),
        (FORGET_REPLIES, "replies"),
    ],
)
async def test_a_statement_that_forgets_the_partition_changes_nothing_foreign(
    urls: tuple[str, str], store: PostgresStore, text: str, table: str
) -> None:
    """A1: one row is hit, that of the partition which the transaction may touch."""
    every = f"SELECT * FROM podvisor_{table}"
    before = await outside(urls[0], setting("globex"), every)

    hits = await answer_of(store, forgetful(writing(text)))

    assert hits == 1
    assert await outside(urls[0], setting("globex"), every) == before
    assert len(before) == 1


async def test_no_connection_keeps_the_setting(store: PostgresStore) -> None:
    """A1: it ends with the transaction; who uses the connection next sees nothing."""
    server = store.server
    assert server is not None
    async with server.transaction() as session:
        await session.run(postgres_statements.LOCK, [("acme", {"partition": "acme"})])
    await store.apply([Unit("globex", 1, (Save(state("j", partition="globex")),))])
    await store.load("workers", ["k"], partition="acme")
    await store.pending(after=None, limit=9)

    assert [await seen_by(server, True), await seen_by(server, False)] == [0, 0]


async def seen_by(server: Server, writing_one: bool) -> object:
    engine = server.writing if writing_one else server.reading
    async with server.session(engine) as session:
        return await session.driver.fetchval("SELECT count(*) FROM podvisor_owners")


async def test_the_store_works_for_a_role_that_owns_nothing(
    store: PostgresStore,
) -> None:
    """A8: the application needs four rights on rows, and none on tables."""
    claims = await store.claim(["acme", "initech"])
    answers = await store.apply([Unit("acme", 2, (Save(state("new")),))])

    assert [claim.epoch for claim in claims] == [2, 1]
    assert answers == [None]
    assert await store.partitions(after=None, limit=9) == ["acme", "globex", "initech"]
    assert await store.pending(after=None, limit=9) == [("acme", 0.0), ("globex", 0.0)]


STATEMENTS: dict[str, Statement] = {
    **{name: getattr(postgres_statements, name) for name in READS},
    **{name: getattr(postgres_statements, name) for name in ("DEAD", "PARTITIONS")},
    "LOCK": postgres_statements.LOCK,
    "DELETE": writing(DELETE),
    "MOVE": writing(MOVE),
    "LIFT_QUARANTINE": writing(LIFT_QUARANTINE),
    "TAKE_AWAY": writing(TAKE_AWAY),
    "DEFER": writing(DEFER),
    "DROP_MAIL": writing(DROP_MAIL),
    "DROP_REPLIES": writing(DROP_REPLIES),
    "EXHUME": writing(EXHUME),
}


@pytest.mark.parametrize("name", STATEMENTS)
async def test_every_statement_descends_an_index(
    store: PostgresStore, name: str
) -> None:
    """G17: under row security as well, a partition is found and not filtered out."""
    assert store.server is not None
    statement = STATEMENTS[name]
    arguments = statement.arguments("acme", {**VALUES, "tries": 1})
    async with store.server.transaction() as session:
        await session.driver.execute("SET LOCAL enable_seqscan = off")
        plan = await session.driver.fetch(f"EXPLAIN {statement.text}", *arguments)

    steps = [str(step[0]) for step in plan]
    assert any("Index" in step and "podvisor_" in step for step in steps)
    assert not [step for step in steps if "Seq Scan on podvisor" in step]
    conditions = [step for step in steps if "Index Cond" in step]
    assert all("partition" in step for step in conditions)
