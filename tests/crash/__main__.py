"""The command: ``python -m tests.crash kill --kills 10000``."""

from __future__ import annotations

import argparse
import functools
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import attrs
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

from . import planted
from .forks import warm_up
from .kills import kill_again_and_again
from .relay import relay

__all__ = ["main"]


class _Report(Protocol):
    """What every run returns: an attrs value with figures."""

    @property
    def good(self) -> bool:
        """Whether nothing was wrong."""
        ...


def main() -> int:
    """Run one of the proofs; the status says whether all was well."""
    options = _parser().parse_args()
    warm_up()
    with tempfile.TemporaryDirectory(prefix="podvisor-crash-") as folder:
        options.folder = Path(options.folder or folder)
        options.url = options.url or f"sqlite+aiosqlite:///{options.folder}/crash.db"
        report: _Report = options.run(options)
    figures = attrs.asdict(report)  # type: ignore[arg-type]
    if options.json:
        sys.stdout.write(msgspec.json.encode(figures).decode())
    else:
        _show(options.command, figures, good=report.good)
    return 0 if report.good else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--json", action="store_true", help="figures only, for tests")
    parser.add_argument("--url", help="the store; default: a new SQLite file")
    parser.add_argument("--folder", help="where files go; default: a temporary one")
    parser.add_argument("--seed", type=int, default=1)
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, run: Callable[..., _Report], size: int, text: str) -> None:
        command = commands.add_parser(name, help=text)
        command.add_argument("--size", type=int, default=size, help=text)
        command.add_argument("--plant", choices=["hasty"], help="a mistake to find")
        command.set_defaults(run=run)

    add("kill", _kill, 10_000, "processes to kill with signal 9")
    add("relay", _relay, 500, "handovers between processes, 200 writes each")
    return parser


def _kill(options: argparse.Namespace) -> _Report:
    make = None
    if options.plant:
        make = functools.partial(planted.hasty, options.url)
    with _progress(options, "kills") as step:
        return kill_again_and_again(
            options.url, options.size, options.seed, make=make, progress=step
        )


def _relay(options: argparse.Namespace) -> _Report:
    with _progress(options, "handovers") as step:
        return relay(options.url, options.size, 200, progress=step)


@contextmanager
def _progress(options: argparse.Namespace, what: str) -> Generator[Callable[[], None]]:
    """Show how far it is; without a thread, as the process is about to fork."""
    columns = (what, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, auto_refresh=False, disable=options.json
    ) as bar:
        task = bar.add_task(what, total=options.size)

        def step() -> None:
            bar.advance(task)
            bar.refresh()

        yield step


def _show(command: str, figures: dict[str, object], *, good: bool) -> None:
    table = Table(title=f"{command}: {'good' if good else 'WRONG'}", show_header=False)
    for name, value in figures.items():
        shown = f"{value:.3f}" if isinstance(value, float) else str(value)
        table.add_row(name, shown)
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
