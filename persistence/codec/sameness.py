"""Whether two values would be stored as the same bytes, found out without encoding.

``==`` is no measure of that. ``Decimal("1.0")`` equals ``Decimal("1.000")``, ``True``
equals ``1``, ``0.0`` equals ``-0.0``, one moment is equal in every time zone, and a
class leaves out of its comparison what it likes. So values are compared by exact type,
and leaf by leaf. A type that is not known here counts as changed: that costs an
encoding, and nothing is lost.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from operator import eq
from types import NoneType
from typing import TypeGuard
from uuid import UUID

import attrs

from ..identity import Address

__all__ = ["is_same"]

Compare = Callable[[object, object], bool]


def is_same(one: object, other: object) -> bool:
    """Return whether two values are the same to the codec, leaf by leaf.

    Args:
        one: a value of a declared field that cannot be changed in place.
        other: another; the types need not match.

    Returns:
        ``True`` only if both have one stored form.
    """
    if one is other:
        return True
    kind = type(one)
    if kind is not type(other):
        return False
    compare = _COMPARE.get(kind)
    if compare is not None:
        return compare(one, other)
    if isinstance(one, enum.Enum):
        return False  # a member is one object
    if attrs.has(kind):
        return all(
            is_same(getattr(one, field.name), getattr(other, field.name))
            for field in attrs.fields(kind)
        )
    return False


def _texts_match(one: object, other: object) -> bool:
    return repr(one) == repr(other)


def _is_tuple(value: object) -> TypeGuard[tuple[object, ...]]:
    return isinstance(value, tuple)


def _is_set(value: object) -> TypeGuard[frozenset[object]]:
    return isinstance(value, frozenset)


def _tuples_match(one: object, other: object) -> bool:
    if not (_is_tuple(one) and _is_tuple(other)):
        return False
    return len(one) == len(other) and all(map(is_same, one, other))


def _sets_match(one: object, other: object) -> bool:
    if not (_is_set(one) and _is_set(other)) or len(one) != len(other):
        return False
    held = {item: item for item in one}
    return all(item in held and is_same(held[item], item) for item in other)


_COMPARE: dict[type[object], Compare] = {
    NoneType: eq,
    bool: eq,
    int: eq,
    str: eq,
    bytes: eq,
    timedelta: eq,
    UUID: eq,
    Address: eq,
    # The repr of each of these tells apart what == does not: the sign of zero, the
    # digits after the point, the time zone and the fold.
    float: _texts_match,
    Decimal: _texts_match,
    date: _texts_match,
    time: _texts_match,
    datetime: _texts_match,
    tuple: _tuples_match,
    frozenset: _sets_match,
}
