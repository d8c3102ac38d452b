"""What a handler may need besides a seat: named on a host, checked with each class."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from persistence import PodsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .messages import HandlerSpec

__all__ = ["UnknownResource", "check_needs"]


@attrs.define(slots=False, eq=False, repr=False)
class UnknownResource(PodsError, LookupError):
    """A handler needs a resource that its host does not have.

    Attributes:
        where: the handler.
        resource: what it needs.
        known: what the host has.
    """

    code: ClassVar[str] = "PV-E304"
    where: str
    resource: str
    known: tuple[str, ...]

    def text(self) -> str:
        known = ", ".join(sorted(self.known)) or "none"
        return (
            f"{self.where} has needs={self.resource!r}, which this host does not have "
            f"(it has: {known}). Say how many there are: HostPolicy(dispatch="
            f"DispatchPolicy(resources={{{self.resource!r}: 1}}))."
        )


def check_needs(handlers: Iterable[HandlerSpec], resources: Mapping[str, int]) -> None:
    """Refuse handlers that no host with these resources can ever run.

    Raises:
        UnknownResource: one of them needs another.
    """
    for spec in handlers:
        if spec.needs is not None and spec.needs not in resources:
            raise UnknownResource(spec.name, spec.needs, tuple(resources))
