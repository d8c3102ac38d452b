"""Errors of calls that are wrong in every state of the host."""

from __future__ import annotations

from typing import ClassVar

import attrs

from persistence import PodsError, shorten

__all__ = [
    "HandlerError",
    "InvalidArgument",
    "MissingExtra",
    "NotPicklable",
    "PartitionMismatch",
]


@attrs.define(slots=False, eq=False, repr=False)
class PartitionMismatch(PodsError, ValueError):
    """A handle bound to one partition was used for another."""

    code: ClassVar[str] = "PV-E320"
    bound: str
    given: str

    def text(self) -> str:
        return (
            f"This handle is bound to partition {self.bound!r}; partition="
            f"{shorten(self.given)} is refused. Take a handle for that partition from "
            "trusted code: host.partition(...)."
        )


@attrs.define(slots=False, eq=False, repr=False)
class NotPicklable(PodsError, TypeError):
    """Handles, refs and hosts stay in their process and are never pickled."""

    code: ClassVar[str] = "PV-E321"
    what: str

    def text(self) -> str:
        return (
            f"{self.what} does not pickle. Pass manager name and key, and let the "
            "receiver resolve them in its own partition."
        )


@attrs.define(slots=False, eq=False, repr=False)
class InvalidArgument(PodsError, TypeError):
    """An argument of the wrong type, or out of its range."""

    code: ClassVar[str] = "PV-E324"
    argument: str
    value: object
    wanted: str

    def text(self) -> str:
        return f"{self.argument}={shorten(self.value)} is refused. Give {self.wanted}."


@attrs.define(slots=False, eq=False, repr=False)
class HandlerError(PodsError, TypeError):
    """An agent or message class that cannot work; found when it is declared."""

    code: ClassVar[str] = "PV-E330"
    where: str
    reason: str

    def text(self) -> str:
        return f"{self.where}: {self.reason}."


@attrs.define(slots=False, eq=False, repr=False)
class MissingExtra(PodsError, ImportError):
    """A feature needs an extra of the distribution that is not installed.

    Attributes:
        extra: the name of the extra.
        purpose: the feature.
    """

    code: ClassVar[str] = "PV-E341"
    extra: str
    purpose: str

    def text(self) -> str:
        install = f"pip install 'podvisor[{self.extra}]'"
        return f"{self.purpose} is not installed. Run {install}."
