"""The command ``podvisor migrate``: what it changes, and what it says."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from persistence.migrations.schema import SCHEMA_VERSION
from pods.cli import main as cli

__all__: list[str] = []


def old_database(path: Path) -> str:
    """Make the tables of version 1; return the URL of the database."""
    script = (Path(__file__).parents[2] / "corpus" / "0.1.0-tables-1.sql").read_text(
        "utf-8"
    )
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript(script)
    return f"sqlite+aiosqlite:///{path}"


def version_of(path: Path) -> object:
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT version FROM podvisor_schema").fetchone()[0]


def test_an_old_database_is_migrated_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """B12: what it was, what it is, and what that brings."""
    url = old_database(tmp_path / "podvisor.db")

    codes = [
        cli.main(["migrate", "--check", url]),
        cli.main(["migrate", url]),
        cli.main(["migrate", url]),
        cli.main(["migrate", "--check", url]),
    ]

    printed = capsys.readouterr()
    assert codes == [1, 0, 0, 0]
    assert printed.err == ""
    lines = printed.out.splitlines()
    assert lines[0].startswith(f"database: version 1 has to become {SCHEMA_VERSION} (")
    assert lines[1] == "1 to be migrated, 0 up to date, 0 failed"
    assert lines[2].startswith(f"database: version 1 is now {SCHEMA_VERSION} (letters")
    assert lines[3] == "1 migrated, 0 up to date, 0 failed"
    assert lines[4] == f"database: version {SCHEMA_VERSION}, up to date"
    assert version_of(tmp_path / "podvisor.db") == SCHEMA_VERSION


def test_every_file_of_a_store_is_migrated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A3: one line for each partition; one that cannot be used does not stop it."""
    for name in ("acme", "globex"):
        old_database(tmp_path / f"{name}.db")
    (tmp_path / "broken.db").write_bytes(b"no database" * 1_000)

    code = cli.main(["migrate", f"sqlite+aiosqlite:///{tmp_path}/{{partition}}.db"])

    printed, complaints = capsys.readouterr()
    assert code == 1
    assert [line.split(":")[0] for line in printed.splitlines()[:2]] == [
        "acme",
        "globex",
    ]
    assert printed.endswith("2 migrated, 0 up to date, 1 failed\n")
    assert complaints.startswith("broken: [PV-E205] ")
    assert version_of(tmp_path / "globex.db") == SCHEMA_VERSION


def test_the_sql_is_printed_and_nothing_is_touched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """B12: a database administrator reads it before it runs."""
    url = old_database(tmp_path / "podvisor.db")

    codes = [
        cli.main(["migrate", "--sql", "--since", "1", url]),
        cli.main(["migrate", "--sql", "postgresql+asyncpg://nobody@nowhere/x"]),
    ]

    printed, complaints = capsys.readouterr()
    assert (codes, complaints) == ([0, 0], "")
    assert "sqlite3 -bail FILE\nBEGIN IMMEDIATE;" in printed
    assert "ON_ERROR_STOP=1\nBEGIN;" in printed
    assert printed.count("COMMIT;") == 2
    assert version_of(tmp_path / "podvisor.db") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["memory://"], 1, "no tables that could be migrated"),
        (["sqlite+aiosqlite:////no/such/file.db"], 1, "there is no such file"),
        (
            ["sqlite+aiosqlite:////no/such/{partition}.db"],
            1,
            "the file system answered",
        ),
        (["nonsense"], 1, "it is no URL"),
        (["--sql", "memory://"], 1, "SQLite and PostgreSQL"),
        (["--sql", "--since", "99", "sqlite://"], 2, "there is no version 99"),
    ],
)
def test_what_cannot_be_migrated_is_explained(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """B12: in one line, and the exit code tells a script."""
    ended = cli.main(["migrate", *arguments])

    complaint = capsys.readouterr().err
    assert ended == code
    assert said in complaint
    assert complaint.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [[], ["--check", "--sql", "sqlite://"], ["--since", "x", "sqlite://"]]
)
def test_wrong_arguments_are_explained(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """B12: before anything is done."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["migrate", *arguments])

    assert ended.value.code == 2
    assert "usage: podvisor migrate" in capsys.readouterr().err
