"""The state of a host: whether it takes work."""

from __future__ import annotations

import attrs

from ..errors import HostClosed

__all__ = ["HostState"]


@attrs.define(eq=False)
class HostState:
    """Whether a host is open and whether it shuts down; all its parts share one.

    The host sets it, and the catalog and ``Stopping`` read it.

    Attributes:
        open: whether the store is open; ``False`` before the start and after the end.
        closing: whether a shutdown has begun: instances stop, and none starts.
    """

    open: bool = False
    closing: bool = False

    def is_open(self) -> bool:
        """Return whether the store may be used."""
        return self.open

    @property
    def starts_instances(self) -> bool:
        """Whether an instance may start now."""
        return self.open and not self.closing

    def check_open(self) -> None:
        """Raise if the store is not open.

        Raises:
            HostClosed: the host has not started, or has ended.
        """
        if not self.open:
            raise HostClosed
