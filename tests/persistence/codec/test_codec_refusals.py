from __future__ import annotations

import json
import math
import random
import sys
from collections import OrderedDict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Literal
from uuid import UUID

import attrs
import pytest

from persistence import (
    Address,
    Codec,
    RecordError,
    UndecodableState,
    UnstorableState,
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
    LoudLine,
    Point,
    Shouting,
    Zone,
    decode,
    holding,
    one,
)

UNSTORABLE: list[tuple[object, object, str]] = [
    (str, 5, "int"),
    (str, None, "NoneType"),
    (str, Shouting("a"), "Shouting"),
    (str, "\ud800", "str"),
    (str, "é\udfff", "str"),
    (int, True, "bool"),
    (int, 5.0, "float"),
    (int, "5", "str"),
    (int, Level.LOW, "Level"),
    (int, 10**4_300, "int"),
    (int, -(10**4_300), "int"),
    (bool, 1, "int"),
    (float, math.nan, "float"),
    (float, math.inf, "float"),
    (float, 2**53 + 1, "int"),
    (float, 10**400, "int"),
    (float, True, "bool"),
    (None, 0, "int"),
    (bytes, bytearray(b"a"), "bytearray"),
    (date, datetime(2026, 1, 1, tzinfo=UTC), "datetime"),
    (datetime, date(2026, 1, 1), "date"),
    (datetime, datetime(2026, 1, 1, tzinfo=Zone()), "datetime"),
    (timedelta, 5, "int"),
    (Decimal, Decimal("NaN"), "Decimal"),
    (Decimal, Decimal("Infinity"), "Decimal"),
    (Decimal, 1.5, "float"),
    (Colour, "red", "str"),
    (Colour, Level.LOW, "Level"),
    (Literal[1], True, "bool"),
    (Literal["a"], "b", "str"),
    (Address, Address("Acme", "desks", "k"), "Address"),
    (Address, Address("acme", "desks", ()), "Address"),
    (list[int], (1,), "tuple"),
    (list[int], [1, "2"], "str"),
    (set[int], frozenset([1]), "frozenset"),
    (tuple[int, ...], [1], "list"),
    (tuple[int, int], (1,), "tuple"),
    (tuple[int, int], [1, 2], "list"),
    (dict[str, int], OrderedDict(a=1), "OrderedDict"),
    (dict[str, int], {1: 1}, "int"),
    (dict[str, int], {"\ud800": 1}, "str"),
    (dict[str, int], {"a": None}, "NoneType"),
    (int | None, "5", "str"),
    (int | str, True, "bool"),
    (Line, LoudLine("a"), "LoudLine"),
    (Line, {"text": "a"}, "dict"),
    (Line, Line(5), "int"),  # type: ignore[arg-type]  # on purpose
]


@pytest.mark.parametrize(
    ("declared", "value", "found"), UNSTORABLE, ids=range(len(UNSTORABLE))
)
def test_a_value_off_its_declared_type_is_refused(
    declared: object, value: object, found: str
) -> None:
    """A9: what would not read back as declared is refused when it is saved."""
    cls = one(declared)
    codec = build_codec(cls)

    with pytest.raises(UnstorableState, match=rf"found {found}\b") as caught:
        codec.encode(holding(cls, value=value))

    assert "field 'value" in caught.value.reason
    assert caught.value.__context__ is None


def test_a_refusal_names_the_field_inside_of_fields() -> None:
    """A9: the path leads to the place."""
    desk = Desk(title="a", basket=Basket([Line("b", 3)]))  # type: ignore[arg-type]  # on purpose

    with pytest.raises(UnstorableState) as caught:
        build_codec(Desk).encode(desk)

    assert caught.value.reason == (
        "field 'basket.lines[].amount' expects Decimal or NoneType, found int"
    )


def test_a_lost_attribute_is_refused() -> None:
    """A9: a deleted field would come back as its default, so it is not saved."""
    desk = Desk(title="a")
    del desk.visits

    with pytest.raises(UnstorableState, match="visits"):
        build_codec(Desk).encode(desk)


def test_an_object_of_another_class_is_refused() -> None:
    """A9: a codec belongs to one class."""
    codec: Codec[object] = build_codec(one(int))

    with pytest.raises(UnstorableState, match="the state expects One, found Point"):
        codec.encode(Point(1))


def test_a_lower_limit_of_digits_is_refused_when_saving() -> None:
    """A9: a process that limits Python's integers learns it at the save."""
    cls = one(int)
    codec = build_codec(cls)
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)

    try:
        with pytest.raises(UnstorableState, match="digits"):
            codec.encode(holding(cls, value=10**700))
    finally:
        sys.set_int_max_str_digits(before)


UNFITTING: list[tuple[object, str]] = [
    (int, '"5"'),
    (int, "5.9"),
    (int, "5.0"),
    (int, "true"),
    (int, "null"),
    (int, '"' + SECRET + '"'),
    (str, "null"),
    (str, '["a"]'),
    (str, "5"),
    (bool, '"false"'),
    (bool, "0"),
    (None, '""'),
    (float, '"5.0"'),
    (float, "true"),
    (float, "9007199254740993"),
    (float, "1" + "0" * 400),
    (bytes, '"QUI"'),
    (bytes, '"QUJ="'),
    (bytes, '"é"'),
    (UUID, '"{12345678-1234-5678-1234-567812345678}"'),
    (UUID, '"12345678-1234-5678-1234-56781234567G"'),
    (Decimal, "1.5"),
    (Decimal, '"NaN"'),
    (Decimal, '"1_0"'),
    (Decimal, '"one"'),
    (date, '"20260101"'),
    (date, '"2026-01-01T00:00:00"'),
    (datetime, '"2026-01-01"'),
    (datetime, '"2026-01-01T00:00:00Z"'),
    (datetime, "1767225600"),
    (datetime, '"2026-01-01T00:00:00 fold=0"'),
    (timedelta, "1.5"),
    (timedelta, "1" + "0" * 30),
    (Colour, '"blue"'),
    (Colour, "2.0"),
    (Colour, "[]"),
    (Literal[1], "true"),
    (Literal[1], "1.0"),
    (Address, '"acme/desks"'),
    (Address, '"Acme/desks/\\"k\\""'),
    (Address, '"acme/desks/ \\"k\\""'),
    (Address, '"acme/desks/7"'),
    (list[int], '"123"'),
    (list[str], '"abc"'),
    (list[int], '{"0":1}'),
    (list[int], "[1,null]"),
    (set[int], "[1,1]"),
    (frozenset[str], '"abc"'),
    (tuple[int, ...], "1"),
    (tuple[int, int], "[1]"),
    (tuple[int, int], "[1,2,3]"),
    (tuple[int, int], '"12"'),
    (dict[str, int], '[["a",1]]'),
    (dict[str, int], '{"a":"1"}'),
    (int | None, '"5"'),
    (int | None, "5.0"),
    (Line, '["a"]'),
    (Line, "{}"),
    (Line, '{"text":"a","extra":1}'),
    (Line, '{"text":1}'),
    (Point, '{"x":1,"z":1}'),
]


@pytest.mark.parametrize(("declared", "raw"), UNFITTING, ids=range(len(UNFITTING)))
def test_a_value_off_its_declared_type_is_not_coerced(
    declared: object, raw: str
) -> None:
    """P2: a body that does not fit is an error with the field, never a guess."""
    codec = build_codec(one(declared))

    with pytest.raises(UndecodableState, match="field 'value") as caught:
        decode(codec, f'{{"value":{raw}}}'.encode())

    assert caught.value.address is ADDRESS
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None


def test_an_unknown_field_is_refused() -> None:
    """P2: dropped, it would be erased by the next save."""
    codec = build_codec(Desk)

    with pytest.raises(UndecodableState, match=r"1 unknown field\(s\) \('titel'\)"):
        decode(codec, b'{"title":"a","titel":"b"}')


def test_unknown_fields_inside_the_state_are_not_named() -> None:
    """B7: keys of an object that was a dict once are data, and stay out of the logs."""
    codec = build_codec(Desk)
    body = json.dumps({"title": "a", "basket": {SECRET: 1}}).encode()

    with pytest.raises(UndecodableState, match="'basket'") as caught:
        decode(codec, body)

    assert SECRET not in str(caught.value)


def test_a_missing_field_without_default_is_refused() -> None:
    """P2: half a state is no state."""
    codec = build_codec(Desk)

    with pytest.raises(UndecodableState, match="lacks title"):
        decode(codec, b'{"visits":1}')


def test_a_missing_field_with_default_takes_it() -> None:
    """A9: a newly declared field leaves older bodies readable."""
    codec = build_codec(Desk)

    back = decode(codec, b'{"title":"a","origin":{"x":1}}')

    assert back == Desk(title="a", origin=Point(1, 0, []))


def refuse(_agent: object, _attribute: object, value: str) -> None:
    if value:
        raise ValueError(value)


@attrs.define(slots=False, kw_only=True)
class Careful:
    card: str = attrs.field(default="", validator=refuse)


def test_what_the_constructor_refuses_is_an_undecodable_state() -> None:
    """P2: an exception of the class ends as a reason, without its text."""
    codec = build_codec(Careful)

    with pytest.raises(UndecodableState, match="ValueError") as caught:
        decode(codec, f'{{"card":"{SECRET}"}}'.encode())

    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"title"',
        b"{",
        b'{"title":"a"} {}',
        b"\xef\xbb\xbf{}",
        b"\xff",
        b'{"title":"\xff"}',
        b'{"title":"\\ud800"}',
        b'{"title":"a","ratio":NaN}',
        b'{"title":"a","ratio":1e999}',
        b'{"title":"a","visits":1' + b"0" * 5_000 + b"}",
        b"[" * 100_000,
        b'{"title":' * 100_000,
        b'{"title":' + b"[" * 900 + b"]" * 900 + b"}",
    ],
    ids=range(16),
)
def test_a_body_that_is_no_state_is_refused(body: bytes) -> None:
    """P2: broken text, bad UTF-8 and endless nesting are reasons, not crashes."""
    codec = build_codec(Desk)

    with pytest.raises(UndecodableState) as caught:
        decode(codec, body)

    assert caught.value.__context__ is None


def test_flipped_bytes_never_crash_the_reader() -> None:
    """P2: 10,000 damaged bodies are read or refused; nothing else happens."""
    codec = build_codec(Desk)
    lines = [Line("tea", Decimal("1.20")), Line("é")]
    desk = Desk(title="desk", basket=Basket(lines), origin=Point(1), visits=10**20)
    body = codec.encode(desk)
    source = random.Random(7)
    refused = 0

    for _ in range(10_000):
        damaged = bytearray(body)
        damaged[source.randrange(len(body))] ^= 1 << source.randrange(8)
        try:
            decode(codec, bytes(damaged))
        except RecordError:
            refused += 1

    assert 1_000 < refused < 10_000
