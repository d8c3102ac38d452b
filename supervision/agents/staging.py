"""What a turn commits together with its state, and what a message asks of its turn.

The turn knows neither letters nor topologies: it collects what is *staged*, hands the
operations to the writer in one unit with the state, and reports how it ended.
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
    """A message whose handling is part of the commit of its turn."""

    @property
    def recalled(self) -> bool:
        """Whether it was called off, and must not be handled any more."""
        ...

    def waits_for(self, staged: Sequence[Staged]) -> bool:
        """Return whether one of these calls it off when its turn is committed."""
        ...

    def handled(self, value: object) -> Staged:
        """Return what is to be committed with the turn that handled it.

        Raises:
            UnstorableMessage: the reply cannot be stored; the turn is undone.
        """
        ...

    def failed(self, error: BaseException, *, answered: bool) -> None:
        """Go on after the handler raised; ``answered``: the error was declared."""
        ...

    def returned(self) -> None:
        """Take it back from a mailbox in which it will not be handled."""
        ...
