"""What an asker is told of an exception, whatever that exception is.

Users' exceptions may refuse notes, fail to print themselves, or be of a kind that a
future cannot carry. None of that may keep the runtime from going on.
"""

from __future__ import annotations

import contextlib

from persistence import Address, PodsError

from .agents import AgentCrashed

__all__ = ["as_told", "describe_error"]

_MAX_TEXT = 300


def as_told(error: BaseException, address: Address, where: str) -> Exception:
    """Return what the asker gets: the exception itself with a note, or its stand-in.

    ``StopIteration`` has a stand-in too: neither a future nor a coroutine can carry it.
    """
    if not isinstance(error, Exception) or isinstance(
        error, StopIteration | StopAsyncIteration
    ):
        return AgentCrashed(address, where, describe_error(error))
    if not isinstance(error, PodsError):
        note = f"raised in {where} at {address}; undone"
        # An exception may be frozen; one that is raised again has its note already.
        with contextlib.suppress(Exception):
            if note not in getattr(error, "__notes__", ()):
                error.add_note(note)
    return error


def describe_error(error: BaseException) -> str:
    """Return type and text of an exception in one short line."""
    kind = type(error).__qualname__
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  its __str__ is the user's
        return kind
    if len(text) > _MAX_TEXT:
        text = f"{text[: _MAX_TEXT - 1]}…"
    return f"{kind}: {text}" if text else kind
