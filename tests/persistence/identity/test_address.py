from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence import (
    MAX_KEY_CHARS,
    Address,
    Delete,
    InvalidKey,
    InvalidName,
    InvalidPartition,
    Key,
    Record,
    RecordKind,
    Save,
    Unit,
    check_key,
    check_name,
    check_partition,
    key_from_text,
    key_to_text,
)

__all__: list[str] = []

TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    min_size=1,
    max_size=20,
).map(lambda text: unicodedata.normalize("NFC", text))
KEYS: st.SearchStrategy[Key] = st.recursive(
    TEXTS,
    lambda inner: st.lists(inner, min_size=1, max_size=3).map(tuple),
    max_leaves=5,
)
PARTITIONS = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,62}", fullmatch=True).filter(
    lambda name: ".." not in name
)


@given(KEYS)
def test_a_key_comes_back_from_its_text(key: Key) -> None:
    """A4: the canonical form loses nothing."""
    assert key_from_text(key_to_text(check_key(key))) == key


@given(KEYS, KEYS)
def test_two_keys_have_two_texts(one: Key, other: Key) -> None:
    """A4: no key spells another one's text."""
    assert (key_to_text(one) == key_to_text(other)) == (one == other)


@given(st.text(max_size=30))
def test_a_text_is_the_form_of_one_key_or_of_none(text: str) -> None:
    """P2: what is read from a column is canonical, or refused."""
    try:
        key = key_from_text(text)
    except InvalidKey:
        return

    assert key_to_text(key) == text


@given(PARTITIONS)
def test_a_partition_of_the_set_is_accepted(name: str) -> None:
    """A4: unchanged, so that it is its own identity."""
    assert check_partition(name) == name


@pytest.mark.parametrize(
    "value",
    [
        "",
        ".",
        "..",
        "a..b",
        "../acme",
        "a/b",
        "a\\b",
        "-acme",
        "_acme",
        ".acme",
        "Acme",
        "ACME",
        "acme ",
        " acme",
        "acme\n",
        "acme\0",
        "ac me",
        "ácme",
        "\u0430cme",  # Cyrillic
        "acme\u200b",
        "%",
        "*",
        "acme'--",
        "a" * 64,
        None,
        1,
        True,
        1.0,
        b"acme",
        ("acme",),
    ],
)
def test_a_partition_outside_the_set_is_refused(value: object) -> None:
    """A4: case, Unicode, path and length tricks; also a str in disguise."""
    with pytest.raises(InvalidPartition) as caught:
        check_partition(value)

    assert "refused" in str(caught.value)


class Disguised(str):
    __slots__ = ()


@pytest.mark.parametrize(
    "value",
    [
        "",
        (),
        ("a", ""),
        ("a", ()),
        1,
        True,
        1.0,
        None,
        b"k",
        ["k"],
        ("t", 1),
        ("t", True),
        ("t", 1.0),
        "a\0b",
        "é\0",
        "\ud800",
        ("\udfff",),
        "e\u0301",
        ("e\u0301",),
        "k" * (MAX_KEY_CHARS + 1),
        ("k" * 1500, "l" * 1500),
        "\n" * 1500,
        pytest.param(Disguised("k"), id="subclass"),
        (Disguised("k"),),
    ],
)
def test_a_key_with_a_twin_or_without_a_form_is_refused(value: object) -> None:
    """A4: numbers, bytes, subclasses, NUL, surrogates, other normal forms."""
    with pytest.raises(InvalidKey) as caught:
        check_key(value)

    assert len(str(caught.value)) < 400


def test_a_key_that_is_nested_too_deep_is_refused() -> None:
    """A4: before Python's own recursion limit is met."""
    key: object = "k"
    for _ in range(500):
        key = (key,)

    with pytest.raises(InvalidKey, match="nested deeper"):
        check_key(key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "k",
        '"k" ',
        ' "k"',
        '["a", "b"]',
        "[]",
        '""',
        "1",
        "null",
        '{"a":"b"}',
        '["a",1]',
        '"\\u0065"',
        '"\\ud800"',
        '"e\u0301"',
        "[" * 5000,
        "[" * 5000 + '"k"' + "]" * 5000,
    ],
)
def test_a_text_that_is_no_canonical_form_is_refused(text: str) -> None:
    """P2: a damaged key column is found out."""
    with pytest.raises(InvalidKey):
        key_from_text(text)


@pytest.mark.parametrize(
    "value", ["", "WorkerPool", "1a", "a-b", "a.b", "ä", "a" * 64, 1]
)
def test_a_name_outside_the_set_is_refused(value: object) -> None:
    """G7: manager and node names are lower-case identifiers."""
    with pytest.raises(InvalidName) as caught:
        check_name(value, "manager")

    assert "manager name" in str(caught.value)


def test_a_name_of_the_set_is_accepted() -> None:
    """G7: unchanged."""
    assert check_name("editorial_pods", "manager") == "editorial_pods"


def test_an_address_shows_its_three_parts() -> None:
    """P7: an address in an error can be found in the database."""
    shown = str(Address("acme", "workers", ("a", "ü")))

    assert shown == 'acme/workers/["a","ü"]'


def test_a_unit_stays_in_its_partition() -> None:
    """G11: an operation, or a parent, of another partition is found before a write."""
    mine = Address("acme", "workers", "k")
    foreign = Address("globex", "workers", "k")
    adopted = Record(mine, RecordKind.STATE, 1, 1, b"{}", parent=foreign)

    for operation in (Delete(foreign), Save(adopted)):
        with pytest.raises(ValueError, match="not in partition 'acme'"):
            Unit("acme", 1, (Delete(mine), operation))
