"""Add a dump of today's rows to the corpus: ``python -m tests.corpus.record``.

To be run when a release is made. A dump that is there is never replaced: it is what a
release has written.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import tempfile
import tomllib
from contextlib import closing
from pathlib import Path

from persistence.migrations.schema import SCHEMA_VERSION
from tests.corpus.letters import write_letters
from tests.corpus.world import PARTITIONS, write_world

__all__ = ["CORPUS", "head_of", "release"]

CORPUS = Path(__file__).parent
"""Where the dumps are."""


def release() -> str:
    """Return the version of podvisor that the checkout is of."""
    text = (CORPUS.parents[1] / "pyproject.toml").read_text("utf-8")
    version = tomllib.loads(text)["project"]["version"]
    assert isinstance(version, str)
    return version


def head_of(version: str, schema: int) -> str:
    """Return the first line of a dump."""
    return f"-- podvisor {version}, tables of version {schema}\n"


async def _write(path: Path) -> None:
    url = f"sqlite+aiosqlite:///{path}"
    await write_world(url)
    await write_letters(url, *PARTITIONS)


def _dump(path: Path) -> str:
    with closing(sqlite3.connect(path)) as database:
        lines = [line for line in database.iterdump() if "sqlite_stat" not in line]
    return "".join(f"{line}\n" for line in lines)


def main() -> None:
    """Write the dump of this release."""
    version = release()
    target = CORPUS / f"{version}-tables-{SCHEMA_VERSION}.sql"
    if target.exists():
        sys.exit(f"{target.name} is there already: a release never writes it twice.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "podvisor.db"
        asyncio.run(_write(path))
        text = head_of(version, SCHEMA_VERSION) + _dump(path)
    target.write_text(text, "utf-8")
    sys.stdout.write(f"{target.name}: {len(text):,} characters\n")


if __name__ == "__main__":
    main()
