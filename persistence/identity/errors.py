"""Errors of partition ids, keys and names, and the root of all errors of podvisor.

The tree of the storage errors is drawn in ``persistence.errors``.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

__all__ = [
    "InvalidKey",
    "InvalidName",
    "InvalidPartition",
    "PodsError",
    "shorten",
]


@attrs.define(slots=False, eq=False, repr=False)
class PodsError(Exception):
    """Root of every error that podvisor raises on purpose.

    A subclass takes its facts as fields and builds its text from them in ``text``.

    Attributes:
        code: stable identifier of the class, such as ``PV-E202``; safe to match on.
    """

    code: ClassVar[str] = "PV-E000"

    def __str__(self) -> str:
        return f"[{self.code}] {self.text()}"

    def text(self) -> str:
        """Return what happened, where, and what to do next."""
        return "podvisor could not continue."


@attrs.define(slots=False, eq=False, repr=False)
class InvalidPartition(PodsError, ValueError):
    """A partition id outside the allowed set of texts."""

    code = "PV-E101"
    value: object
    reason: str

    def text(self) -> str:
        return (
            f"partition={shorten(self.value)} is refused: {self.reason}. "
            "Use 1 to 63 characters of a-z, 0-9, '_', '.', '-', "
            "beginning with a letter or digit, without '..'."
        )


@attrs.define(slots=False, eq=False, repr=False)
class InvalidKey(PodsError, ValueError):
    """A key that has no canonical form."""

    code = "PV-E102"
    value: object
    reason: str

    def text(self) -> str:
        return (
            f"key={shorten(self.value)} is refused: {self.reason}. "
            "A key is a non-empty str or a non-empty tuple of keys."
        )


@attrs.define(slots=False, eq=False, repr=False)
class InvalidName(PodsError, ValueError):
    """A manager or node name that is not a lower-case identifier."""

    code = "PV-E103"
    what: str
    value: object

    def text(self) -> str:
        return (
            f"{self.what} name {shorten(self.value)} is refused. "
            "Use 1 to 63 characters of a-z, 0-9, '_', beginning with a letter."
        )


def shorten(value: object, limit: int = 60) -> str:
    """Return the ``repr`` of a value for an error text, cut to ``limit`` characters.

    A text is cut before its ``repr`` is made, so that a huge one cannot flood the log.
    """
    shown = repr(value[: limit * 2]) if isinstance(value, str) else repr(value)
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"
