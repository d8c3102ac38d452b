"""What the documents say is what the code does."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pods import PackageConflict, PodsError

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"\| (PV-E\d{3}) \| `(\w+)` \| (`\w+`(?:, `\w+`)*) \|")
OURS = ("pods", "supervision", "persistence")
DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
)
FILE = re.compile(r"`((?:pods|supervision|persistence|tests|examples|docs)/[\w/.-]*)")
CLASS_IN_FILE = re.compile(r"`(\w+)` in `([\w/]+\.py)`")


def test_every_error_is_in_the_table_of_errors_once() -> None:
    listed = [(code, name) for code, name, _ in _rows()]

    assert sorted(listed) == sorted((e.code, e.__name__) for e in _errors())
    assert len({code for code, _ in listed}) == len(listed)


def test_every_error_is_also_the_builtin_that_the_table_says() -> None:
    builtins = {name: names for _, name, names in _rows()}

    for error in _errors():
        found = {b.__name__ for b in error.__mro__ if b.__module__ == "builtins"}
        listed = set(re.findall(r"\w+", builtins[error.__name__]))
        # Their own bases, such as OSError below TimeoutError, go without saying.
        assert listed <= found - {"Exception", "BaseException", "object"}


def test_the_trees_in_the_modules_name_the_same_codes() -> None:
    drawn = {(PackageConflict.__name__, PackageConflict.code)}
    for package in OURS:
        for file in ("errors.py", "errors/__init__.py"):
            if (module := ROOT / package / file).exists():
                docstring = module.read_text("utf-8").split('"""')[1]
                drawn |= set(re.findall(r"(\w+) +(PV-E\d{3})", docstring))

    assert drawn == {(name, code) for code, name, _ in _rows()}


def test_every_link_in_the_documents_leads_somewhere() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text("utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_file_that_the_documents_name_exists() -> None:
    for document in DOCUMENTS:
        for named in FILE.findall(document.read_text("utf-8")):
            assert (ROOT / named).exists(), f"{document.name}: {named}"


def test_every_class_stands_in_the_file_that_the_glossary_says() -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text("utf-8")

    for name, file in CLASS_IN_FILE.findall(glossary):
        source = (ROOT / file).read_text("utf-8")
        assert re.search(rf"^(class )?{name}\b", source, re.MULTILINE), name


def test_the_documents_name_only_errors_that_exist() -> None:
    known = {e.code for e in _errors()}

    for document in DOCUMENTS:
        assert set(re.findall(r"PV-E\d{3}", document.read_text("utf-8"))) <= known


def test_the_example_on_the_first_page_counts_on_when_it_is_run_again(
    tmp_path: Path,
) -> None:
    """A9: the reply 1 was sent after the count was stored."""
    text = (ROOT / "README.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "first_page.py").write_text(code)

    printed = [_run(tmp_path / "first_page.py") for _ in range(2)]

    assert printed == ["1\n", "2\n"]


def _rows() -> list[tuple[str, str, str]]:
    return ROW.findall((ROOT / "docs" / "errors.md").read_text("utf-8"))


def _errors() -> list[type[PodsError | PackageConflict]]:
    return [PackageConflict, *_below(PodsError)]


def _below(root: type[PodsError]) -> Iterator[type[PodsError]]:
    """Walk the errors that the three packages define."""
    for error in root.__subclasses__():
        if error.__module__.partition(".")[0] in OURS:
            yield error
        yield from _below(error)


def _run(script: Path) -> str:
    ended = subprocess.run(  # noqa: S603  the script stands in the README
        [sys.executable, "-W", "error", str(script)],
        cwd=script.parent,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        pytest.fail(ended.stderr)
    return ended.stdout
