"""What agent and message classes may declare as fields, checked as they are declared.

A default stands in the class, and so before every instance of every partition: one that
can be changed in place would be shared by all tenants.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, TypeGuard

import attrs

from ..errors import HandlerError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["check_class", "check_fields", "decorated"]


def check_class(cls: type[object], base: type[object]) -> None:
    """Refuse what would not become the class that it looks like, before it is made one.

    Raises:
        HandlerError: a field that hides something of ``base``, a constructor that takes
            no fields, or a decorator that has made it an attrs class already.
    """
    where = cls.__qualname__
    if "__attrs_attrs__" in vars(cls):
        raise decorated(cls, base)
    annotated = inspect.get_annotations(cls)
    if "__init__" in vars(cls) and not annotated and not _has_fields(cls):
        reason = (
            "what it sets is not stored; declare fields, as name: type = ..., and set "
            "up in on_start what is not to be stored"
        )
        raise HandlerError(f"{where}.__init__", reason)
    for name, annotation in annotated.items():
        if hasattr(base, name) and name != "priority" and not _is_of_class(annotation):
            reason = (
                f"{base.__name__} has something else of that name; to set it, write it "
                "without an annotation, else rename the field"
            )
            raise HandlerError(f"{where}.{name}", reason)


def decorated(cls: type[object], base: type[object]) -> HandlerError:
    """Return the error about a class that a decorator has made anew."""
    reason = (
        f"leave its decorator out; every subclass of {base.__name__} is made an attrs "
        "class by itself"
    )
    return HandlerError(cls.__qualname__, reason)


def _has_fields(cls: type[object]) -> bool:
    return any(attrs.fields(base) for base in cls.__mro__[1:] if attrs.has(base))


def _is_of_class(annotation: object) -> bool:
    return "ClassVar" in str(annotation)


def check_fields(cls: type[object]) -> object:
    """Refuse fields of an attrs class that would be shared, or cannot be stored.

    Returns:
        The fields: another making of the class would have others.

    Raises:
        HandlerError: a default that can be changed in place, or a field without a type.
    """
    fields: tuple[attrs.Attribute[object], ...] = attrs.fields(cls)  # type: ignore[arg-type]  # an attrs class since a line ago
    for field in fields:
        where = f"{cls.__qualname__}.{field.name}"
        if field.type is None:
            reason = "it has no type; write it with an annotation, as name: type = ..."
            raise HandlerError(where, reason)
        if _can_change(field.default):
            kind = type(field.default).__name__
            reason = (
                f"its default is one {kind} that the instances of every partition "
                "would share; write attrs.field(factory=...)"
            )
            raise HandlerError(where, reason)
    return fields


def _can_change(default: object) -> bool:
    """Say whether a value can be changed in place, as far as its class tells."""
    if default is attrs.NOTHING or isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # it is a class at run time
        return False
    if _is_bundle(default):
        return any(_can_change(item) for item in default)
    kind = type(default)
    if attrs.has(kind):
        return not attrs.inspect(kind).is_frozen
    return kind.__hash__ is None


def _is_bundle(value: object) -> TypeGuard[Iterable[object]]:
    return isinstance(value, tuple | frozenset)
