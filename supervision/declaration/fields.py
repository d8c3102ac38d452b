"""What agent and message classes may declare as fields, checked at declaration.

A default belongs to the class, and so to every instance of every partition. If it could
be changed in place, all tenants would share it.
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
    """Refuse a class that attrs would make into something else than it looks like.

    Raises:
        HandlerError: a field hides a name of ``base``, a constructor sets what is no
            field, a plain base class annotates what would be no field, or a decorator
            has made it an attrs class already.
    """
    where = cls.__qualname__
    if "__attrs_attrs__" in vars(cls):
        raise decorated(cls, base)
    annotated = inspect.get_annotations(cls)
    if "__init__" in vars(cls) and not annotated and not _has_fields(cls):
        reason = (
            "what it sets is not stored; declare fields, as name: type = ..., and set "
            "up in on_start what should not be stored"
        )
        raise HandlerError(f"{where}.__init__", reason)
    for name, annotation in annotated.items():
        if hasattr(base, name) and name != "priority" and not _is_of_class(annotation):
            reason = (
                f"{base.__name__} has something else of that name; to set it, write it "
                "without an annotation, else rename the field"
            )
            raise HandlerError(f"{where}.{name}", reason)
    _refuse_lost_fields(cls, base)


def _refuse_lost_fields(cls: type[object], base: type[object]) -> None:
    """Refuse a mixin whose annotations look like fields: attrs takes none of them."""
    kept = set(inspect.get_annotations(cls))
    kept |= {a.name for b in cls.__mro__[1:] if attrs.has(b) for a in attrs.fields(b)}
    for mixin in cls.__mro__[1:]:
        if mixin in base.__mro__ or "__attrs_attrs__" in vars(mixin):
            continue
        for name, annotation in inspect.get_annotations(mixin).items():
            if name not in kept and not _is_of_class(annotation):
                reason = (
                    f"{mixin.__qualname__} is a plain class, so what it annotates is "
                    f"not stored; make it a subclass of {base.__name__}, decorate it "
                    "with attrs.define(slots=False), or repeat the field here"
                )
                raise HandlerError(f"{cls.__qualname__}.{name}", reason)


def decorated(cls: type[object], base: type[object]) -> HandlerError:
    """Return the error about a class that its decorator has replaced."""
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
        The fields; if the class is made again, it has others.

    Raises:
        HandlerError: a default can be changed in place, or a field has no type.
    """
    fields: tuple[attrs.Attribute[object], ...] = attrs.fields(cls)  # type: ignore[arg-type]  # check_class and attrs.define ran before
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
    """Return whether the class of a value has values that change in place."""
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
