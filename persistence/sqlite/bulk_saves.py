"""Saves of a batch: the statements with places in the order of which values are given.

The driver looks a value up by the name of its parameter for every row, which takes it
as long as SQLite takes for the row. A batch has many rows, so their values come in the
order of the places instead.
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

__all__ = ["SAVES", "Values", "saving"]

Values: TypeAlias = tuple[str | int | bytes, ...]

_COLUMNS = (*Row._fields, "epoch", "checksum")
_NAME = re.compile(r":(\w+)")


def _placed(text: str) -> tuple[str, Callable[[Values], Values]]:
    """Turn names into places; return also what puts a row's values in their order."""
    places = [_COLUMNS.index(name) for name in _NAME.findall(text)]
    return _NAME.sub("?", text), itemgetter(*places)


_INSERT, _to_insert = _placed(INSERT)
_UPDATE, _to_update = _placed(UPDATE)

SAVES = frozenset({_INSERT, _UPDATE})
"""The statements; each changes one row, or the writer's belief was stale."""


def saving(record: Record, epoch: int) -> tuple[str, Values]:
    """Say what saves a record whose parent is what it was."""
    row = row_of(record)
    values = (*row, epoch, checksum(row))
    if record.rev == 1:
        return _INSERT, _to_insert(values)
    return _UPDATE, _to_update(values)
