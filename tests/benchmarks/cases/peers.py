"""Other systems that a user might pick, as far as they are installed.

``pip install 'podvisor[bench]'`` brings those that can be installed side by side.
"""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Sequence

from tests.benchmarks.beside import MARK, Figures
from tests.benchmarks.figures import Absent, Result, Row, at_most
from tests.benchmarks.harness import Case, Size

__all__ = ["CASES", "SYSTEMS", "beside", "peers"]

SYSTEMS = {
    "nigrains": "nigrains",
    "pykka": "pykka",
    "autogen_core": "autogen-core",
    "thespian": "thespian",
    "xoscar": "xoscar",
    "papyra": "papyra",
    "tapio": "tapio-py",
    "ray": "ray",
}
"""Adapters of actor systems, and their names on PyPI."""

STEPS = {"langgraph": "langgraph-checkpoint-sqlite", "dbos": "dbos"}
"""Adapters of systems that store the result of each step, likewise."""

PATIENCE = 180
"""Seconds after which one is left alone."""

WHAT = {
    "ask": ("ask, one caller", "µs"),
    "tell": ("tell 100 actors, until it is handled", "µs"),
    "activate": ("a fresh actor, and its first answer", "µs"),
    "memory": ("an idle actor", "B"),
    "durable_step": ("a step whose result is stored before the next", "µs"),
}


class Unmeasured(Exception):
    """A system that could not be measured; says why, in a word or two."""


async def peers(size: Size) -> Sequence[Result]:
    results: list[Result] = []
    for adapter, distribution in SYSTEMS.items():
        results += beside(adapter, distribution, ("messages", "memory"), size)
    for adapter, distribution in STEPS.items():
        results += beside(adapter, distribution, ("steps",), size)
    return results


def beside(
    adapter: str, distribution: str, measures: Sequence[str], size: Size
) -> Sequence[Result]:
    """Measure one of them beside podvisor, in processes of its own."""
    try:
        version = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return [Absent(distribution, "not installed")]
    try:
        return [
            Row(
                name=f"{what}_{adapter}",
                what=WHAT[what][0],
                reference=f"{distribution} {version}",
                unit=WHAT[what][1],
                pairs=pairs,
                reach=at_most(1),
                peer=True,
            )
            for measure in measures
            for what, pairs in _figures(measure, adapter, size).items()
        ]
    except Unmeasured as failure:
        return [Absent(f"{distribution} {version}", str(failure))]


def _figures(measure: str, adapter: str, size: Size) -> Figures:
    if measure != "memory":
        return _apart(measure, adapter, size)
    pairs = [
        (_bytes("podvisor", size), _bytes(adapter, size))
        for _ in range(min(size.repetitions, 3))
    ]
    return {"memory": tuple(pairs)}


def _bytes(adapter: str, size: Size) -> float:
    [(found, _)] = _apart("memory", adapter, size)["memory"]
    return max(found, 1.0)


def _apart(measure: str, adapter: str, size: Size) -> Figures:
    """Run one measure in a fresh process.

    Raises:
        Unmeasured: it failed, or took too long.
    """
    module = "tests.benchmarks.beside"
    command = [sys.executable, "-m", module, measure, adapter]
    command.append("tiny" if size.tiny else "full")
    try:
        done = subprocess.run(  # noqa: S603  our own module
            command, check=True, capture_output=True, text=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired as error:
        msg = f"took longer than {PATIENCE} s"
        raise Unmeasured(msg) from error
    except subprocess.CalledProcessError as error:
        last = str(error.stderr).strip().splitlines()[-1:] or ["no reason given"]
        msg = f"failed: {last[0]}"
        raise Unmeasured(msg) from error
    [line] = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    found = json.loads(line.removeprefix(MARK))
    return {what: tuple(map(tuple, pairs)) for what, pairs in found.items()}


CASES = (Case(name="peers", measure=peers, single=False, optional=True),)
