"""Checks of arguments that a type checker cannot check, or did not."""

from __future__ import annotations

import math
from typing import TypeGuard

from .tenants import Unaccounted
from .usage import InvalidArgument

__all__ = ["check_account", "check_limit", "check_seconds", "check_stamp"]

_MAX_PAGE = 10_000
_MAX_STAMP = 100


def check_account(*, actor: object, reason: object) -> None:
    """Check that an action names the person who decides, and the reason.

    Raises:
        Unaccounted: actor or reason is no text, or blank.
    """
    for argument, value in (("actor", actor), ("reason", reason)):
        if not isinstance(value, str) or not value.strip():
            raise Unaccounted(argument, value)


def check_limit(limit: object) -> None:
    """Check the length of a page, in rows.

    Raises:
        InvalidArgument: it is not an ``int`` from 1 to 10,000.
    """
    if type(limit) is not int or not 1 <= limit <= _MAX_PAGE:
        raise InvalidArgument("limit", limit, f"an int from 1 to {_MAX_PAGE}")


def check_seconds(seconds: object) -> float:
    """Check how many seconds an ask may wait, and return them.

    Raises:
        InvalidArgument: it is not a finite number above 0.
    """
    if type(seconds) not in (int, float) or not _positive(seconds):
        raise InvalidArgument("timeout", seconds, "seconds above 0, or nothing")
    return seconds


def check_stamp(argument: str, stamp: object) -> str:
    """Check the stamp of a dead letter, and return it.

    Raises:
        InvalidArgument: it is not a text of at most 100 ASCII characters.
    """
    if not (isinstance(stamp, str) and stamp.isascii() and len(stamp) <= _MAX_STAMP):
        raise InvalidArgument(argument, stamp, "the stamp of a dead letter")
    return str(stamp)


def _positive(seconds: object) -> TypeGuard[float]:
    return isinstance(seconds, int | float) and 0 < seconds < math.inf
