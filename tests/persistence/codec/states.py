"""Classes of states, and helpers, that the tests of the codec share."""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import ClassVar, NewType, TypeGuard, TypeVar

import attrs

from persistence import (
    Address,
    Codec,
)

ADDRESS = Address("acme", "workers", ("desk", "7"))
SECRET = "4929-1234-5678"  # noqa: S105  a payload to look for in texts
T = TypeVar("T")
Name = NewType("Name", str)


class Colour(enum.Enum):
    RED = "red"
    TWO = 2


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 9


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Odd(enum.Enum):
    PAIR = (1, 2)


@attrs.frozen
class Line:
    text: str
    amount: Decimal | None = None


@attrs.define
class Basket:
    lines: list[Line] = attrs.field(factory=list[Line])
    _owner: str = attrs.field(default="nobody", alias="owner")


@dataclass
class Point:
    x: int
    y: int = 0
    tags: list[str] = field(default_factory=list[str])


@attrs.define(slots=False, kw_only=True)
class Desk:
    kinds: ClassVar[int] = 3
    title: str
    visits: int = 0
    ratio: float = 0.5
    basket: Basket = attrs.field(factory=Basket)
    origin: Point | None = None
    by_name: dict[str, Line] = attrs.field(factory=dict[str, Line])


class Shouting(str):
    __slots__ = ()


class LoudLine(Line):
    pass


class Zone(tzinfo):
    def utcoffset(self, _when: datetime | None) -> timedelta:
        return timedelta(hours=1)

    def dst(self, _when: datetime | None) -> None:
        return None

    def tzname(self, _when: datetime | None) -> str:
        return "Somewhere"


def one(declared: object) -> type[object]:
    """Make an agent-like class with one field."""
    cls = type("One", (), {"__annotations__": {"value": declared}})
    return attrs.define(cls, slots=False, kw_only=True)


def holding(cls: type[T], **values: object) -> T:
    """Make an object whose fields hold anything, past its constructor."""
    made = object.__new__(cls)
    vars(made).update(values)
    return made


def decode(codec: Codec[T], body: bytes) -> T:
    return codec.decode(body, address=ADDRESS, version=codec.version)


def body_of(raw: str) -> bytes:
    return f'{{"value":{raw}}}'.encode()


def traits(value: object) -> object:
    """Return what is equal for equal values only, down to the types of their parts."""
    if _is_dict(value):
        return [(key, traits(inner)) for key, inner in value.items()]
    if _is_many(value):
        parts = [traits(inner) for inner in value]
        return type(value), sorted(parts, key=repr) if _is_set(value) else parts
    return repr(value)


def _is_dict(value: object) -> TypeGuard[dict[object, object]]:
    return type(value) is dict


def _is_many(value: object) -> TypeGuard[Collection[object]]:
    return isinstance(value, list | tuple) or _is_set(value)


def _is_set(value: object) -> bool:
    return isinstance(value, set | frozenset)


@attrs.define
class Mutable:
    a: int = 0
