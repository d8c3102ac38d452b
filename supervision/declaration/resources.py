"""The resources that handlers need, checked against those of their host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UnknownResource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .messages import HandlerSpec

__all__ = ["check_needs"]


def check_needs(handlers: Iterable[HandlerSpec], resources: Mapping[str, int]) -> None:
    """Refuse handlers that a host with these resources cannot run.

    Raises:
        UnknownResource: a handler needs a resource that is not among them.
    """
    for spec in handlers:
        if spec.needs is not None and spec.needs not in resources:
            raise UnknownResource(spec.name, spec.needs, tuple(resources))
