"""The report of a migration, as a value.

It stands outside of ``migrations``, whose import brings SQLAlchemy: ``import
persistence`` must not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from .identity import PodsError

__all__ = ["Migration"]


@attrs.frozen(kw_only=True)
class Migration:
    """The report on one database: the version it had, and what was done.

    ``migrate_store`` yields one for each database; the command ``podvisor migrate``
    prints them.

    Attributes:
        partition: partition of the file; empty for a database of all partitions.
        found: version of its tables before; 0 if it had none.
        steps: version and title of each step to the version of this release.
        done: whether the steps were run.
        problem: why the database could not be used; then nothing was changed.
    """

    partition: str = ""
    found: int = 0
    steps: tuple[tuple[int, str], ...] = ()
    done: bool = False
    problem: PodsError | None = None
