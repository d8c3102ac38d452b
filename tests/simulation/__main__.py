"""Runs many seeds, or one of them with everything that happens in it.

python -m tests.simulation --seeds 20000
python -m tests.simulation --seed 4711
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed

import attrs
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from .cancels import (
    OPERATIONS,
    STYLES,
    cancel_everywhere,
    cancel_host_everywhere,
)
from .grid import count_operations, fail_at, points
from .runs import Run, run

__all__: list[str] = []

BLOCK = 20
SHOWN = 20


@attrs.define
class Total:
    """What the runs so far have come to."""

    runs: int = 0
    ticks: int = 0
    operations: int = 0
    faults: int = 0
    lives: int = 0
    failures: dict[int, str] = attrs.field(factory=dict[int, str])

    def add(self, seed: int, outcome: Run | str) -> None:
        """Count one run, or keep why it failed."""
        self.runs += 1
        if isinstance(outcome, str):
            self.failures[seed] = outcome
            return
        self.ticks += outcome.ticks
        self.operations += outcome.operations
        self.faults += outcome.faults
        self.lives += outcome.lives


def run_block(seeds: range) -> list[tuple[int, Run | str]]:
    """Run some seeds in a process of the pool; a failure is its text."""
    found: list[tuple[int, Run | str]] = []
    for seed in seeds:
        try:
            found.append((seed, run(seed)))
        except Exception as error:  # noqa: BLE001  every failure is to be counted
            found.append((seed, f"{type(error).__name__}: {error}"))
    return found


def outcomes(seeds: range, jobs: int) -> Iterator[list[tuple[int, Run | str]]]:
    """Give the outcomes of blocks of seeds as they come."""
    blocks = [seeds[at : at + BLOCK] for at in range(0, len(seeds), BLOCK)]
    with ProcessPoolExecutor(jobs) as pool:
        for done in as_completed([pool.submit(run_block, one) for one in blocks]):
            yield done.result()


def sweep(seeds: range, jobs: int) -> Total:
    """Run all seeds, with a bar that shows how far it has come."""
    total = Total()
    with Progress() as progress:
        bar = progress.add_task("seeds", total=len(seeds))
        for block in outcomes(seeds, jobs):
            for seed, outcome in block:
                total.add(seed, outcome)
            progress.update(bar, completed=total.runs)
            if total.failures:
                progress.update(bar, description=f"{len(total.failures)} violations")
    return total


def show(total: Total, seconds: float) -> None:
    """Print what all runs came to, and how to see a failed one again."""
    table = Table(show_header=False)
    for name in ("runs", "operations", "faults", "lives", "ticks"):
        table.add_row(name, f"{getattr(total, name):,}")
    table.add_row("violations", f"{len(total.failures):,}")
    table.add_row("seeds/s", f"{total.runs / seconds:.1f}")
    console = Console()
    console.print(table)
    for seed, why in sorted(total.failures.items())[:SHOWN]:
        console.print(f"--seed {seed}: {why}", markup=False, highlight=False)


def sweep_grid() -> int:
    """Cancel in every pass and fail every operation; count the points."""
    logging.disable(logging.CRITICAL)  # failures by the thousand, all expected
    every = list(points(count_operations()))
    with Progress() as progress:
        bar = progress.add_task("cancels", total=len(OPERATIONS) * len(STYLES) + 2)
        cancelled = 0
        for style in STYLES:
            for name in OPERATIONS:
                cancelled += cancel_everywhere(name, style)
                progress.advance(bar)
            cancelled += cancel_host_everywhere(style)
            progress.advance(bar)
        for point in progress.track(every, description="faults"):
            fail_at(point)
    print(f"{cancelled:,} cancelled, {len(every):,} failed: nothing violated")  # noqa: T201  a command
    return 0


def main() -> int:
    """Read the command line; 0 if nothing was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=300, help="how many (300)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (0)")
    parser.add_argument("--seed", type=int, help="run this one and print its trace")
    parser.add_argument("--jobs", type=int, default=1, help="processes (1)")
    parser.add_argument("--grid", action="store_true", help="all cancels and faults")
    given = parser.parse_args()
    if given.grid:
        return sweep_grid()
    if given.seed is not None:
        print(run(given.seed, print))  # noqa: T201  a command
        return 0
    began = time.perf_counter()
    total = sweep(range(given.first, given.first + given.seeds), given.jobs)
    show(total, time.perf_counter() - began)
    return bool(total.failures)


if __name__ == "__main__":
    sys.exit(main())
