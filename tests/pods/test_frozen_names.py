"""Names that users, dashboards and databases depend on, compared with a frozen list.

A name that is added on purpose is added to ``frozen_names.json`` in the same commit.
One that is changed or removed breaks its users: it needs a release note and a reason.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import pods
from persistence import PodsError
from persistence.migrations.schema import SCHEMA_VERSION, metadata

ROOT = Path(__file__).parents[2]
PRODUCT = ("pods", "supervision", "persistence")
DOTTED = re.compile(r"[a-z_]+(\.[a-z_]+)+")

FROZEN = json.loads(Path(__file__).with_name("frozen_names.json").read_text("utf-8"))


def errors(root: type[PodsError]) -> Iterator[type[PodsError]]:
    if root.__module__.split(".")[0] in PRODUCT:
        yield root
    for error in root.__subclasses__():
        yield from errors(error)


def error_codes() -> dict[str, str]:
    return {error.__name__: error.code for error in errors(PodsError)}


def emitted_names() -> set[str]:
    """Return the dotted names in the code: events, loggers, meters, attributes."""
    found: set[str] = set()
    for package in PRODUCT:
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.add(node.value)
    return {
        name
        for name in found
        if DOTTED.fullmatch(name) and name.split(".")[0] not in PRODUCT
    }


def schema() -> dict[str, list[str]]:
    tables = {name: [c.name for c in t.columns] for name, t in metadata.tables.items()}
    indices = {
        str(index.name): [column.name for column in index.columns]
        for table in metadata.tables.values()
        for index in table.indexes
    }
    return {**tables, **indices}


@pytest.mark.parametrize(
    ("what", "found"),
    [
        ("public names", sorted(pods.__all__)),
        ("error codes", error_codes()),
        ("emitted names", sorted(emitted_names())),
        ("schema", schema()),
        ("schema version", SCHEMA_VERSION),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "found",
)
def test_a_name_that_others_depend_on_stays(what: str, found: object) -> None:
    assert found == FROZEN[what]


def test_every_public_name_is_there() -> None:
    assert [name for name in pods.__all__ if not hasattr(pods, name)] == []


def test_no_two_errors_share_a_code() -> None:
    codes = error_codes()

    assert len(set(codes.values())) == len(codes)
