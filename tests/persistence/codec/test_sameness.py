from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from uuid import UUID

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence import build_codec, is_same

MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


@attrs.frozen
class Order:
    number: str
    note: str = attrs.field(default="", eq=False)


@attrs.frozen
class Other:
    number: str
    note: str = ""


@attrs.frozen(eq=False)
class Angry:
    number: int

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]


@attrs.frozen
class Held:
    flag: bool
    number: int
    ratio: float
    price: Decimal
    text: str | None
    several: tuple[float, ...]
    many: frozenset[str]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (1, 1.0),
        (Level.LOW, 1),
        (0.0, -0.0),
        (Decimal("1.0"), Decimal("1.000")),
        (Decimal(0), Decimal("-0")),
        (MOMENT, MOMENT.astimezone(timezone(timedelta(hours=1)))),
        (MOMENT.replace(tzinfo=None), MOMENT.replace(tzinfo=None, fold=1)),
        (Order("o-1"), Order("o-1", "urgent")),
        (Order("o-1"), Other("o-1")),
        ((1, 2), (1, 2.0)),
        ((1,), (1, 1)),
        (frozenset({1}), frozenset({True})),
        (frozenset({Order("o-1")}), frozenset({Order("o-1", "urgent")})),
        (Angry(1), Angry(2)),
        ((Order("o-1"), (0.0,)), (Order("o-1"), (-0.0,))),
    ],
)
def test_values_of_another_stored_form_are_not_the_same(
    one: object, other: object
) -> None:
    """Holds 3: a change that compares equal is a change."""
    assert not is_same(one, other)
    assert not is_same(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1000 * 1000, 10**6),
        ("a" * 1000, "aa" * 500),
        (float("nan"), float("nan")),
        (Decimal("1.50"), Decimal("1.50")),
        (MOMENT, MOMENT.replace()),
        (UUID(int=1), UUID(int=1)),
        (Colour.RED, Colour("red")),
        (Order("o-1", "x"), Order("o-1", "x")),
        ((1, ("a", None)), (1, ("a", None))),
        (frozenset("ab"), frozenset("ba")),
        (Angry(1), Angry(1)),
    ],
)
def test_values_of_one_stored_form_are_the_same(one: object, other: object) -> None:
    assert is_same(one, other)


def test_a_type_that_is_not_known_counts_as_changed() -> None:
    assert not is_same(object(), object())


FLOATS = st.sampled_from([0.0, -0.0, 1.0])
HELD = st.builds(
    Held,
    st.booleans(),
    st.integers(0, 1),
    FLOATS,
    st.sampled_from([Decimal(1), Decimal("1.0"), Decimal("-0")]),
    st.sampled_from(["", "1", None]),
    st.lists(FLOATS, max_size=2).map(tuple),
    st.frozensets(st.sampled_from("ab")),
)


@given(HELD, HELD, st.sampled_from(list(attrs.fields_dict(Held))))
def test_what_is_the_same_has_the_same_bytes(
    one: Held, other: Held, field: str
) -> None:
    """Holds 3: whatever is called unchanged would be stored as it is stored already."""
    codec = build_codec(Held)
    other = attrs.evolve(one, **{field: getattr(other, field)})

    assert is_same(one, other) == (codec.encode(one) == codec.encode(other))
