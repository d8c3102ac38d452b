"""Blocking work of the storage in a thread that is always free.

The threads that an application shares (``anyio.to_thread``, ``asyncio.to_thread``) may
all be taken by the handlers of one tenant. The storage must not wait for those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, TypeVarTuple, Unpack

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["own_thread"]

T = TypeVar("T")
A = TypeVarTuple("A")


async def own_thread(work: Callable[[Unpack[A]], T], *arguments: *A) -> T:
    """Call a function in a thread of its own, and return its result."""
    limiter = anyio.CapacityLimiter(1)
    return await anyio.to_thread.run_sync(work, *arguments, limiter=limiter)
