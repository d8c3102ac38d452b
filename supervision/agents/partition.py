"""What one host knows of one partition: its claim, its counts, its numbers."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING

import attrs

from persistence import Address, Claim, Key, Quarantine

if TYPE_CHECKING:
    import asyncio

    from ..declaration import HandlerSpec
    from ..fairness import PartitionBacklog
    from ..loop import LoopTime
    from ..tenants import TenantPolicy

from ..telemetry import STAMP, Counters, LatencyWindow

__all__ = ["REMEMBERED", "Partition"]

REMEMBERED = 256
"""Instances that left memory after a crash whose restart budget is kept."""


@attrs.define(eq=False)
class Partition:
    """The runtime side of a partition.

    Attributes:
        name: the partition id.
        backlog: its messages in mailboxes, and its turns of this pass of the loop.
        policy: what its tenant may use, for the turns that begin from now on.
        context: the execution context its turns start from; it carries the stamp for
            logs and nothing else, so no tenant's context variables reach another.
        counters: its numbers since the host started.
        claim: ownership of its rows; ``None`` until the first instance needs them.
        claiming: the claim that is under way.
        lost: another host has taken it; nothing of it runs here any more.
        quarantined: instances that may not start, by manager name and key.
        reserved: places in mailboxes that turns under way have taken, by address.
        attached: how many hold an address from idle hibernation.
        crashed: when those crashed that have left memory since, by manager and key.
        births: agent objects made here since the host started.
        latency: how its messages were answered in the last minute or two.
        halvings: how often its weight is halved at present.
        refused: its tenant was removed; what is live goes on, and nothing starts.
        moved: handlers that run in threads here, because they blocked the loop.
        loop: what its handlers have used of the loop, by manager name and handler,
            from the first step on.
    """

    name: str
    backlog: PartitionBacklog
    policy: TenantPolicy
    context: contextvars.Context = attrs.field(init=False)
    counters: Counters = attrs.field(factory=Counters)
    claim: Claim | None = None
    claiming: asyncio.Future[Claim] | None = None
    lost: bool = False
    reserved: dict[Address, int] = attrs.field(factory=dict[Address, int])
    attached: dict[Address, int] = attrs.field(factory=dict[Address, int])
    crashed: dict[tuple[str, Key], list[float]] = attrs.field(
        factory=dict[tuple[str, Key], list[float]]
    )
    births: int = 0
    latency: LatencyWindow = attrs.field(init=False)
    halvings: int = 0
    refused: bool = False
    moved: dict[tuple[str, str], HandlerSpec] | None = None
    loop: dict[tuple[str, str], LoopTime] | None = None
    quarantined: dict[tuple[str, Key], Quarantine] = attrs.field(
        factory=dict[tuple[str, Key], Quarantine]
    )

    def __attrs_post_init__(self) -> None:
        self.context = contextvars.Context()
        self.context.run(STAMP.set, self.name)
        self.latency = LatencyWindow(self.counters, self.loop_seconds)

    @property
    def queued(self) -> int:
        """Messages in its mailboxes."""
        return self.backlog.queued

    @property
    def response_target(self) -> float | None:
        """Seconds that its tenant's policy allows; ``None``: no target of its own."""
        return self.policy.response_target

    def step_of(self, manager: str, handler: object) -> float:
        """Return the seconds of the loop that one step of a handler takes, about."""
        time = None if self.loop is None else self.loop.get((manager, str(handler)))
        return 0.0 if time is None else time.seconds / time.steps

    def claimed(self, claim: Claim) -> None:
        """Keep the claim of this host, and what of the partition may not start."""
        self.claim = claim
        for mark in claim.quarantined:
            self.quarantined[mark.address.manager, mark.address.key] = mark

    def remember(self, address: Address, crashes: list[float]) -> None:
        """Keep the crashes of an instance that leaves memory, for its successor."""
        self.crashed[address.manager, address.key] = crashes
        if len(self.crashed) > REMEMBERED:
            del self.crashed[next(iter(self.crashed))]

    def loop_seconds(self) -> float:
        """Return the seconds for which its handlers have held the event loop."""
        return sum(time.seconds for time in list((self.loop or {}).values()))

    @property
    def epoch(self) -> int:
        """The owner epoch; 0 while nothing is claimed."""
        return self.claim.epoch if self.claim is not None else 0
