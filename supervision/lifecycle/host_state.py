"""Whether a host takes work."""

from __future__ import annotations

import attrs

from ..errors import HostClosed

__all__ = ["HostState"]


@attrs.define(eq=False)
class HostState:
    """Where a host stands between its start and its end; shared by all of its parts.

    Attributes:
        open: the store is open; cleared when the host ends.
        closing: a shutdown has begun; instances stop, and none starts.
    """

    open: bool = False
    closing: bool = False

    def is_open(self) -> bool:
        """Return whether the store may be asked."""
        return self.open

    @property
    def starts_instances(self) -> bool:
        """Whether an instance may be started now."""
        return self.open and not self.closing

    def check_open(self) -> None:
        """Raise unless the store may be asked.

        Raises:
            HostClosed: the host has not started, or has ended.
        """
        if not self.open:
            raise HostClosed
