"""The page of promises explains every id that a test cites, and no other."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

__all__: list[str] = []

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "promises.md"
CITING = ("tests", "persistence/testing")

# A citation opens the docstring and ends with a colon: "G7:", "T1 to T7, T9:",
# "Holds 8 and 3:", "Row 2, A9:". Text anywhere else is never taken for one.
NUMBER = r"[1-9]\d?"
ID = (
    rf"(?:[A-Z]{NUMBER}(?: to [A-Z]{NUMBER})?"
    rf"|(?:[Hh]olds|[Rr]ow|[Rr]ule) {NUMBER}(?: and {NUMBER})*)"
)
CITATION = re.compile(rf"(?:Bound )?(?P<ids>{ID}(?:(?:, | and ){ID})*):")
ROW = re.compile(
    rf"^\| (?P<id>[A-Z]{NUMBER}|(?:Holds|Row|Rule) {NUMBER}) \| (?P<promise>.+)"
    r" \| `(?P<folder>[\w/]+)` \|$",
    re.MULTILINE,
)


def test_the_page_explains_every_id_that_a_test_cites() -> None:
    unexplained = {
        name: sorted(places)
        for name, places in _cited().items()
        if name not in _listed()
    }

    assert unexplained == {}


def test_the_page_lists_no_id_that_no_test_cites() -> None:
    assert sorted(_listed().keys() - _cited().keys()) == []


def test_the_page_lists_every_id_once_with_a_folder_that_shows_it() -> None:
    rows = ROW.findall(PAGE.read_text("utf-8"))

    wrong = [
        (name, folder)
        for name, _, folder in rows
        if not any(place.startswith(f"{folder}/") for place in _cited()[name])
    ]

    assert wrong == []
    assert len(rows) == len(_listed())


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ("G7: each has its own.", ["G7"]),
        ("A4, B6: the same.", ["A4", "B6"]),
        ("Bound T8 and O10: refused.", ["T8", "O10"]),
        ("O3, T1 to T3, T9: in order.", ["O3", "T1", "T2", "T3", "T9"]),
        ("Holds 8 and 3: at once.", ["Holds 8", "Holds 3"]),
        ("P3 and holds 6: kept.", ["P3", "Holds 6"]),
        ("T10, rule 8: all is free.", ["T10", "Rule 8"]),
        ("A host holds 6: all of them.", []),
        ("G7 is no citation without its colon.", []),
        ("Read A4: a size of paper.", []),
        ("UTF8: an encoding.", []),
        ("P0: counted from one.", []),
    ],
)
def test_only_the_head_of_a_docstring_cites(
    docstring: str, expected: list[str]
) -> None:
    assert list(_ids(docstring)) == expected


@cache
def _listed() -> dict[str, str]:
    """Return the promise of each id on the page."""
    return {row["id"]: row["promise"] for row in ROW.finditer(PAGE.read_text("utf-8"))}


@cache
def _cited() -> dict[str, set[str]]:
    """Return the files that cite each id."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for folder in CITING:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for docstring in _docstrings(path):
                for name in _ids(docstring):
                    found[name].add(path.relative_to(ROOT).as_posix())
    return found


def _docstrings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(
            node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        ):
            yield ast.get_docstring(node) or ""


def _ids(docstring: str) -> Iterator[str]:
    """Yield each id that the head of a docstring cites, ranges written out."""
    if (head := CITATION.match(docstring)) is None:
        return
    for part in re.findall(ID, head["ids"]):
        word = re.match("[A-Za-z]+", part)
        numbers = [int(number) for number in re.findall(r"\d+", part)]
        assert word is not None
        if " to " in part:
            numbers = list(range(numbers[0], numbers[-1] + 1))
        kind = word[0] if len(word[0]) == 1 else f"{word[0].capitalize()} "
        yield from (f"{kind}{number}" for number in numbers)
