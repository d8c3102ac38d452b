"""What a partition has done so far, as plain integers."""

from __future__ import annotations

import attrs

__all__ = [
    "Counters",
]


@attrs.define(eq=False)
class Counters:
    """Numbers of one partition since its host started; all of them only grow.

    Attributes:
        asks: requests accepted.
        tells: one-way messages accepted.
        handled: messages whose handler returned.
        failed: messages whose handler raised, crashes included.
        rejected: messages refused by a full mailbox.
        crashes: ends of an instance by an exception, in a handler or a hook.
        quarantines: instances that were put in quarantine.
        starts: activations without a stored state.
        thaws: activations from a stored state.
        hibernations: instances that left memory with their state saved.
        saves: commits of state.
        save_failures: commits that the store refused.
        dead_letters: durable messages that nobody could handle.
        blocks: times that a handler blocked the event loop.
    """

    asks: int = 0
    tells: int = 0
    handled: int = 0
    failed: int = 0
    rejected: int = 0
    crashes: int = 0
    quarantines: int = 0
    starts: int = 0
    thaws: int = 0
    hibernations: int = 0
    saves: int = 0
    save_failures: int = 0
    dead_letters: int = 0
    blocks: int = 0
