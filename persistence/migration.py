"""What is told of a migration, as a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from .identity import PodsError

__all__ = ["Migration"]


@attrs.frozen(kw_only=True)
class Migration:
    """What was found in one database, and what was done.

    Attributes:
        partition: whose file it is; empty for the database of all partitions.
        found: version of its tables before; 0 if it had none.
        steps: version and title of each step to the version of this release.
        done: whether the steps were taken.
        problem: why the database could not be used; then nothing was changed.
    """

    partition: str = ""
    found: int = 0
    steps: tuple[tuple[int, str], ...] = ()
    done: bool = False
    problem: PodsError | None = None
