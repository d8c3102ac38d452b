"""A PostgreSQL server for tests: where it is, and a schema of its own for each test.

The environment variable ``PODVISOR_TEST_POSTGRES`` holds the URL of a database in which
the role may create schemas and roles. Without it, what needs a server is skipped.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy.engine import URL, make_url

from persistence import open_store

__all__ = ["VARIABLE", "app_role", "at_once", "fresh_schema", "outside", "server_url"]

VARIABLE = "PODVISOR_TEST_POSTGRES"

Rows = list[tuple[object, ...]]


def server_url() -> str:
    """Return the URL of the server, or skip the test."""
    url = os.environ.get(VARIABLE)
    if not url:
        pytest.skip(f"no PostgreSQL server: {VARIABLE} is not set")
    return url


@contextmanager
def fresh_schema() -> Generator[str]:
    """Make a schema whose name no parallel run has; give the store's URL of it."""
    url = make_url(server_url())
    name = f"test_{uuid4().hex}"
    at_once(url, f"CREATE SCHEMA {name}")
    # Unless the URL says more: the driver, cancelled while it offers encryption to a
    # server that has none, leaves an error behind that nobody can fetch.
    text = _text(url.update_query_dict({"ssl": "disable", **url.query, "schema": name}))
    open_store(text)  # the first one imports SQLAlchemy; here no loop runs yet
    try:
        yield text
    finally:
        at_once(url, f"DROP SCHEMA {name} CASCADE")


@contextmanager
def app_role(url: str) -> Generator[str]:
    """Make a role that owns nothing and may use the tables of a schema; give its URL.

    The tables have to be there.
    """
    target = make_url(url)
    schema = target.query["schema"]
    name = f"app_{uuid4().hex}"
    at_once(
        url,
        f"CREATE ROLE {name} LOGIN PASSWORD '{name}'",
        f"GRANT USAGE ON SCHEMA {schema} TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema}"
        f" TO {name}",
    )
    try:
        yield _text(target.set(username=name, password=name))
    finally:
        at_once(
            url,
            f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {name}",
            f"REVOKE ALL ON SCHEMA {schema} FROM {name}",
            f"DROP ROLE {name}",
        )


async def outside(url: URL | str, *statements: str) -> Rows:
    """Run statements as another program would, in one transaction of its own."""
    target = make_url(url)
    schema = target.query.get("schema")
    connection = await asyncpg.connect(
        _text(
            target.set(drivername="postgresql").difference_update_query(
                ["schema", "ssl", "statement_cache_size"]
            )
        ),
        ssl="disable" if target.query.get("ssl") == "disable" else None,
        server_settings={"search_path": str(schema)} if schema else None,
    )
    rows: Rows = []
    try:
        async with connection.transaction():
            for statement in statements:
                rows = [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()
    return rows


def at_once(url: URL | str, *statements: str) -> Rows:
    """Do the same and wait for it, also where a loop runs."""
    rows: Rows = []

    def work() -> None:
        rows.extend(asyncio.run(outside(url, *statements)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return rows


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)
