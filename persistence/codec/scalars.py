"""JSON forms of single values: numbers, texts, enums and literals.

A *form* converts values of one declared type to JSON and back. Both directions check
the exact type. A value that ``dump`` accepts comes back equal from ``load``, which
coerces nothing. The error of a mismatch names the field and the types, never the
value, because its text ends in logs.
"""

from __future__ import annotations

import base64
import enum
import math
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from types import MappingProxyType, NoneType
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeGuard, TypeVar
from uuid import UUID

import attrs

from ..errors import UnsupportedField
from ..identity import Address, check_key, check_name, check_partition, key_from_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = [
    "SCALARS",
    "Form",
    "Load",
    "Misfit",
    "Site",
    "enum_form",
    "is_dict",
    "is_list",
    "literal_form",
]

T = TypeVar("T")

T_co = TypeVar("T_co", covariant=True)

_TOO_LARGE = 10**4_300
_TOO_SMALL = -_TOO_LARGE
"""Bounds of an ``int``: the JSON parser reads at most 4,300 digits."""

_FOLD = " fold=1"
"""Marks the second of two equal local times; ISO 8601 has no mark for it."""

_CHOICE_KINDS = frozenset([str, int, bool, NoneType])
_MICROSECOND = timedelta(microseconds=1)


class Misfit(Exception):
    """A value that is not of its declared type; the text never holds the value."""


class Load(Protocol[T_co]):
    """Converts what JSON holds to a value; cattrs also passes the declared type."""

    def __call__(self, raw: object, declared: object = None, /) -> T_co: ...


@attrs.frozen(eq=False)
class Form(Generic[T_co]):
    """The conversion of values of one declared type to JSON and back.

    Attributes:
        classes: the classes of the values.
        kinds: the classes of what JSON holds for the values.
        immutable: whether no value of the type can change in place.
        dump: checks a value and returns what JSON holds for it.
        load: checks what JSON holds and returns the value.
    """

    classes: frozenset[type]
    kinds: frozenset[type]
    immutable: bool
    dump: Callable[[object], object]
    load: Load[T_co]


@attrs.frozen
class Site:
    """The place of a declared type in the state of an agent, for errors.

    Attributes:
        agent: name of the agent's class.
        path: fields from the state down, such as ``order.lines[].count``.
        inside: the classes and type aliases that enclose this place.
    """

    agent: str
    path: str = ""
    inside: tuple[object, ...] = ()

    def __str__(self) -> str:
        return f"field {self.path!r}" if self.path else "the state"

    def field(self, name: str) -> Site:
        """Return the place of a field of the class at this place."""
        return attrs.evolve(self, path=f"{self.path}.{name}" if self.path else name)

    def items(self) -> Site:
        """Return the place of the items of the container at this place."""
        return attrs.evolve(self, path=f"{self.path}[]")

    def enter(self, declared: object) -> Site:
        """Return this place with one more enclosing class or type alias.

        Raises:
            UnsupportedField: the class or alias contains itself. Without recursion, the
                declaration bounds the depth of a stored state.
        """
        if declared in self.inside:
            raise self.unsupported(
                f"{declared!r} contains itself; keep the parts in one dict by id"
            )
        return attrs.evolve(self, inside=(*self.inside, declared))

    def unsupported(self, reason: str) -> UnsupportedField:
        """Return the error for a declared type that has no form."""
        return UnsupportedField(self.agent, f"{self}: {reason}")

    def misfit(self, expected: str, value: object) -> Misfit:
        """Return the error for a value that is not of its declared type."""
        return Misfit(f"{self} expects {expected}, found {type(value).__name__}")


def is_list(raw: object) -> TypeGuard[list[object]]:
    """Return whether JSON holds an array."""
    return type(raw) is list


def is_dict(raw: object) -> TypeGuard[dict[str, object]]:
    """Return whether JSON holds an object."""
    return type(raw) is dict


def _exact(cls: type, at: Site) -> Form[object]:
    """Return the form of a type that JSON has as well."""

    def check(value: object, _declared: object = None, /) -> object:
        if type(value) is not cls:
            raise at.misfit(cls.__name__, value)
        return value

    return Form(frozenset([cls]), frozenset([cls]), True, check, check)


def _str(at: Site) -> Form[object]:
    """Return the form of ``str``; half a surrogate pair has no UTF-8."""

    def check(value: object, _declared: object = None, /) -> object:
        if type(value) is str and (value.isascii() or _has_utf8(value)):
            return value
        raise at.misfit("str without lone surrogates", value)

    return Form(frozenset([str]), frozenset([str]), True, check, check)


def _has_utf8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _integer(at: Site) -> Form[object]:
    def check(value: object, _declared: object = None, /) -> object:
        if type(value) is int and _TOO_SMALL < value < _TOO_LARGE:
            return value
        raise at.misfit("int of at most 4300 digits", value)

    return Form(frozenset([int]), frozenset([int]), True, check, check)


def _float(at: Site) -> Form[object]:
    """Return the form of finite floats; an equal ``int`` is converted to ``float``."""

    def check(value: object, _declared: object = None, /) -> object:
        if type(value) is float and math.isfinite(value):
            return value
        if type(value) is int and (exact := _float_equal_to(value)) is not None:
            return exact
        raise at.misfit("finite float", value)

    return Form(frozenset([float]), frozenset([float]), True, check, check)


def _float_equal_to(value: int) -> float | None:
    try:
        near = float(value)
    except OverflowError:
        return None
    return near if near == value else None


def _timedelta(at: Site) -> Form[object]:
    """Return the form of ``timedelta``: microseconds, its full precision."""

    def dump(value: object) -> object:
        if type(value) is not timedelta:
            raise at.misfit("timedelta", value)
        return value // _MICROSECOND

    def load(raw: object, _declared: object = None, /) -> object:
        if type(raw) is int:
            try:
                return timedelta(microseconds=raw)
            except OverflowError:
                pass
        raise at.misfit("timedelta in microseconds", raw)

    return Form(frozenset([timedelta]), frozenset([int]), True, dump, load)


def _text(
    cls: type[T], show: Callable[[T], str], parse: Callable[[str], T], at: Site
) -> Form[object]:
    """Return the form of a type that has one canonical text per value.

    Args:
        cls: the type.
        show: returns the text; raises ``ValueError`` for a value that would not come
            back equal.
        parse: returns the value of a text, or raises. It may be lenient: a text that
            ``show`` would not write is refused by ``load``.
        at: the place.
    """
    expected = _EXPECTED.get(cls, cls.__name__)

    def dump(value: object) -> object:
        if type(value) is cls:
            try:
                return show(value)
            except ValueError:
                pass
        raise at.misfit(expected, value)

    def load(raw: object, _declared: object = None, /) -> object:
        if type(raw) is str:
            try:
                value = parse(raw)
                if show(value) == raw:
                    return value
            except (ValueError, ArithmeticError):
                pass
        raise at.misfit(f"the canonical text of a {expected}", raw)

    return Form(frozenset([cls]), frozenset([str]), True, dump, load)


_EXPECTED: Final[Mapping[type, str]] = MappingProxyType(
    {
        Decimal: "finite Decimal",
        datetime: "datetime that is naive or at a datetime.timezone",
    }
)


def _show_datetime(value: datetime) -> str:
    # A named zone would come back as a fixed offset, without daylight saving time.
    if value.tzinfo is not None and type(value.tzinfo) is not timezone:
        raise ValueError
    return value.isoformat() + _FOLD * value.fold


def _parse_datetime(text: str) -> datetime:
    fold = int(text.endswith(_FOLD))
    return datetime.fromisoformat(text.removesuffix(_FOLD)).replace(fold=fold)


def _show_decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError
    return str(value).upper()  # the caller's decimal context may write a small "e"


def _show_bytes(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _parse_bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _show_address(value: Address) -> str:
    check_partition(value.partition)
    check_name(value.manager, "manager")
    check_key(value.key)
    return str(value)


def _parse_address(text: str) -> Address:
    # The separator cannot occur in a partition or in a name, only in the key.
    partition, manager, key = text.split("/", 2)
    return Address(
        check_partition(partition), check_name(manager, "manager"), key_from_text(key)
    )


SCALARS: Final[Mapping[object, Callable[[Site], Form[object]]]] = MappingProxyType(
    {
        NoneType: partial(_exact, NoneType),
        bool: partial(_exact, bool),
        str: _str,
        int: _integer,
        float: _float,
        timedelta: _timedelta,
        Address: partial(_text, Address, _show_address, _parse_address),
        Decimal: partial(_text, Decimal, _show_decimal, Decimal),
        UUID: partial(_text, UUID, str, UUID),
        bytes: partial(_text, bytes, _show_bytes, _parse_bytes),
        date: partial(_text, date, date.isoformat, date.fromisoformat),
        datetime: partial(_text, datetime, _show_datetime, _parse_datetime),
    }
)
"""Functions that make the form of a single value, by declared type."""


def enum_form(cls: type[enum.Enum], at: Site) -> Form[object]:
    """Return the form of an enum: the value of the member.

    Raises:
        UnsupportedField: a flag, or a member whose value JSON cannot hold.
    """
    if issubclass(cls, enum.Flag):
        raise at.unsupported(f"{cls.__name__} is a flag; use a frozenset of an enum")
    return _choice([(member.value, member) for member in cls], cls.__name__, at)


def literal_form(values: Iterable[object], at: Site) -> Form[object]:
    """Return the form of a ``Literal``: its values as they are.

    Raises:
        UnsupportedField: a value that JSON cannot hold.
    """
    return _choice([(value, value) for value in values], "one of its literals", at)


def _choice(
    pairs: Sequence[tuple[object, object]], expected: str, at: Site
) -> Form[object]:
    """Return the form of a closed set of values, from pairs of raw and value."""
    kinds = frozenset(type(raw) for raw, _ in pairs)
    if not kinds <= _CHOICE_KINDS:
        raise at.unsupported(f"{expected} is neither str nor int, bool or None")
    # The class is part of the key: without it, 1, True and 1.0 are one key.
    values = {(type(raw), raw): value for raw, value in pairs}
    raws = {(type(value), value): raw for raw, value in pairs}
    classes = frozenset(type(value) for _, value in pairs)

    def dump(value: object) -> object:
        if type(value) in classes and (type(value), value) in raws:
            return raws[type(value), value]
        raise at.misfit(expected, value)

    def load(raw: object, _declared: object = None, /) -> object:
        if type(raw) in kinds and (type(raw), raw) in values:
            return values[type(raw), raw]
        raise at.misfit(expected, raw)

    return Form(classes, kinds, True, dump, load)
