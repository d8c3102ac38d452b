"""How a handler gives its seat to others while it waits for something outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .instance import Instance
    from .services import HostServices

__all__ = ["Parked"]


class Parked:
    """An ``async with`` block of a handler during which its turn holds no seat."""

    __slots__ = ("_gave", "_instance", "_services")

    def __init__(self, services: HostServices, instance: Instance) -> None:
        self._services = services
        self._instance = instance
        self._gave = False

    async def __aenter__(self) -> None:
        self._gave = self._services.park(self._instance)

    async def __aexit__(self, *_: object) -> None:
        if self._gave:
            # The turn goes on, cancelled or not, and needs its seat for that.
            await self._services.unpark(self._instance)  # noqa: ASYNC102  as said
