"""What agent and message classes may declare as fields, checked as they are declared.

A default stands in the class, and so before every instance of every partition: one that
can be changed in place would be shared by all tenants.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeGuard

import attrs

from .errors import HandlerError

__all__ = ["check_fields"]


def check_fields(cls: type[object]) -> None:
    """Refuse fields of an attrs class that would be shared, or cannot be stored.

    Raises:
        HandlerError: a default that can be changed in place, or a field without a type.
    """
    for field in attrs.fields(cls):  # type: ignore[arg-type]  # an attrs class since a line ago
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
