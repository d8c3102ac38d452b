"""What happened in a partition so far, as plain integers."""

from __future__ import annotations

import attrs

__all__ = [
    "Counters",
]


@attrs.define(eq=False)
class Counters:
    """Counts of one partition since its host started; none ever falls.

    Attributes:
        asks: requests accepted.
        tells: one-way messages accepted.
        handled: messages whose handler returned.
        failed: messages whose handler raised, crashes included.
        rejected: messages refused by a full mailbox.
        crashes: instances that ended by an exception, in a handler or a hook.
        quarantines: instances that were put in quarantine.
        starts: activations without a stored state.
        thaws: activations from a stored state.
        hibernations: instances that left memory with their state saved.
        saves: commits of state.
        save_failures: commits that the store refused.
        dead_letters: durable messages that could not be handled.
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
