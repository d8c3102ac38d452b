from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import msgspec
import pytest

__all__: list[str] = []

ROOT = Path(__file__).parents[2]
INPUTS = Path(__file__).parent / "inputs"
FILES = ("accepted.py", "example.py", "refused.py")

Found: TypeAlias = dict[str, dict[int, str]]
"""What a type checker says, by file and line; lines count from 1."""

Checker: TypeAlias = Callable[[Path], Found]


class MypyLine(msgspec.Struct):
    file: str
    line: int
    message: str
    severity: str


class Position(msgspec.Struct):
    line: int


class Range(msgspec.Struct):
    start: Position


class PyrightLine(msgspec.Struct):
    file: str
    message: str
    severity: str
    range: Range


class PyrightReport(msgspec.Struct):
    generalDiagnostics: list[PyrightLine]  # noqa: N815  pyright's own word


def mypy(folder: Path) -> Found:
    found = _nothing()
    # What podvisor's own modules say is another check's business, as it is for a user.
    flags = ("--strict", "--follow-imports=silent", "--config-file=", "--output=json")
    cache = f"--cache-dir={ROOT / '.mypy_cache' / 'typing'}"
    for text in _run(["mypy", *flags, cache, *FILES], folder).splitlines():
        line = msgspec.json.decode(text, type=MypyLine)
        if line.severity == "error":
            found[Path(line.file).name][line.line] = line.message
    return found


def pyright(folder: Path) -> Found:
    found = _nothing()
    settings = {
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
        # At the top of a module, where the example stands, a variable may stay unused.
        "reportUnusedVariable": "none",
        "extraPaths": [str(ROOT)],
        "include": list(FILES),
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    flags = ("--outputjson", "--pythonpath", sys.executable)
    report = msgspec.json.decode(_run(["pyright", *flags], folder), type=PyrightReport)
    for line in report.generalDiagnostics:
        if line.severity == "error":
            found[Path(line.file).name][line.range.start.line + 1] = line.message
    return found


def _nothing() -> Found:
    return {name: {} for name in FILES}


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(  # noqa: S603  a checker of this very environment
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Put the inputs outside of the tree, so that no other check looks at them."""
    made = tmp_path_factory.mktemp("typing")
    for source in INPUTS.iterdir():
        if source.is_file():
            shutil.copy(source, made / source.name.removesuffix(".txt"))
    return made


@pytest.mark.timeout(120)
@pytest.mark.parametrize("checker", [mypy, pyright], ids=["mypy", "pyright"])
def test_the_api_is_typed_and_a_missing_partition_is_an_error(
    folder: Path, checker: Checker
) -> None:
    """G2: the example is clean, types are known, what is marked is refused."""
    lines = (folder / "refused.py").read_text().splitlines()
    marked = {n for n, line in enumerate(lines, 1) if line.endswith("# refused")}

    found = checker(folder)

    refused = found.pop("refused.py")
    assert len(marked) > 30
    assert {n: lines[n - 1] for n in marked - refused.keys()} == {}
    assert {n: refused[n] for n in refused.keys() - marked} == {}
    assert found == {"accepted.py": {}, "example.py": {}}
