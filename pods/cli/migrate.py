"""The command ``podvisor migrate``: bring tables of an older release up to date."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from persistence import (
    Migration,
    PodsError,
    migrate_store,
    migration_script,
    open_store,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

__all__ = ["add_command"]


def add_command(add_parser: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command to those of the program.

    Args:
        add_parser: makes the parser of a command.
    """
    parser = add_parser(
        "migrate",
        help="bring the tables of an older release up to date",
        description=(
            "Bring the tables of a store up to date, each database in one transaction. "
            "Stop the hosts first: one that runs on loses its partitions. Of a store "
            "with a file per partition, every file is migrated."
        ),
    )
    parser.add_argument("url", metavar="URL", help="the store, as its hosts name it")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--check",
        action="store_true",
        help="change nothing; the exit code is 1 if something is to be done",
    )
    how.add_argument(
        "--sql",
        action="store_true",
        help="print the SQL instead of running it; nothing is connected to",
    )
    parser.add_argument(
        "--since",
        metavar="VERSION",
        type=int,
        default=0,
        help="with --sql: the version that the tables have (default: 0, no tables)",
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    url: str = arguments.url
    since: int = arguments.since
    check: bool = arguments.check
    if not arguments.sql:
        return asyncio.run(_migrate(url, check=check))
    try:
        sys.stdout.write(migration_script(url, since=since))
    except PodsError:
        raise
    except ValueError as error:
        sys.stderr.write(f"podvisor: {error}\n")
        return 2
    return 0


async def _migrate(url: str, *, check: bool) -> int:
    """Migrate, or look, and tell what there is of each database as it comes."""
    reports: list[Migration] = []
    async for report in migrate_store(open_store(url), dry_run=check):
        reports.append(report)
        stream = sys.stdout if report.problem is None else sys.stderr
        stream.write(f"{report.partition or 'database'}: {_told(report)}\n")
        stream.flush()
    failed = sum(report.problem is not None for report in reports)
    outdated = sum(bool(report.steps) for report in reports)
    current = len(reports) - failed - outdated
    word = "to be migrated" if check else "migrated"
    sys.stdout.write(f"{outdated} {word}, {current} up to date, {failed} failed\n")
    return 1 if failed or (check and outdated) else 0


def _told(report: Migration) -> str:
    if report.problem is not None:
        return str(report.problem)
    if not report.steps:
        return f"version {report.found}, up to date"
    last, _ = report.steps[-1]
    titles = "; ".join(title for _, title in report.steps)
    verb = "is now" if report.done else "has to become"
    return f"version {report.found} {verb} {last} ({titles})"
