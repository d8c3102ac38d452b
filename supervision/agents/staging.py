"""What a turn wants committed beside its state, and what a message asks of its turn.

The turn knows neither letters nor topologies: it collects what is *staged*, hands the
operations to the writer in one unit with the state, and then says how it ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persistence import Operation

__all__ = ["Acknowledgement", "Staged"]


class Staged(Protocol):
    """Something that takes effect with a turn's commit or not at all."""

    def operations(self) -> tuple[Operation, ...]:
        """Return what is to be saved; called once, when the turn is submitted."""
        ...

    def committed(self) -> None:
        """Go on: the turn is durable."""
        ...

    def undone(self) -> None:
        """Forget it: the turn was undone."""
        ...


class Acknowledgement(Protocol):
    """A message whose being handled is a part of the turn's commit."""

    @property
    def recalled(self) -> bool:
        """Whether it was called off, so that nobody should handle it any more."""
        ...

    def waits_for(self, staged: Sequence[Staged]) -> bool:
        """Tell whether one of these calls it off, should its turn be committed."""
        ...

    def handled(self, value: object) -> Staged:
        """Say what is to be committed with the turn that handled it.

        Raises:
            UnstorableMessage: the reply cannot be stored; the turn is undone.
        """
        ...

    def failed(self, error: BaseException, *, answered: bool) -> None:
        """Deal with a handler that raised; ``answered``: it was declared to."""
        ...

    def returned(self) -> None:
        """Take it back from a mailbox in which it will not be handled."""
        ...
