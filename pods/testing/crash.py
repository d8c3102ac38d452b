"""The end of a process, as its host feels it: no clean-up, nothing saved."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from persistence import StoreClosed

if TYPE_CHECKING:
    from supervision import Host

__all__ = ["abandon"]

_GRACE = 1.0
"""Seconds that user code gets which does not end when it is cancelled."""
_PASSES = 5
"""Passes of the loop in which callbacks of what was cancelled run out."""


async def abandon(host: Host) -> None:
    """Leave a host as a killed process does; its storage must be dead already.

    A caller that waits for an answer gets ``StoreClosed`` and does not wait without
    end. Every task of it has ended when this returns; leaving its block does nothing.
    """
    runtime = host.runtime
    runtime.state.open = False
    runtime.state.closing = True
    runtime.idle.close()
    for instance in runtime.registries.instances():
        while instance.mail:  # before the stop, which would answer otherwise
            instance.mail.take().refuse(StoreClosed())
        _ = runtime.stopping.stop(instance, discard=True)  # or it would be restarted
    await _end_tasks(host)
    for instance in runtime.registries.instances():
        runtime.removal.fail(instance, StoreClosed())
    await _end_tasks(host)


async def _end_tasks(host: Host) -> None:
    await host.runtime.workers.end(_GRACE)
    await host.runtime.background.end(_GRACE)
    for _ in range(_PASSES):
        await asyncio.sleep(0)
