"""How units become one transaction on PostgreSQL.

A batch is a few round trips, however many units and partitions it has: one to lock the
owners, one for each kind of statement, one to commit. A unit that is refused leaves
nothing behind because the transaction is undone and made again without it; that is rare
enough to cost less than a savepoint around each unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from .errors import StaleOwner, StoreError, StoreUnavailable
from .postgres_plan import Step, at_fault, steps_of, together
from .postgres_rows import columns_of
from .postgres_server import (
    FAILURES,
    Server,
    Session,
    Undo,
    Unsettled,
    sqlstate,
    unavailable,
)
from .postgres_statements import LOCK, writing
from .records import Unit

__all__ = ["apply_units"]

_OF_A_VALUE = ("22", "23", "54")
"""Classes of errors that a value brings about, and not the medium."""


async def apply_units(server: Server, units: Sequence[Unit]) -> list[StoreError | None]:
    """Save units of any partitions; say for each why it was refused.

    Raises:
        StoreUnavailable: nothing of any unit was saved, or nobody can tell.
    """
    try:
        return await _apply_together(server, units)
    except Unsettled as error:
        reason = "the connection broke during the commit; its outcome is unknown"
        raise StoreUnavailable("save", reason) from error
    except FAILURES as error:
        if not _is_of_a_value(error):
            raise unavailable("save", error) from error
        if len(units) == 1:
            return [unavailable("save", error)]
    # One value of one unit cannot be stored. Halving finds it in a few transactions.
    middle = len(units) // 2
    first = await apply_units(server, units[:middle])
    try:
        return [*first, *await apply_units(server, units[middle:])]
    except (
        StoreUnavailable
    ) as error:  # the first half is saved: each has its own answer
        rest = units[middle:]
        return [*first, *(StoreUnavailable("save", error.reason) for _ in rest)]


def _is_of_a_value(error: Exception) -> bool:
    """Tell a value that cannot be stored from a refusal of the medium.

    The driver refuses some values itself, with an error that is a ``ValueError`` too.
    """
    return sqlstate(error).startswith(_OF_A_VALUE) or isinstance(error, ValueError)


async def _apply_together(
    server: Server, units: Sequence[Unit]
) -> list[StoreError | None]:
    """Save the units that can be saved in one transaction.

    Raises:
        Unsettled: nobody can tell whether it was committed.
    """
    refused: dict[int, StoreError] = {}
    name = ""
    while len(refused) < len(units):
        try:
            async with server.transaction() as session:
                owners = await _lock(session, units)
                name = owners.transaction
                refused |= owners.stale(units)
                await _write(session, units, refused)
            break
        except _AtFault as found:
            refused |= found.units
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
    """Who owns the partitions of a batch, for as long as the transaction lasts.

    Attributes:
        transaction: its name, to ask later what became of it.
        epochs: of the partitions that have an owner.
    """

    transaction: str
    epochs: dict[str, int]

    def stale(self, units: Sequence[Unit]) -> dict[int, StoreError]:
        """Say which units come from a host that does not own their partition."""
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


async def _write(
    session: Session, units: Sequence[Unit], refused: Mapping[int, StoreError]
) -> None:
    """Write every unit that is not refused yet.

    Raises:
        _AtFault: units that cannot be saved; nothing must be kept.
    """
    # By partition, so that the wall is entered once for each in every run.
    order = sorted(range(len(units)), key=lambda index: units[index].partition)
    batch = [steps_of(n, units[n]) for n in order if n not in refused]
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
