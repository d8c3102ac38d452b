"""``python -m tests.benchmarks``: measure, and say what came of it.

The whole table takes some minutes. ``--json FILE`` keeps it, and ``--write-docs FILE``
writes what a file holds into ``docs/benchmarks.md``, its picture and the README.
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from .figures import Absent, Row
from .harness import FULL, TINY, Size, run
from .machine import about
from .picture import draw
from .registry import CASES
from .report import Report, load, table, write_docs

__all__ = ["main"]

ROOT = Path(__file__).parents[2]


class Events(logging.Handler):
    """Counts what the product logs as a warning or worse: such a run is doubtful."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.counts: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        self.counts[record.getMessage()] += 1


def measure(names: Sequence[str], size: Size, *, peers: bool) -> Report:
    """Run the cases that are wanted, by default all that need nothing else."""
    described = about(f"python -m tests.benchmarks {shlex.join(sys.argv[1:])}".strip())
    console = Console(stderr=True)
    rows: list[Row] = []
    absent: dict[str, str] = {}
    for case in CASES:
        wanted = case.name in names if names else peers or not case.optional
        if wanted:
            console.print(case.name)
            for result in run(case, size):
                if isinstance(result, Absent):
                    absent[result.name] = result.why
                else:
                    rows.append(result)
    return Report(about=described, rows=rows, absent=absent)


def main(arguments: Sequence[str] | None = None) -> None:
    given = _parser().parse_args(arguments)
    if given.write_docs is not None:
        write_docs(load(given.write_docs.read_text(encoding="utf-8")), ROOT)
        return
    events = Events()
    logging.getLogger("podvisor").addHandler(events)
    size = TINY if given.size == "tiny" else FULL
    report = measure(given.only, size, peers=given.peers)
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(table(report.rows))
    for name, why in report.absent.items():
        console.print(f"not measured: {name}, {why}")
    for name, count in events.counts.items():
        console.print(f"logged while this was measured: {name}, {count} times")
    if given.json is not None:
        given.json.write_text(report.as_text(), encoding="utf-8")
    if given.picture is not None:
        given.picture.write_text(draw(report.rows), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        choices=[case.name for case in CASES],
        help="run this case; may be given several times",
    )
    parser.add_argument("--peers", action="store_true", help="other systems, too")
    parser.add_argument("--size", choices=["full", "tiny"], default="full")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw them, SVG")
    parser.add_argument(
        "--write-docs", type=Path, metavar="FILE", help="of an earlier run's results"
    )
    return parser


if __name__ == "__main__":
    main()
