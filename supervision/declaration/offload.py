"""Which handlers may run outside the event loop; checked when a class is read."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Literal, TypeAlias

from ..errors import HandlerError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Offload", "check_importable", "check_offload"]

Offload: TypeAlias = Literal["thread", "process"]


def check_offload(
    where: str, function: Callable[..., object], offload: object, *, static: bool
) -> None:
    """Refuse a handler that cannot run where ``offload`` names.

    Raises:
        HandlerError: a method of this kind cannot run there.
    """
    if offload not in (None, "thread", "process"):
        reason = f"offload={offload!r} is neither 'thread' nor 'process'"
        raise HandlerError(where, reason)
    if offload is not None and inspect.iscoroutinefunction(function):
        reason = "an async def handler runs on the event loop; offload a def handler"
        raise HandlerError(where, reason)
    if offload == "process":
        if not static:
            reason = (
                "in a process there is no self; put @staticmethod above @handler and "
                "take the message alone"
            )
            raise HandlerError(where, reason)
        check_importable(where, function)
    elif static:
        reason = "only a handler with offload='process' is a static method"
        raise HandlerError(where, reason)


def check_importable(where: str, thing: Callable[..., object]) -> None:
    """Refuse a class or function that another process could not import.

    Raises:
        HandlerError: it was declared inside a function.
    """
    name = getattr(thing, "__qualname__", "<lambda>")
    if "<" in name:
        reason = f"a process cannot import {name}; declare it at the top of a module"
        raise HandlerError(where, reason)
