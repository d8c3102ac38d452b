from __future__ import annotations

import itertools
import typing
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, localcontext
from types import GenericAlias
from typing import Annotated, Literal
from uuid import UUID

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import TypeAliasType

from persistence import (
    Address,
    NewerRecord,
    UndecodableState,
    build_codec,
)

from .states import (
    ADDRESS,
    SECRET,
    Basket,
    Colour,
    Desk,
    Level,
    Line,
    Name,
    Point,
    decode,
    holding,
    one,
    traits,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
OFFSETS = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)
KEYS = st.recursive(
    st.text("abcé/\"'", min_size=1, max_size=4),
    lambda keys: st.lists(keys, min_size=1, max_size=3).map(tuple),
    max_leaves=4,
)
SCALARS: list[tuple[object, st.SearchStrategy[object]]] = [
    (None, st.none()),
    (bool, st.booleans()),
    (int, st.integers() | st.integers(-(10**400), 10**400)),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (str, TEXT),
    (Name, TEXT),
    (Annotated[str, "a note"], TEXT),
    (bytes, st.binary(max_size=8)),
    (UUID, st.uuids()),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (date, st.dates()),
    (datetime, st.datetimes() | st.datetimes(timezones=OFFSETS | st.just(UTC))),
    (timedelta, st.timedeltas()),
    (Colour, st.sampled_from(Colour)),
    (Level, st.sampled_from(Level)),
    (Literal["a", 1, True] | None, st.sampled_from(["a", 1, True, None])),
    (Address, st.builds(Address, st.just("a-1"), st.just("desks"), KEYS)),
    (Line, st.builds(Line, TEXT, st.none() | st.just(Decimal("1.50")))),
]
Ids = TypeAliasType("Ids", list[int])
ALTERNATIVES: list[tuple[object, st.SearchStrategy[object]]] = [
    (Ids, st.lists(st.integers(), max_size=3)),
    (str | None, st.none() | TEXT),
    (int | float, st.integers() | st.floats(allow_nan=False, allow_infinity=False)),
    (bool | int | str | list[int] | Line | None, st.sampled_from([True, 1, "", [1]])),
    (float | Level, st.sampled_from([Level.LOW, 1.0])),
]
Drawn = tuple[object, st.SearchStrategy[object]]


def containers_of(inner: st.SearchStrategy[Drawn]) -> st.SearchStrategy[Drawn]:
    def some(drawn: Drawn) -> list[Drawn]:
        declared, values = drawn
        return [
            (GenericAlias(list, declared), st.lists(values, max_size=3)),
            (
                GenericAlias(tuple, (declared, ...)),
                st.lists(values, max_size=3).map(tuple),
            ),
            (GenericAlias(tuple, (declared, int)), st.tuples(values, st.integers())),
            (
                GenericAlias(dict, (str, declared)),
                st.dictionaries(TEXT, values, max_size=3),
            ),
        ]

    return inner.flatmap(lambda drawn: st.sampled_from(some(drawn)))


def sets_of(drawn: Drawn) -> list[Drawn]:
    declared, values = drawn
    return [
        (GenericAlias(set, declared), st.sets(values, max_size=3)),
        (GenericAlias(frozenset, declared), st.frozensets(values, max_size=3)),
    ]


SETS = st.sampled_from(SCALARS).flatmap(lambda drawn: st.sampled_from(sets_of(drawn)))
DECLARED = st.recursive(
    st.sampled_from(SCALARS + ALTERNATIVES) | SETS, containers_of, max_leaves=3
)


def check_round_trip(declared: object, value: object) -> None:
    cls = one(declared)
    codec = build_codec(cls)

    body = codec.encode(holding(cls, value=value))
    back = decode(codec, body)

    assert traits(vars(back)["value"]) == traits(value)
    assert codec.encode(back) == body


@pytest.mark.parametrize(("declared", "values"), SCALARS + ALTERNATIVES, ids=str)
@settings(max_examples=30)
@given(data=st.data())
def test_single_values_come_back_equal(
    data: st.DataObject, declared: object, values: st.SearchStrategy[object]
) -> None:
    """A9: a stored value is the value, down to its type."""
    value = data.draw(values)

    check_round_trip(declared, value)


@given(st.data(), DECLARED)
def test_nested_values_come_back_equal(data: st.DataObject, drawn: Drawn) -> None:
    """A9: a stored state is the state, down to the types of its parts."""
    declared, values = drawn
    value = data.draw(values)

    check_round_trip(declared, value)


def test_a_body_holds_the_declared_fields_in_their_order() -> None:
    """A9: nothing but the declared fields, under their declared names."""
    desk = Desk(title="é", basket=Basket([Line("tea", Decimal("1.20"))], owner="ann"))
    vars(desk)["cache"] = "not a field"

    body = build_codec(Desk).encode(desk)

    assert body.decode() == (
        '{"title":"é","visits":0,"ratio":0.5,"basket":{"lines":[{"text":"tea",'
        '"amount":"1.20"}],"_owner":"ann"},"origin":null,"by_name":{}}'
    )


def test_nested_classes_come_back_as_themselves() -> None:
    """A9: attrs classes and dataclasses nest."""
    codec = build_codec(Desk)
    desk = Desk(title="a", origin=Point(1), by_name={"x": Line("y")})

    back = decode(codec, codec.encode(desk))

    assert back == desk
    assert type(back.by_name["x"]) is Line


def test_sets_are_written_in_one_order() -> None:
    """P4: equal states have equal bytes, whatever the order of insertion."""
    cls = one(frozenset[str | int])
    codec = build_codec(cls)
    items = ["b", "a", 10, 9, "c"]

    bodies = {
        codec.encode(holding(cls, value=frozenset(order)))
        for order in itertools.permutations(items)
    }

    assert len(bodies) == 1


def test_an_int_in_a_float_field_is_stored_as_the_float_it_equals() -> None:
    """A9: a float field may hold 5, as Python's own rules allow."""
    cls = one(float)
    codec = build_codec(cls)

    body = codec.encode(holding(cls, value=5))

    assert body == b'{"value":5.0}'
    assert repr(vars(decode(codec, body))["value"]) == "5.0"


def test_a_decimal_is_written_alike_in_every_context() -> None:
    """P4: a caller's decimal context does not reach the bytes."""
    cls = one(Decimal)
    codec = build_codec(cls)
    state = holding(cls, value=Decimal("1E+9"))

    with localcontext(capitals=0):
        body = codec.encode(state)

    assert body == codec.encode(state)


@pytest.mark.parametrize("name", ["cl", "attrs", "converter", "self_", "o", "res"])
def test_a_field_may_have_any_name(name: str) -> None:
    """A9: no field name collides with the machinery."""
    plain: type[object] = type("Named", (), {"__annotations__": {name: int}})
    cls = attrs.define(plain, slots=False, kw_only=True)
    codec = build_codec(cls)
    state = holding(cls, **{name: 3})

    back = decode(codec, codec.encode(state))

    assert vars(back) == vars(state)


def rename(raw: dict[str, object]) -> dict[str, object]:
    raw["title"] = raw.pop("name")
    return raw


def count(raw: dict[str, object]) -> dict[str, object]:
    return {**raw, "visits": 7}


def lie(_raw: dict[str, object]) -> dict[str, object]:
    return typing.cast("dict[str, object]", [SECRET])


def fail(raw: dict[str, object]) -> dict[str, object]:
    raise LookupError(raw)


def test_an_old_body_is_lifted_version_by_version() -> None:
    """A9: state outlives the shape of the class that wrote it."""
    codec = build_codec(Desk, version=3, upcasts={1: rename, 2: count})

    first = codec.decode(b'{"name":"a"}', address=ADDRESS, version=1)
    second = codec.decode(b'{"title":"a"}', address=ADDRESS, version=2)

    assert first == second == Desk(title="a", visits=7)
    assert decode(codec, b'{"title":"a"}').visits == 0


def test_a_body_of_newer_code_is_refused() -> None:
    """P2: older code does not touch what it cannot know."""
    codec = build_codec(Desk, version=2)

    with pytest.raises(NewerRecord, match="version 3"):
        codec.decode(b'{"title":"a"}', address=ADDRESS, version=3)


@pytest.mark.parametrize(
    ("upcasts", "body", "reason"),
    [
        ({1: rename}, b'{"name":"a"}', "no upcast leads from version 2 to 3"),
        ({2: count}, b'{"name":"a"}', "no upcast leads from version 1 to 2"),
        ({1: fail, 2: count}, b'{"name":"a"}', "from version 1 raised LookupError"),
        ({1: rename, 2: count}, b"{}", "from version 1 raised KeyError"),
        ({1: rename, 2: count}, b"[]", "version 1 is list, not dict"),
        ({1: lie, 2: count}, b"{}", "version 2 is list, not dict"),
        ({1: rename, 2: lie}, b'{"name":"a"}', "the state expects Desk, found list"),
        ({1: count, 2: count}, b'{"name":"a"}', "1 unknown field"),
    ],
)
def test_a_body_that_cannot_be_lifted_is_refused(
    upcasts: Mapping[int, Callable[[dict[str, object]], dict[str, object]]],
    body: bytes,
    reason: str,
) -> None:
    """P2: a gap or a bug in the upcasts keeps the old bytes as they are."""
    codec = build_codec(Desk, version=3, upcasts=upcasts)

    with pytest.raises(UndecodableState, match=reason) as caught:
        codec.decode(body, address=ADDRESS, version=1)

    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_version_below_the_first_is_refused() -> None:
    """P2: a damaged version number is not read as the current one."""
    codec = build_codec(Desk)

    with pytest.raises(UndecodableState, match="no upcast leads from version 0"):
        codec.decode(b'{"title":"a"}', address=ADDRESS, version=0)


@pytest.mark.parametrize(
    ("version", "starts"), [(0, []), (1, [1]), (2, [0]), (2, [2]), (3, [1, 3])]
)
def test_upcasts_lead_up_to_the_current_version(
    version: int, starts: list[int]
) -> None:
    """A9: an upcast that could never run is a mistake, found at once."""
    upcasts = dict.fromkeys(starts, count)

    with pytest.raises(ValueError, match="upcasts"):
        build_codec(Desk, version=version, upcasts=upcasts)
