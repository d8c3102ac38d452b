"""Errors about tenants, their policies, and the actions of operators."""

from __future__ import annotations

from typing import ClassVar

import attrs

from persistence import PodsError, shorten

__all__ = ["InvalidPolicy", "Unaccounted", "UnknownTenant"]


@attrs.define(slots=False, eq=False, repr=False)
class InvalidPolicy(PodsError, ValueError):
    """A field of a tenant's policy has a value out of its range.

    Attributes:
        field: its name.
        value: the given value.
        wanted: a description of valid values.
    """

    code: ClassVar[str] = "PV-E350"
    field: str
    value: object
    wanted: str

    def text(self) -> str:
        return f"{self.field}={shorten(self.value)} is refused. Give {self.wanted}."


@attrs.define(slots=False, eq=False, repr=False)
class UnknownTenant(PodsError, LookupError):
    """The partition has no policy here, and unknown partitions are refused.

    A partition that never existed and one that was removed give the same text.
    """

    code: ClassVar[str] = "PV-E351"
    partition: str

    def text(self) -> str:
        return (
            f"Partition {shorten(self.partition)} has no policy here, and unknown "
            "partitions are refused. Give it one with host.tenants.put(...), or build "
            "the directory with unknown=Unknown.ADMIT."
        )


@attrs.define(slots=False, eq=False, repr=False)
class Unaccounted(PodsError, ValueError):
    """An action of an operator without an actor or a reason; nothing was changed."""

    code: ClassVar[str] = "PV-E325"
    argument: str
    value: object

    def text(self) -> str:
        return (
            f"{self.argument}={shorten(self.value)} is refused. Name the person who "
            "decides (actor=) and why (reason=); nothing was changed."
        )
