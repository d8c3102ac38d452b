"""The functions called at the end of a turn: the one cycle in a host's wiring.

A turn ends in this room, and this room begins turns. So the host builds the committer
first, with these hooks, and sets the hooks once, before any instance exists. The hooks
are attributes and not methods: a call of one then costs no second call.
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
    """The hooks of one host; ``execution.Hooks`` documents what each has to do.

    All are set before the first instance is published. Execution and ``Activation``
    call them.

    Attributes:
        settled: starts what is next for an instance after its turn.
        crashed: decides what follows a crash.
        fenced: ends an instance whose row or mail was changed by another host.
        reload: starts an instance again from its stored rows.
        deliver: delivers a committed message to its target.
        withdraw: gives back the mailbox place of a message that was undone.
        claim: claims a partition for this host.
    """

    settled: Callable[[Instance], None] = attrs.field(init=False)
    crashed: Callable[[Instance, BaseException, str], None] = attrs.field(init=False)
    fenced: Callable[[Instance, BaseException], None] = attrs.field(init=False)
    reload: Callable[[Instance], None] = attrs.field(init=False)
    deliver: Callable[[Address, Envelope], None] = attrs.field(init=False)
    withdraw: Callable[[Address], None] = attrs.field(init=False)
    claim: Callable[[Partition], asyncio.Future[Claim]] = attrs.field(init=False)
