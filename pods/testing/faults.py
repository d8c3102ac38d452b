"""Which operations of a medium fail, and how: decided here, carried out elsewhere."""

from __future__ import annotations

import enum
from random import Random
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["EVERY_FAULT", "Fault", "Faults", "Trouble", "When"]


class Trouble(enum.Enum):
    """What a medium says when it refuses."""

    BUSY = "busy"
    """Another connection holds the lock."""
    IOERR = "ioerr"
    """The disk reported an error."""
    FULL = "full"
    """No room is left."""
    CORRUPT = "corrupt"
    """A page is damaged."""


class When(enum.Enum):
    """Whether the operation took effect."""

    BEFORE = "before"
    AFTER = "after"
    """It was done, and the caller gets an error: the outcome is unknown."""


@attrs.frozen
class Fault:
    """One way for an operation to fail."""

    trouble: Trouble
    when: When = When.BEFORE


EVERY_FAULT = tuple(Fault(trouble, when) for trouble in Trouble for when in When)


@attrs.define(eq=False)
class Faults:
    """The faults of one medium; at first it has none.

    Attributes:
        seen: operations so far.
        injected: operations that were made to fail.
    """

    seen: int = 0
    injected: int = 0
    _planned: dict[int, Fault] = attrs.field(factory=dict[int, Fault], init=False)
    _lasting: tuple[int, Fault] | None = attrs.field(default=None, init=False)
    _rate: float = attrs.field(default=0.0, init=False)
    _kinds: Sequence[Fault] = attrs.field(default=EVERY_FAULT, init=False)
    _random: Random = attrs.field(factory=Random, init=False)

    def fail(self, fault: Fault, *, after: int = 0, lasting: bool = False) -> None:
        """Make one operation fail.

        Args:
            fault: how.
            after: operations that go well before it.
            lasting: whether every later one fails too, until ``heal``.
        """
        if lasting:
            self._lasting = (self.seen + after, fault)
        else:
            self._planned[self.seen + after] = fault

    def fail_at_random(
        self, random: Random, rate: float, kinds: Sequence[Fault] = EVERY_FAULT
    ) -> None:
        """Make a share of the operations fail, from 0 to 1, until ``heal``."""
        self._random, self._rate, self._kinds = random, rate, kinds

    def heal(self) -> None:
        """Inject no fault from now on."""
        self._planned.clear()
        self._lasting = None
        self._rate = 0.0

    def next(self) -> Fault | None:
        """Count an operation, and say how it fails."""
        found = self._planned.pop(self.seen, None)
        if found is None and self._lasting and self.seen >= self._lasting[0]:
            found = self._lasting[1]
        if found is None and self._strikes():
            found = self._kinds[self._random.randrange(len(self._kinds))]
        self.seen += 1
        self.injected += found is not None
        return found

    def _strikes(self) -> bool:
        return self._rate > 0 and self._random.random() < self._rate
