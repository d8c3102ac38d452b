"""What a benchmark says: pairs of figures, their ratios, and if they reach a goal."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import TypeAlias

import attrs
import cattrs

__all__ = [
    "Absent",
    "Pair",
    "Reach",
    "Result",
    "Row",
    "as_json",
    "at_least",
    "at_most",
    "from_json",
]

Pair: TypeAlias = tuple[float, float]
"""A figure of podvisor, and one of what it is held against, of the same moment."""

Value: TypeAlias = str | float | bool | None


@attrs.frozen
class Reach:
    """What a ratio is to come to.

    Attributes:
        limit: the number.
        least: a ratio is to be this or more; else this or less.
    """

    limit: float
    least: bool = False

    def __str__(self) -> str:
        return f"{'≥' if self.least else '≤'} {self.limit:g}"

    def met(self, ratio: float) -> bool:
        return ratio >= self.limit if self.least else ratio <= self.limit


def at_most(limit: float) -> Reach:
    return Reach(limit)


def at_least(limit: float) -> Reach:
    return Reach(limit, least=True)


@attrs.frozen(kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        name: its id.
        what: what podvisor does.
        reference: what the other side does.
        unit: of the figures of both sides.
        pairs: the figures, a pair for each repetition.
        reach: what the median of the ratios is to come to; ``None``: told, not judged.
        note: what a reader needs to know beside it.
        peer: it is held against another system.
    """

    name: str
    what: str
    reference: str
    unit: str
    pairs: tuple[Pair, ...] = attrs.field(validator=attrs.validators.min_len(1))
    reach: Reach | None = None
    note: str = ""
    peer: bool = False

    @property
    def ratios(self) -> tuple[float, ...]:
        return tuple(ours / theirs for ours, theirs in self.pairs)

    @property
    def ratio(self) -> float:
        """The median of the ratios, which is not the ratio of the medians."""
        return statistics.median(self.ratios)

    @property
    def ours(self) -> float:
        return statistics.median(ours for ours, _ in self.pairs)

    @property
    def theirs(self) -> float:
        return statistics.median(theirs for _, theirs in self.pairs)

    @property
    def met(self) -> bool | None:
        return None if self.reach is None else self.reach.met(self.ratio)


@attrs.frozen
class Absent:
    """Something that was not measured, and why."""

    name: str
    why: str


Result: TypeAlias = Row | Absent


def as_json(row: Row) -> dict[str, Value | list[list[float]]]:
    """Write a row down, with what follows from its pairs."""
    return {
        "what": row.what,
        "reference": row.reference,
        "unit": row.unit,
        "note": row.note,
        "peer": row.peer,
        "ours": row.ours,
        "theirs": row.theirs,
        "ratio_min": min(row.ratios),
        "ratio_median": row.ratio,
        "ratio_max": max(row.ratios),
        "reach": None if row.reach is None else row.reach.limit,
        "reach_is_least": row.reach is not None and row.reach.least,
        "met": row.met,
        "pairs": [list(pair) for pair in row.pairs],
    }


def from_json(name: str, found: Mapping[str, object]) -> Row:
    """Read a row that was written down."""
    limit = found["reach"]
    pairs = cattrs.structure(found["pairs"], list[Pair])
    return Row(
        name=name,
        what=str(found["what"]),
        reference=str(found["reference"]),
        unit=str(found["unit"]),
        note=str(found["note"]),
        peer=bool(found["peer"]),
        pairs=tuple(pairs),
        reach=Reach(float(limit), bool(found["reach_is_least"]))
        if isinstance(limit, int | float)
        else None,
    )
