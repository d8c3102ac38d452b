"""Work that goes to its end although the one who asked for it is cancelled."""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["finish"]

T = TypeVar("T")


async def finish(work: Callable[[], Coroutine[object, object, T]], name: str) -> T:
    """Do work in a task of its own, and wait for its end, cancelled or not.

    It must have deadlines of its own. A cancellation goes on when the work has ended.

    Args:
        work: makes the coroutine.
        name: of its task, for reports.

    Raises:
        Exception: whatever the work raised.
    """
    import anyio  # noqa: PLC0415  a tenth of the import time of the whole package

    task = asyncio.get_running_loop().create_task(
        work(), name=name, context=contextvars.Context()
    )
    cancelled: asyncio.CancelledError | None = None
    # Each of asyncio and anyio has a cancellation that the other does not hold off.
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError as error:  # noqa: ASYNC103  raised below
                cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # seen: the cancellation is what counts
        raise cancelled
    return task.result()
