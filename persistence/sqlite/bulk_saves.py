"""Saves of a batch, as statements with positional parameters.

For a named parameter the driver looks up the value by name in every row, which takes as
long as SQLite needs for the row. A batch has many rows, so its values are passed in the
order of the parameters instead.
"""

from __future__ import annotations

import re
from operator import itemgetter
from typing import TYPE_CHECKING, TypeAlias

from ..sql import INSERT, UPDATE
from ..store import Row, checksum, row_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..store import Record

__all__ = ["BULK_SAVES", "Values", "bulk_save_of"]

Values: TypeAlias = tuple[str | int | bytes, ...]

_COLUMNS = (*Row._fields, "epoch", "checksum")
_NAME = re.compile(r":(\w+)")


def _positional(text: str) -> tuple[str, Callable[[Values], Values]]:
    """Return a text with positional parameters, and what orders the values for it."""
    places = [_COLUMNS.index(name) for name in _NAME.findall(text)]
    return _NAME.sub("?", text), itemgetter(*places)


_INSERT, _to_insert = _positional(INSERT)
_UPDATE, _to_update = _positional(UPDATE)

BULK_SAVES = frozenset({_INSERT, _UPDATE})
"""The statements; each must change one row, otherwise the unit is refused."""


def bulk_save_of(record: Record, epoch: int) -> tuple[str, Values]:
    """Return the statement and values that save a record whose parent is unchanged."""
    row = row_of(record)
    values = (*row, epoch, checksum(row))
    if record.rev == 1:
        return _INSERT, _to_insert(values)
    return _UPDATE, _to_update(values)
