"""What follows a turn: the one knot in the wiring of a host.

A turn ends in this room, and this room begins turns. So the committer is made first,
with these hooks, and the host fills them in once, before any instance exists. They are
attributes and not methods: a hook then costs the one call that it leads to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from persistence import Address, Claim

    from ..agents import Envelope, Instance, Partition

__all__ = ["TurnHooks"]


@attrs.define(eq=False)
class TurnHooks:
    """The hooks of one host; see ``execution.Hooks`` for what each has to do.

    Attributes:
        settled: goes on with an instance whose turn is over.
        crashed: decides what follows a crash.
        fenced: ends an instance whose row or mail was changed by another host.
        reload: starts an instance again from what is stored.
        deliver: hands a committed message to its target.
        withdraw: gives back the place of a message that was undone.
        claim: takes a partition over.
    """

    settled: Callable[[Instance], None] = attrs.field(init=False)
    crashed: Callable[[Instance, BaseException, str], None] = attrs.field(init=False)
    fenced: Callable[[Instance, BaseException], None] = attrs.field(init=False)
    reload: Callable[[Instance], None] = attrs.field(init=False)
    deliver: Callable[[Address, Envelope], None] = attrs.field(init=False)
    withdraw: Callable[[Address], None] = attrs.field(init=False)
    claim: Callable[[Partition], asyncio.Future[Claim]] = attrs.field(init=False)
