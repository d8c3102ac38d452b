"""Work that goes on to its end although its caller is cancelled."""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["finish"]

T = TypeVar("T")


async def finish(work: Callable[[], Coroutine[object, object, T]], name: str) -> T:
    """Run work in a task of its own, and wait for its end, cancelled or not.

    The work needs deadlines of its own. A cancellation is passed on when it has ended.

    Args:
        work: builds the coroutine.
        name: name of its task, for reports.

    Raises:
        Exception: whatever the work raised.
    """
    import anyio  # noqa: PLC0415  a tenth of the import time of the whole package

    task = asyncio.get_running_loop().create_task(
        work(), name=name, context=contextvars.Context()
    )
    cancelled: asyncio.CancelledError | None = None
    # A shield of anyio does not stop Task.cancel(), hence the loop. An anyio scope
    # cancels again and again, hence the shield.
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError as error:  # noqa: ASYNC103  raised below
                cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not log it
        raise cancelled
    return task.result()
