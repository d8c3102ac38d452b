"""Settings of a manager, and when a crashed instance comes back.

The restart is a pure decision over the times of the crashes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs
from attrs import validators

from .phases import Durability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..loop import BlockingPolicy

__all__ = [
    "GiveUp",
    "ManagerPolicy",
    "RestartAfter",
    "RestartPolicy",
    "StayDown",
    "decide",
]


@attrs.frozen(kw_only=True)
class RestartPolicy:
    """How often and how fast one instance may come back.

    The budget is per (partition, key): a crash loop uses up its own and no other,
    and neither hibernation nor a stop gives it back.

    Attributes:
        max_restarts: crashes within ``window`` that are followed by a restart; one
            more quarantines the instance. 0 quarantines at the first crash.
        window: seconds over which crashes are counted.
        first_delay: seconds before the second restart; the first is immediate.
        factor: by which each further delay grows.
        max_delay: seconds that no delay exceeds.
        restart: ``False`` leaves a crashed instance down until the next ``get``.
    """

    max_restarts: int = attrs.field(default=10, validator=validators.ge(0))
    window: float = attrs.field(default=60.0, validator=validators.gt(0))
    first_delay: float = attrs.field(default=0.05, validator=validators.ge(0))
    factor: float = attrs.field(default=2.0, validator=validators.ge(1))
    max_delay: float = attrs.field(default=5.0, validator=validators.ge(0))
    restart: bool = True


@attrs.frozen
class RestartAfter:
    """Start again after so many seconds."""

    delay: float


@attrs.frozen
class GiveUp:
    """Quarantine, for this reason."""

    reason: str


@attrs.frozen
class StayDown:
    """Leave it down; the next ``get`` starts it."""


Decision: TypeAlias = RestartAfter | GiveUp | StayDown


def decide(policy: RestartPolicy, crashes: Sequence[float], now: float) -> Decision:
    """Decide what follows the latest crash.

    Args:
        policy: the manager's policy.
        crashes: monotonic times of the crashes in seconds, the latest last.
        now: the present on the same scale.
    """
    recent = sum(1 for at in crashes if now - at < policy.window)
    if recent > policy.max_restarts:
        return GiveUp(f"it crashed {recent} times within {policy.window:g} s.")
    if not policy.restart:
        return StayDown()
    if recent <= 1:
        return RestartAfter(0.0)
    grown = policy.first_delay * policy.factor ** min(recent - 2, 64)
    return RestartAfter(min(grown, policy.max_delay))


@attrs.frozen(kw_only=True)
class ManagerPolicy:
    """How a manager treats its instances.

    Attributes:
        durability: when state is written.
        idle_timeout: seconds without traffic or attachments after which an instance
            hibernates; ``None``: only when stopped.
        interval: seconds between writes with ``Durability.INTERVAL``.
        mailbox: messages that may wait for one instance.
        ask_timeout: seconds an ask waits unless it says otherwise.
        start_timeout: seconds that ``on_start`` may take.
        stop_timeout: seconds that a stop may take before it cancels the running turn.
        batch: messages that one turn handles at most.
        restart: what follows a crash.
        blocking: what follows when a handler blocks the loop; ``None``: what
            ``WatchdogPolicy`` says.
    """

    durability: Durability = Durability.TURN
    idle_timeout: float | None = attrs.field(
        default=None, validator=validators.optional(validators.ge(0))
    )
    interval: float = attrs.field(default=5.0, validator=validators.gt(0))
    mailbox: int = attrs.field(default=1_000, validator=validators.ge(1))
    ask_timeout: float = attrs.field(default=30.0, validator=validators.gt(0))
    start_timeout: float = attrs.field(default=30.0, validator=validators.gt(0))
    stop_timeout: float = attrs.field(default=30.0, validator=validators.gt(0))
    batch: int = attrs.field(default=8, validator=validators.ge(1))
    restart: RestartPolicy = attrs.field(factory=RestartPolicy)
    blocking: BlockingPolicy | None = None
