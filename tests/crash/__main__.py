"""The command: ``python -m tests.crash kill --kills 10000``."""

from __future__ import annotations

import argparse
import functools
import logging
import os
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

from .damage import Damage, cut_short, damage_again_and_again, flip_bits
from .enduring import endure_again_and_again
from .forks import warm_up
from .kills import kill_again_and_again
from .planted import PLANTED
from .relay import relay
from .sandbox import INSIDE, sandbox_of
from .soak import soak
from .stalls import Patience
from .torn import tear_again_and_again

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
    with tempfile.TemporaryDirectory(prefix="podvisor-crash-") as folder:
        options.folder = Path(os.environ.get(INSIDE) or folder)
        if INSIDE not in os.environ and (how := getattr(options, "how", "")):
            sandbox = sandbox_of(how, options.folder)
            if sandbox.missing:
                sys.exit(sandbox.missing)
            sandbox.enter()
        logging.disable()
        warm_up()
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
    parser.add_argument("--seed", type=int, default=1)
    commands = parser.add_subparsers(dest="command", required=True)

    def add(
        name: str, run: Callable[..., _Report], size: int, text: str
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text)
        command.add_argument("--size", type=int, default=size, help=text)
        command.set_defaults(run=run)
        return command

    kill = add("kill", _kill, 10_000, "processes to kill with signal 9")
    kill.add_argument("--plant", choices=PLANTED, help="a mistake to find")
    kill.add_argument(
        "--patience",
        type=float,
        default=20.0,
        help="seconds of its own that a process may take to answer",
    )
    add("relay", _relay, 500, "handovers between processes, 200 writes each")
    add("flip", _flip, 10_000, "copies of a database with flipped bits")
    add("cut", _cut, 1_000, "copies of a database that end early")
    add("tear", _tear, 2_000, "copies of a log that is torn")
    add("soak", _soak, 1_000_000, "instances to start, ask and hibernate")
    disk = add("disk", _disk, 1_000, "processes on a disk that fails, 200 turns each")
    disk.add_argument("--how", choices=["limit", "full", "faulty"], default="limit")
    return parser


def _kill(options: argparse.Namespace) -> _Report:
    make = None
    if options.plant:
        make = functools.partial(PLANTED[options.plant], options.url)
    patience = functools.partial(Patience, options.patience)
    with _progress(options, "kills") as step:
        return kill_again_and_again(
            options.url,
            options.size,
            options.seed,
            make=make,
            patience=patience,
            progress=step,
        )


def _relay(options: argparse.Namespace) -> _Report:
    with _progress(options, "handovers") as step:
        return relay(options.url, options.size, 200, progress=step)


def _flip(options: argparse.Namespace) -> _Report:
    return _damage(options, flip_bits)


def _cut(options: argparse.Namespace) -> _Report:
    return _damage(options, cut_short)


def _damage(options: argparse.Namespace, damage: Damage) -> _Report:
    with _progress(options, "images") as step:
        return damage_again_and_again(
            options.folder, damage, options.size, options.seed, progress=step
        )


def _tear(options: argparse.Namespace) -> _Report:
    with _progress(options, "images") as step:
        return tear_again_and_again(
            options.folder, options.size, options.seed, progress=step
        )


def _disk(options: argparse.Namespace) -> _Report:
    with _progress(options, "processes") as step:
        return endure_again_and_again(
            options.folder, options.how, options.size, options.seed, progress=step
        )


def _soak(options: argparse.Namespace) -> _Report:
    cycles, options.size = options.size, 10
    with _progress(options, "tenths") as step:
        return soak(options.folder, cycles, progress=step)


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
    notes: list[object] = []
    for name, value in figures.items():
        if isinstance(value, tuple):
            notes += value
            continue
        shown = f"{value:.3f}" if isinstance(value, float) else str(value)
        table.add_row(name, shown)
    console = Console()
    console.print(table)
    for note in notes:
        console.print(str(note), markup=False, highlight=False)


if __name__ == "__main__":
    sys.exit(main())
