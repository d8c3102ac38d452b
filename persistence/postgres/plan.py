"""In which order a batch is sent to PostgreSQL, and which units are at fault.

Pure decisions, without a connection. Statements of one kind are sent together, so that
a batch of any size is a few round trips; what touches the same rows keeps its order.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import attrs

from ..errors import StoreError, StoreUnavailable
from ..sql import (
    ANSWER,
    INSERT,
    MUST_HIT,
    POST,
    PUT_QUARANTINE,
    UPDATE,
    Parameters,
    refusal_of,
    statements_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..store import Unit

__all__ = ["Run", "Step", "at_fault", "steps_of", "together", "unfit"]

_Place: TypeAlias = tuple[str, ...]

_BY_PARTITION = frozenset({"podvisor_replies", "podvisor_dead_letters"})
_INDEX_BYTES = 2_600
"""What the texts of an index row may have; a third of a page, less what is around."""

_INDEXED = (
    ("partition", "manager", "key", "kind", "id", "request"),
    ("partition", "parent_manager", "parent_key"),
)
"""Parameters that stand in one index row, or more than these."""

_INDEXING = frozenset({INSERT, UPDATE, PUT_QUARANTINE, POST, ANSWER})
_TABLE = re.compile(r"podvisor_(?!owners)\w+")


@attrs.frozen(eq=False)
class Step:
    """One statement of one unit.

    Attributes:
        unit: index of the unit.
        partition: whose it is.
        statement: one of the texts that write.
        parameters: its parameters.
        places: the rows that it touches, or more than these.
        refusal: why the unit is refused if nothing is hit; ``None``: that is no fault.
    """

    unit: int
    partition: str
    statement: str
    parameters: Parameters
    places: frozenset[_Place]
    refusal: StoreError | None


@attrs.frozen(eq=False)
class Run:
    """Steps of one statement, sent in one round trip."""

    statement: str
    steps: list[Step] = attrs.field(factory=list[Step])


def steps_of(index: int, unit: Unit) -> list[Step]:
    """Lay a unit out as the statements that carry it out, in order."""
    found: list[Step] = []
    for operation in unit.operations:
        refusal = refusal_of(operation)
        for statement, parameters in statements_of(operation, unit.epoch):
            places = _places(unit.partition, statement, parameters)
            why = refusal if statement in MUST_HIT else None
            found.append(
                Step(index, unit.partition, statement, parameters, places, why)
            )
    return found


def unfit(units: Iterable[Sequence[Step]]) -> dict[int, StoreError]:
    """Return an error for each unit with a key that no index of PostgreSQL takes.

    The server would end the whole transaction for it, and a batch would be cut in
    halves until its unit is found: a tenant with such keys would hold up all others.
    """
    reason = "a key is larger than an index of PostgreSQL takes"
    return {
        step.unit: StoreUnavailable("save", reason)
        for steps in units
        for step in steps
        if step.statement in _INDEXING and _is_too_large(step.parameters)
    }


def _is_too_large(parameters: Parameters) -> bool:
    for names in _INDEXED:
        text = "".join(str(parameters.get(name, "")) for name in names)
        if 4 * len(text) > _INDEX_BYTES < len(text.encode(errors="replace")):
            return True
    return False


def _places(
    partition: str, statement: str, parameters: Parameters
) -> frozenset[_Place]:
    """Name the rows that a statement touches.

    They are named by the instance they belong to, or by the partition alone in tables
    whose rows are also removed by something else than their instance.
    """
    instance = (str(parameters.get("manager")), str(parameters.get("key")))
    return frozenset(
        (table, partition) if table in _BY_PARTITION else (table, partition, *instance)
        for table in _tables(statement)
    )


@cache
def _tables(statement: str) -> frozenset[str]:
    return frozenset(_TABLE.findall(statement))


def together(steps: Iterable[Step]) -> list[Run]:
    """Put steps of one statement together, as far as their order allows.

    A step joins the first run of its statement that is not before a run which touches
    one of its rows. Inside a run the order is that of the steps.
    """
    runs: list[Run] = []
    latest: dict[_Place, int] = {}
    for step in steps:
        first = max((latest.get(place, 0) for place in step.places), default=0)
        index = next(
            (i for i in range(first, len(runs)) if runs[i].statement == step.statement),
            len(runs),
        )
        if index == len(runs):
            runs.append(Run(step.statement))
        runs[index].steps.append(step)
        latest.update(dict.fromkeys(step.places, index))
    return runs


def at_fault(
    units: Sequence[Sequence[Step]], missed: frozenset[Step]
) -> dict[int, StoreError]:
    """Return an error for each unit that would be refused one by one, too.

    A unit that missed is at fault, unless another unit at fault may have disturbed it:
    that one leaves nothing behind, and without it this one may succeed. What depends on
    a unit at fault is judged when the batch is tried again without it. The first unit
    that missed is always named, so that trying again comes to an end.

    Args:
        units: the steps of each unit, in the order of the units.
        missed: steps that had to hit a row and did not.
    """
    refused: dict[int, StoreError] = {}
    disturbed: set[_Place] = set()
    for steps in units:
        places = frozenset[_Place]().union(*(step.places for step in steps))
        failed = [step for step in steps if step in missed]
        doubtful = not places.isdisjoint(disturbed)
        if failed or doubtful:
            disturbed |= places
        if failed and not doubtful and failed[0].refusal is not None:
            refused[failed[0].unit] = failed[0].refusal
    return refused
