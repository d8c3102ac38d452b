"""Whatever JSON lies in a row: it is refused, or it is kept to the last bit."""

from __future__ import annotations

import copy
import enum
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TypeAlias
from uuid import UUID

import attrs
from hypothesis import assume, event, example, given, settings
from hypothesis import strategies as st

from persistence import Address, UndecodableState, build_codec

__all__: list[str] = []

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Path: TypeAlias = tuple[str | int, ...]

ADDRESS = Address("acme", "sheets", "k")


class Colour(enum.Enum):
    RED = "red"
    TWO = 2


@attrs.frozen
class Line:
    amount: int
    note: str | None


@attrs.frozen
class Sheet:
    """A state with a field of every kind, and no defaults that could fill a gap."""

    text: str
    number: int
    ratio: float
    flag: bool
    nothing: None
    either: int | str | None
    moment: datetime
    day: date
    span: timedelta
    price: Decimal
    ident: UUID
    raw: bytes
    colour: Colour
    words: list[str]
    pair: tuple[int, str]
    lines: tuple[Line, ...]
    table: dict[str, list[float]]
    unique: frozenset[str]
    several: set[int]


CODEC = build_codec(Sheet)
GOOD: dict[str, Json] = json.loads(
    CODEC.encode(
        Sheet(
            text="ü",
            number=2**70,
            ratio=0.1,
            flag=True,
            nothing=None,
            either=7,
            moment=datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
            day=date(2024, 2, 29),
            span=timedelta(microseconds=5),
            price=Decimal("1.20"),
            ident=UUID(int=1),
            raw=b"\x00\xff",
            colour=Colour.TWO,
            words=["a", ""],
            pair=(1, "1"),
            lines=(Line(1, None), Line(2, "x")),
            table={"": [0.5], "b": []},
            unique=frozenset({"x", "y"}),
            several={1, 2},
        )
    )
)
UNORDERED = {"unique", "several"}
"""Fields whose order in a row means nothing; they are written in one order."""

LIKELY: list[Json] = [
    *("1", "1.0", "1e3", "true", "null", "", " ", "None", "NaN", "Infinity", "٣"),
    *("2026-03-29", "2026-03-29T01:30:00", "2026-03-29T01:30:00Z", "20260329"),
    *("2026-W13-7", "01:02:03", "T01:02", "2026-03-29 01:30:00+00:00"),
    *("1_0", "+1", "01", "1.", ".5", "1E1", "-0", "0.10", "sNaN", "red", "2"),
    *("{00000000-0000-0000-0000-000000000001}", "0" * 31 + "1", "AP8", "AP8=", "A"),
    *(0, 1, -1, 2, 2**53 + 1, -(2**80), 0.0, -0.0, 1.0, 2.5, 5e-324),
    *(True, False, None),
    [],
    [[]],
    [1, 1],
    ["x", "x"],
    [True, 1],
    [1, 1.0],
    {},
]
SCALARS: st.SearchStrategy[Json] = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.sampled_from(LIKELY)
)
VALUES: st.SearchStrategy[Json] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["amount", "note", "", "a"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


def places(value: Json, path: Path = ()) -> Iterator[Path]:
    """Go through every place in a JSON value, itself first."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*path, index))


def same(one: Json, other: Json, name: str = "") -> bool:
    """Compare as JSON: ``1`` and ``true`` are two values, and so are 1.0 and 1.

    But for one thing: an integer in a field of floats is the float that it equals.
    """
    if type(one) is float and type(other) is int:
        return one == other
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            same(inner, other[key], key) for key, inner in one.items()
        )
    if isinstance(one, list) and isinstance(other, list):
        if name in UNORDERED:
            one, other = sorted(one, key=repr), sorted(other, key=repr)
        return len(one) == len(other) and all(map(same, one, other))
    return repr(one) == repr(other)


def check(body: Json) -> str:
    """Decode what a row holds; nothing may be lost or turned into something else."""
    text = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    try:
        state = CODEC.decode(text, address=ADDRESS, version=1)
    except UndecodableState:
        return "refused"
    assert same(json.loads(CODEC.encode(state)), body)
    return "kept"


def changed(path: Path, value: Json) -> Json:
    """Put a value in one place of a good row."""
    if not path:
        return value
    body = copy.deepcopy(GOOD)
    last = path[-1]
    match at(body, path[:-1]):
        case dict() as fields:
            fields[str(last)] = value
        case list() as items:
            items[int(last)] = value
        case _:
            raise AssertionError(path)
    return body


def at(value: Json, path: Path) -> Json:
    """Return what stands in a place."""
    for step in path:
        if isinstance(value, dict):
            value = value[str(step)]
        elif isinstance(value, list):
            value = value[int(step)]
    return value


def test_a_good_row_is_kept() -> None:
    """Scoreboard 13: what the next tests change is right as it is."""
    assert check(GOOD) == "kept"


@settings(max_examples=500)
@given(st.sampled_from(list(places(GOOD))), VALUES)
@example(("number",), True)
@example(("unique",), ["x", "x"])
@example(("several",), [1, True])
@example(("price",), "1_0")
@example(("ident",), "0" * 31 + "1")
@example(("lines", 0), {"amount": 1})
def test_another_value_in_one_place_is_refused_or_kept(path: Path, value: Json) -> None:
    """Scoreboard 13: 0 silent drops, 0 coercions, whatever the type of the value."""
    event(check(changed(path, value)))


@settings(max_examples=100)
@given(st.sampled_from([(), ("lines", 0), ("lines", 1)]), st.text(max_size=5), VALUES)
def test_a_field_too_many_is_refused(path: Path, name: str, value: Json) -> None:
    """Scoreboard 13: it would be erased by the next save."""
    body = copy.deepcopy(GOOD)
    fields = at(body, path)
    assert isinstance(fields, dict)
    assume(name not in fields)
    fields[name] = value

    assert check(body) == "refused"


def test_a_field_that_is_missing_is_refused() -> None:
    """Scoreboard 13: none has a default here, so nothing may stand in for it."""
    for name in GOOD:
        body = {key: value for key, value in GOOD.items() if key != name}

        assert check(body) == "refused"
