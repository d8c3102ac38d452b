"""Upcasts: functions that lift what older versions of a class have stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeGuard

from ..errors import HandlerError

__all__ = ["Upcast", "read_upcasts", "upcast"]

Upcast = Callable[[dict[str, object]], dict[str, object]]
_UPCAST = "__podvisor_upcast__"


def upcast(from_version: int) -> Callable[[Upcast], Upcast]:
    """Mark a static method that lifts a stored state to ``from_version + 1``.

    It gets the stored state, or message, as a JSON object and returns the object that
    the next version would have stored::

        class Notes(Agent):
            state_version = 2
            lines: list[str] = attrs.field(factory=list)

            @staticmethod
            @upcast(1)
            def split(state: dict[str, object]) -> dict[str, object]:
                state["lines"] = str(state.pop("text")).splitlines()
                return state
    """

    def mark(function: Upcast) -> Upcast:
        setattr(function, _UPCAST, from_version)
        return function

    return mark


def read_upcasts(cls: type[object], version: int) -> dict[int, Upcast]:
    """Collect the upcasts of a class by the version that they lift.

    Args:
        cls: an agent class or a message class.
        version: its declared version.

    Raises:
        HandlerError: an upcast is not a static method, or the upcasts do not lead step
            by step to the declared version; stored rows would end in quarantine.
    """
    found: dict[int, Upcast] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            # The order of the decorators decides which of the two has the mark.
            function: object = getattr(value, "__func__", value)
            old = getattr(value, _UPCAST, getattr(function, _UPCAST, None))
            if not isinstance(old, int):
                continue
            if isinstance(value, classmethod) or not _is_upcast(function):
                where = f"{base.__qualname__}.{name}"
                raise HandlerError(where, "an upcast has to be a static method")
            found[old] = function
    first = min(found, default=version)
    if version < 1 or sorted(found) != list(range(first, version)):
        reason = (
            f"it has version {version} and upcasts from {sorted(found)}; versions "
            "start at 1, and upcasts go step by step up to the present one"
        )
        raise HandlerError(cls.__qualname__, reason)
    return found


def _is_upcast(function: object) -> TypeGuard[Upcast]:
    return callable(function)
