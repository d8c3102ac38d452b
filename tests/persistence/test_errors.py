from __future__ import annotations

import re

import pytest

from persistence import (
    Address,
    CorruptRecord,
    InvalidKey,
    InvalidName,
    InvalidPartition,
    NewerRecord,
    PodsError,
    RecordError,
    SchemaMismatch,
    StaleOwner,
    StaleRevision,
    StateTooLarge,
    StoreClosed,
    StoreError,
    StoreUnavailable,
    UndecodableState,
    UnstorableState,
    UnsupportedField,
    UnsupportedStore,
    shorten,
)

__all__: list[str] = []

ADDRESS = Address("acme", "workers", ("a", "b"))
ERRORS: list[tuple[PodsError, type[Exception], list[str]]] = [
    (PodsError(), Exception, []),
    (InvalidPartition("Acme", "it is odd"), ValueError, ["'Acme'", "it is odd"]),
    (InvalidKey(("a", 1), "it is odd"), ValueError, ["('a', 1)", "it is odd"]),
    (InvalidName("node", "A"), ValueError, ["node", "'A'"]),
    (StoreError(), RuntimeError, []),
    (StoreUnavailable("save", "disk full"), StoreError, ["save", "disk full"]),
    (StaleRevision(ADDRESS, 3), StoreError, [str(ADDRESS), "revision 3"]),
    (StaleOwner("acme", 4), StoreError, ["'acme'", "epoch 4"]),
    (StoreClosed(), StoreError, ["not open"]),
    (UnsupportedStore("x:y", "it is odd"), ValueError, ["'x:y'", "it is odd"]),
    (
        SchemaMismatch("version 1", "version 2", "Run x."),
        StoreError,
        ["version 1", "version 2", "Run x."],
    ),
    (StateTooLarge(ADDRESS, 11, 10), StoreError, [str(ADDRESS), "11", "10"]),
    (RecordError(ADDRESS, "it is odd"), ValueError, [str(ADDRESS), "it is odd"]),
    (CorruptRecord(ADDRESS, "it is odd"), RecordError, [str(ADDRESS), "it is odd"]),
    (NewerRecord(ADDRESS, "it is odd"), RecordError, [str(ADDRESS), "it is odd"]),
    (UndecodableState(ADDRESS, "it is odd"), RecordError, [str(ADDRESS), "it is odd"]),
    (UnstorableState("Reviewer", "it is odd"), TypeError, ["Reviewer", "it is odd"]),
    (UnsupportedField("Reviewer", "it is odd"), TypeError, ["Reviewer", "it is odd"]),
]


@pytest.mark.parametrize(
    ("error", "base", "facts"),
    ERRORS,
    ids=[type(error).__name__ for error, _, _ in ERRORS],
)
def test_an_error_says_what_and_where(
    error: PodsError, base: type[Exception], facts: list[str]
) -> None:
    """P7: code, facts, and the builtin that a caller would catch."""
    shown = str(error)

    assert shown.startswith(f"[{error.code}] ")
    assert not [fact for fact in facts if fact not in shown]
    assert isinstance(error, base)
    assert isinstance(error, PodsError)


def test_every_error_has_a_code_of_its_own() -> None:
    """P7: a code can be matched on."""
    codes = [error.code for error, _, _ in ERRORS]

    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"PV-E\d{3}", code) for code in codes)


@pytest.mark.parametrize("value", ["x" * 10_000, list(range(10_000)), "short", None])
def test_a_shown_value_does_not_flood_the_log(value: object) -> None:
    """P7: long values are cut, short ones are whole."""
    shown = shorten(value)

    assert len(shown) <= 60
    assert shown.endswith("…") == (len(repr(value)) > 60)
