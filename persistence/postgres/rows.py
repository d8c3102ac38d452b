"""What the answers of PostgreSQL are as values; nothing is believed unseen."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from ..errors import CorruptRecord
from ..identity import Address, InvalidKey, InvalidName, check_name, key_from_text
from ..store import Quarantine, stored_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..store import Loaded

__all__ = [
    "addresses",
    "columns_of",
    "first_due",
    "loaded",
    "marks",
    "rows_of",
    "texts",
]


def columns_of(row: object) -> tuple[object, ...]:
    """Return the columns of a row."""
    if not _is_tuple(row):
        msg = f"the driver answered {type(row).__name__} and no row"
        raise TypeError(msg)
    return row


def texts(found: object) -> list[str]:
    """Return the first column of each row."""
    return [str(columns[0]) for columns in rows_of(found)]


def loaded(found: object, asked: Mapping[str, Address]) -> dict[str, Loaded]:
    """Read records, each under the text of its key."""
    answer: dict[str, Loaded] = dict.fromkeys(asked, ())
    for columns in rows_of(found):
        text = str(columns[0])
        records = answer[text]
        if isinstance(records, tuple):
            try:
                record = stored_record(columns, asked[text])
            except CorruptRecord as error:
                answer[text] = error
            else:
                answer[text] = (*records, record)
    return answer


def first_due(found: object) -> tuple[int, float | None]:
    """Read how many letters there are, and when the first is due."""
    ((number, due),) = rows_of(found)
    return int(str(number)), due if isinstance(due, float) else None


def addresses(found: object, partition: str) -> list[Address]:
    """Read the addresses that can be read."""
    return [address for _, address in _addressed(found, partition)]


def marks(found: object, partition: str) -> list[Quarantine]:
    """Read marks of quarantine, those whose address can be read."""
    return [
        Quarantine(address, str(reason), since if isinstance(since, float) else 0.0)
        for (reason, since), address in _addressed(found, partition)
    ]


def _addressed(
    found: object, partition: str
) -> Iterator[tuple[tuple[object, ...], Address]]:
    for manager, key, *rest in rows_of(found):
        try:
            name = check_name(manager, "manager")
            address = Address(partition, name, key_from_text(str(key)))
        except (InvalidKey, InvalidName):
            continue
        yield tuple(rest), address


def rows_of(found: object) -> list[tuple[object, ...]]:
    """Return the rows of an array; the array of no rows is ``None``."""
    return [columns_of(row) for row in found] if _is_list(found) else []


def _is_list(found: object) -> TypeGuard[list[object]]:
    return isinstance(found, list)


def _is_tuple(found: object) -> TypeGuard[tuple[object, ...]]:
    return isinstance(found, tuple)
