"""Lifting what older versions of a class have stored."""

from __future__ import annotations

from collections.abc import Callable

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


def read_upcasts(cls: type[object]) -> dict[int, Upcast]:
    """Collect the upcasts of a class by the version that they lift."""
    found: dict[int, Upcast] = {}
    for base in reversed(cls.__mro__):
        for value in vars(base).values():
            function = value.__func__ if isinstance(value, staticmethod) else value
            version = getattr(function, _UPCAST, None)
            if isinstance(version, int):
                found[version] = function
    return found
