"""Runs the command as a test does: in a process of its own, small, figures only."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

__all__ = ["Figures", "crash"]

Figures = dict[str, object]

_ROOT = Path(__file__).parents[2]


def crash(*words: str) -> Figures:
    """Run ``python -m tests.crash`` and return its figures.

    It runs alone because it forks: the process of a test has threads and a loop.
    """
    command = [sys.executable, "-m", "tests.crash", "--json", *words]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    done = subprocess.run(  # noqa: S603  our own program
        command, cwd=_ROOT, env=environment, capture_output=True, check=False
    )
    if not done.stdout:
        raise AssertionError(done.stderr.decode())
    return msgspec.json.decode(done.stdout, type=Figures)
