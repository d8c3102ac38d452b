"""What the public API takes from its callers, found by looking at it."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Iterator

import pods

__all__ = ["WATCHED", "Argument", "arguments"]

Argument = tuple[str, str]
"""A public function or method, such as ``InstanceManager.get``, and a parameter."""

WATCHED = frozenset(
    {
        "address",
        "after",
        "agent",
        "changes",
        "key",
        "limit",
        "manager",
        "message",
        "name",
        "node",
        "of",
        "owner",
        "partition",
        "pod",
        "ref",
        "target",
    }
)
"""Parameters that name a tenant, an instance, or what is to be done to one."""


def arguments() -> set[Argument]:
    """Find each watched parameter of everything that ``pods`` exports."""
    found: set[Argument] = set()
    for exported in pods.__all__:
        thing: object = getattr(pods, exported)
        if inspect.isclass(thing):
            for name, call in _methods(thing):
                found |= {(name, p) for p in _parameters(call) & WATCHED}
        elif callable(thing):
            found |= {(exported, p) for p in _parameters(thing) & WATCHED}
    return found


def _methods(cls: type[object]) -> Iterator[tuple[str, Callable[..., object]]]:
    """List the public methods of a class by the class that defines them."""
    if not issubclass(cls, BaseException | enum.Enum):
        yield cls.__name__, cls
    for base in cls.__mro__:
        if base.__module__.split(".")[0] not in ("pods", "supervision", "persistence"):
            continue
        for name in vars(base):
            call: object = getattr(base, name)
            if not name.startswith("_") and callable(call):
                yield f"{base.__name__}.{name}", call


def _parameters(call: Callable[..., object]) -> set[str]:
    try:
        return set(inspect.signature(call).parameters)
    except ValueError:
        return set()
