"""Errors about tenants and their policies; ``errors`` draws them in its tree."""

from __future__ import annotations

from typing import ClassVar

import attrs

from persistence import PodsError, shorten

__all__ = ["InvalidPolicy", "Unaccounted", "UnknownTenant"]


@attrs.define(slots=False, eq=False, repr=False)
class InvalidPolicy(PodsError, ValueError):
    """A field of a policy holds what cannot be.

    Attributes:
        field: its name.
        value: what it was given.
        wanted: what belongs there.
    """

    code: ClassVar[str] = "PV-E350"
    field: str
    value: object
    wanted: str

    def text(self) -> str:
        return f"{self.field}={shorten(self.value)} is refused. Give {self.wanted}."


@attrs.define(slots=False, eq=False, repr=False)
class UnknownTenant(PodsError, LookupError):
    """The partition is in no directory, and this host runs no unknown ones.

    It says the same of a partition that never was and of one that was removed.
    """

    code: ClassVar[str] = "PV-E351"
    partition: str

    def text(self) -> str:
        return (
            f"Partition {shorten(self.partition)} has no policy here, and unknown "
            "partitions are refused. Give it one with host.tenants.put(...), or make "
            "the directory with unknown=Unknown.ADMIT."
        )


@attrs.define(slots=False, eq=False, repr=False)
class Unaccounted(PodsError, ValueError):
    """Something that somebody has to answer for, without a name or a reason."""

    code: ClassVar[str] = "PV-E325"
    argument: str
    value: object

    def text(self) -> str:
        return (
            f"{self.argument}={shorten(self.value)} is refused. Say who decides "
            "(actor=) and why (reason=); nothing was changed."
        )
