"""What a handler may need besides a seat: named on a host, checked with each class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UnknownResource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .messages import HandlerSpec

__all__ = ["check_needs"]


def check_needs(handlers: Iterable[HandlerSpec], resources: Mapping[str, int]) -> None:
    """Refuse handlers that no host with these resources can ever run.

    Raises:
        UnknownResource: one of them needs another.
    """
    for spec in handlers:
        if spec.needs is not None and spec.needs not in resources:
            raise UnknownResource(spec.name, spec.needs, tuple(resources))
