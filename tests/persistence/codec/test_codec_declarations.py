from __future__ import annotations

import subprocess
import sys
import typing
from collections.abc import Callable
from dataclasses import InitVar, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import attrs
import pytest

from persistence import (
    Address,
    UnsupportedField,
    build_codec,
)

from .states import (
    Basket,
    Colour,
    Line,
    Mutable,
    Odd,
    Point,
    Rights,
    Zone,
    one,
)

T = TypeVar("T")


@attrs.define
class Tree:
    children: list[Tree] = attrs.field(factory=list["Tree"])


@attrs.define
class Box(Generic[T]):
    content: T


@attrs.define
class Derived:
    a: int
    b: int = attrs.field(init=False, default=0)


@attrs.define
class Stubborn:
    a: int

    def __init__(self) -> None:
        self.__attrs_init__(a=1)  # type: ignore[attr-defined]  # made by attrs


@dataclass
class Seeded:
    a: int
    seed: InitVar[int] = 0


@attrs.define
class Lost:
    a: Nowhere  # type: ignore[name-defined]  # noqa: F821  on purpose


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        (Any, "no JSON form"),
        (object, "no JSON form"),
        (type, "no JSON form"),
        (bytearray, "no JSON form"),
        (complex, "no JSON form"),
        (T, "no JSON form"),
        (Box, "no JSON form"),
        (Box[int], "no JSON form"),
        (Callable[[], int], "no JSON form"),
        (typing.Sequence[int], "no JSON form"),
        (typing.List, "no JSON form"),  # noqa: UP006  without brackets, on purpose
        (list, r"list\[str\]"),
        (dict, r"dict\[str\]"),
        (tuple[int, Any], "no JSON form"),
        (list[object], r"'value\[\]'"),
        (dict[int, str], "keys of a dict have to be str"),
        (dict[Any, str], "no JSON form"),
        (set[Mutable], "immutable"),
        (frozenset[list[int]], "immutable"),
        (str | datetime, "alternatives are str in JSON"),
        (int | timedelta, "alternatives are int in JSON"),
        (list[int] | tuple[int, ...], "alternatives are list in JSON"),
        (Line | Point, "alternatives are dict in JSON"),
        (Rights, "flag"),
        (Odd, "neither str nor int"),
        (Literal[b"a"], "neither str nor int"),
        (Tree, "contains itself"),
        (Derived, "exactly its fields"),
        (Stubborn, "exactly its fields"),
        (Seeded, "exactly its fields"),
        (Lost, "Nowhere"),
    ],
    ids=str,
)
def test_a_field_without_json_form_is_refused_when_declared(
    declared: object, reason: str
) -> None:
    """A9: state that could not come back is refused before there is any."""
    with pytest.raises(UnsupportedField, match=reason) as caught:
        build_codec(one(declared))

    assert caught.value.agent == "One"
    assert "field 'value" in caught.value.reason


def test_a_class_without_fields_of_its_own_kind_is_refused() -> None:
    """A9: a plain class has no declared state."""
    with pytest.raises(UnsupportedField, match="no attrs class"):
        build_codec(Zone)


@pytest.mark.parametrize(
    ("declared", "simple"),
    [
        (int, True),
        (str | None, True),
        (Colour, True),
        (Literal["a"], True),
        (datetime, True),
        (tuple[int, ...], True),
        (tuple[Line, bytes], True),
        (frozenset[Line], True),
        (Address, True),
        (list[int], False),
        (set[int], False),
        (dict[str, int], False),
        (tuple[list[int], ...], False),
        (tuple[int, list[int]], False),
        (Line | list[int], False),
        (Mutable, False),
        (Basket, False),
        (Point, False),
    ],
    ids=str,
)
def test_a_codec_knows_whether_references_are_a_snapshot(
    declared: object, *, simple: bool
) -> None:
    """A9: only values that cannot change in place may be kept by reference."""
    codec = build_codec(one(declared))

    assert codec.simple is simple


def test_importing_the_package_leaves_the_json_machinery_out() -> None:
    """O14: 0.1 s of imports wait until the first codec is built."""
    code = "import persistence, sys; print({'cattrs', 'msgspec'} & set(sys.modules))"

    answer = subprocess.run(  # noqa: S603  our own interpreter
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[3],
        text=True,
    )

    assert answer.stdout.strip() == "set()"
