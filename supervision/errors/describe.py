"""What the caller of an ask gets for an exception, of whatever kind that is.

An exception of user code may refuse notes, raise in its own ``__str__``, or be of a
kind that a future cannot carry. The runtime has to go on in every case.
"""

from __future__ import annotations

import contextlib

from persistence import Address, PodsError

from .agents import AgentCrashed

__all__ = ["as_told", "describe_error"]

_MAX_TEXT = 300


def as_told(error: BaseException, address: Address, where: str) -> Exception:
    """Return the error for the caller: the exception with a note, or a stand-in.

    ``StopIteration`` has a stand-in too: neither a future nor a coroutine can carry it.
    """
    if not isinstance(error, Exception) or isinstance(
        error, StopIteration | StopAsyncIteration
    ):
        return AgentCrashed(address, where, describe_error(error))
    if not isinstance(error, PodsError):
        note = f"raised in {where} at {address}; undone"
        # The exception may be frozen. One that is raised again has its note already.
        with contextlib.suppress(Exception):
            if note not in getattr(error, "__notes__", ()):
                error.add_note(note)
    return error


def describe_error(error: BaseException) -> str:
    """Return type and text of an exception, cut off after 300 characters."""
    kind = type(error).__qualname__
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  its __str__ is user code
        return kind
    if len(text) > _MAX_TEXT:
        text = f"{text[: _MAX_TEXT - 1]}…"
    return f"{kind}: {text}" if text else kind
