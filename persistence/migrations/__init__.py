"""The history of our tables: one revision for each version of their layout.

A revision is never edited once it is released. It repeats what it needs instead of
importing it from ``schema``, which shows the tables as they are today.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from . import r0001, r0002

if TYPE_CHECKING:
    from collections.abc import Callable

    from alembic.operations import Operations

__all__ = ["REVISIONS", "Revision"]


@attrs.frozen
class Revision:
    """One step from a version of the layout to the next.

    Attributes:
        version: the version that it leads to, from 1 up.
        title: what it brings, in a few words.
        tables: the tables that it adds.
        upgrade: does it.
    """

    version: int
    title: str
    tables: tuple[str, ...]
    upgrade: Callable[[Operations], None]


REVISIONS = (
    Revision(
        1,
        "partitions, records and quarantine",
        (
            "podvisor_schema",
            "podvisor_owners",
            "podvisor_records",
            "podvisor_quarantine",
        ),
        r0001.upgrade,
    ),
    Revision(
        2,
        "letters, dead letters and remembered replies",
        ("podvisor_letters", "podvisor_dead_letters", "podvisor_replies"),
        r0002.upgrade,
    ),
)
"""All revisions, in order; the first makes the tables in an empty database."""
