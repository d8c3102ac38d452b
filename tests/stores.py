"""Which stores the suites of hosts run on, and how a test gets one.

By default memory and SQLite. ``PODVISOR_TEST_STORE=sqlite|postgres|files|memory`` runs
them on that one instead, such as ``PODVISOR_TEST_STORE=postgres pytest tests/pods``.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from persistence import MemoryStore, open_store
from tests.postgres import fresh_schema
from tests.support import MakeStore

__all__ = ["STORES", "stored", "url_of"]

STORES = (
    [os.environ["PODVISOR_TEST_STORE"]]
    if "PODVISOR_TEST_STORE" in os.environ
    else [
        "memory",
        "sqlite",
    ]
)
"""Parameters of the fixtures that make a store."""


@contextmanager
def url_of(name: str, folder: Path) -> Generator[str]:
    """Give the URL of an empty database, for as long as the block lasts."""
    match name:
        case "postgres":
            with fresh_schema() as url:
                yield url
        case "files":
            yield f"sqlite+aiosqlite:///{folder}/{{partition}}/podvisor.db"
        case "sqlite":
            yield f"sqlite+aiosqlite:///{folder}/podvisor.db"
        case _:
            msg = f"PODVISOR_TEST_STORE={name} names no store"
            raise ValueError(msg)


@contextmanager
def stored(name: str, folder: Path) -> Generator[MakeStore]:
    """Open the same data as often as asked, in an empty store of that name."""
    if name == "memory":
        store = MemoryStore()
        yield lambda: store
        return
    with url_of(name, folder) as url:
        open_store(url)  # the first one imports SQLAlchemy; here no loop runs yet
        yield lambda: open_store(url)
