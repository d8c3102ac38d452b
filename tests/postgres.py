"""A PostgreSQL server for tests: where it is, and a schema of its own for each test.

The environment variable ``PODVISOR_TEST_POSTGRES`` holds the URL of a database in which
the role may create schemas. Without it, what needs a server is skipped.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Generator
from contextlib import contextmanager
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy.engine import URL, make_url

from persistence import open_store

__all__ = ["VARIABLE", "fresh_schema", "outside", "server_url"]

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
    """Make a schema with a name that no parallel run has; give the store's URL of it."""
    url = make_url(server_url())
    name = f"test_{uuid4().hex}"
    asyncio.run(outside(url, f"CREATE SCHEMA {name}"))
    text = url.update_query_dict({"schema": name}).render_as_string(hide_password=False)
    open_store(text)  # the first one imports SQLAlchemy; here no loop runs yet
    try:
        yield text
    finally:
        asyncio.run(outside(url, f"DROP SCHEMA {name} CASCADE"))


async def outside(url: URL | str, *statements: str) -> Rows:
    """Run statements as another program would, on a connection of its own."""
    target = make_url(url)
    schema = target.query.get("schema")
    connection = await asyncpg.connect(
        target.set(drivername="postgresql")
        .difference_update_query(["schema"])
        .render_as_string(hide_password=False),
        server_settings={"search_path": str(schema)} if schema else None,
    )
    rows: Rows = []
    try:
        for statement in statements:
            rows = [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()
    return rows
