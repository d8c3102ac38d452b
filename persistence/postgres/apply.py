"""How units become one transaction on PostgreSQL.

A batch is a few round trips, however many units and partitions it has: one to lock the
owners, one for each kind of statement, one to commit. A unit that is refused leaves
nothing behind because the transaction is undone and made again without it; that is rare
enough to cost less than a savepoint around each unit. It stays rare, as the partition
of such a unit has transactions apart from the others for a while: see ``suspects``.
"""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING

import attrs

from ..errors import StaleOwner, StoreError, StoreUnavailable
from .plan import Step, at_fault, steps_of, together, unfit
from .rows import columns_of
from .server import FAILURES, Server, Session, Undo, Unsettled, sqlstate, unavailable
from .statements import LOCK, writing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..sql import Suspects
    from ..store import Unit

__all__ = ["apply_units"]

_OF_A_UNIT = ("22", "23", "54", "XX001", "XX002")
"""Errors that a value brings about, or the damaged page where it is to be stored."""


async def apply_units(
    server: Server, units: Sequence[Unit], suspects: Suspects
) -> list[StoreError | None]:
    """Save units of any partitions; say for each why it was refused.

    Those of partitions that had a transaction made again lately have one of their own.

    Raises:
        StoreUnavailable: nothing of any unit was saved, or the outcome is unknown.
    """
    apart = suspects.count_batch(unit.partition for unit in units)
    if not apart:
        return await _apply(server, units, suspects)
    order = sorted(range(len(units)), key=lambda n: units[n].partition in apart)
    shared = sum(unit.partition not in apart for unit in units)
    found = await _apply_parts(server, [units[n] for n in order], shared, suspects)
    answers = dict(zip(order, found, strict=True))
    return [answers[n] for n in range(len(units))]


async def _apply(
    server: Server, units: Sequence[Unit], suspects: Suspects
) -> list[StoreError | None]:
    """Save units in one transaction; if one of them spoils it, in several.

    Raises:
        StoreUnavailable: as above.
    """
    try:
        return await _apply_together(server, units, suspects)
    except Unsettled as error:
        reason = "the connection broke during the commit; its outcome is unknown"
        raise StoreUnavailable("save", reason) from error
    except FAILURES as error:
        if not _is_of_a_unit(error):
            raise unavailable("save", error) from error
        if len(units) == 1:
            suspects.add(units[0].partition)
            return [unavailable("save", error)]
    # One unit cannot be stored. Halving finds it in a few transactions.
    return await _apply_parts(server, units, len(units) // 2, suspects)


async def _apply_parts(
    server: Server, units: Sequence[Unit], middle: int, suspects: Suspects
) -> list[StoreError | None]:
    """Save the units before a place in the batch, then those behind it.

    Raises:
        StoreUnavailable: as above. Of the second part it is the answer to each unit, as
            the first part is saved.
    """
    if not middle:
        return await _apply(server, units, suspects)
    first = await _apply(server, units[:middle], suspects)
    rest = units[middle:]
    try:
        return [*first, *await _apply(server, rest, suspects)]
    except StoreUnavailable as error:
        return [*first, *(StoreUnavailable("save", error.reason) for _ in rest)]


def _is_of_a_unit(error: Exception) -> bool:
    """Return whether a single unit caused an error, and not the medium.

    The driver refuses some values itself, with an error that is a ``ValueError`` too.
    """
    return sqlstate(error).startswith(_OF_A_UNIT) or isinstance(error, ValueError)


async def _apply_together(
    server: Server, units: Sequence[Unit], suspects: Suspects
) -> list[StoreError | None]:
    """Save the units that can be saved in one transaction.

    Raises:
        Unsettled: it is unknown whether it was committed.
    """
    # By partition, so that the wall is entered once for each in every run.
    order = sorted(range(len(units)), key=lambda index: units[index].partition)
    batch = [steps_of(n, units[n]) for n in order]
    refused = unfit(batch)
    name = ""
    while len(refused) < len(units):
        try:
            async with server.transaction() as session:
                owners = await _lock(session, units)
                name = owners.transaction
                refused |= owners.stale(units)
                left = [n not in refused for n in order]
                await _write(session, [*compress(batch, left)])
            break
        except _AtFault as found:
            refused |= found.units
            for index in found.units:
                suspects.add(units[index].partition)
        except Unsettled as error:
            outcome = await server.was_committed(name)  # noqa: ASYNC120  a cancellation wins here
            if outcome is None:
                raise
            if not outcome:
                raise StoreUnavailable("save", "the connection broke") from error
            break
    return [refused.get(index) for index in range(len(units))]


@attrs.frozen
class _Owners:
    """The owners of the partitions of a batch, while the transaction lasts.

    Attributes:
        transaction: its name, to ask later what became of it.
        epochs: of the partitions that have an owner.
    """

    transaction: str
    epochs: dict[str, int]

    def stale(self, units: Sequence[Unit]) -> dict[int, StoreError]:
        """Return an error for each unit whose host does not own its partition."""
        return {
            index: StaleOwner(unit.partition, unit.epoch)
            for index, unit in enumerate(units)
            if self.epochs.get(unit.partition) != unit.epoch
        }


async def _lock(session: Session, units: Sequence[Unit]) -> _Owners:
    """Lock the owners; in the order of names, so that two hosts never deadlock."""
    partitions = sorted({unit.partition for unit in units})
    calls = [(name, {"partition": name}) for name in partitions]
    transaction = ""
    epochs: dict[str, int] = {}
    for partition, found in zip(
        partitions, await session.run(LOCK, calls), strict=True
    ):
        epoch, transaction = _owner(found)
        if epoch is not None:
            epochs[partition] = epoch
    return _Owners(transaction, epochs)


async def _write(session: Session, batch: Sequence[Sequence[Step]]) -> None:
    """Write units that are not refused yet.

    Raises:
        _AtFault: units that cannot be saved; nothing must be kept.
    """
    missed: set[Step] = set()
    for run in together(step for steps in batch for step in steps):
        calls = [(step.partition, step.parameters) for step in run.steps]
        hits = await session.run(writing(run.statement), calls)
        for step, hit in zip(run.steps, hits, strict=True):
            if step.refusal is not None and not hit:
                missed.add(step)
    if missed:
        raise _AtFault(at_fault(batch, frozenset(missed)))


def _owner(found: object) -> tuple[int | None, str]:
    epoch, transaction = columns_of(found)
    return (epoch if isinstance(epoch, int) else None), str(transaction)


class _AtFault(Undo):
    """Some units cannot be saved; the others have to be written without them."""

    def __init__(self, units: dict[int, StoreError]) -> None:
        super().__init__()
        self.units = units
