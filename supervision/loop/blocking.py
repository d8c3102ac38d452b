"""What follows when a handler blocks the event loop: a pure decision.

While one handler blocks, every tenant of the host waits. A block is an *offence* of the
handler that did it; how many within how long lead to what is the policy's to say.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import attrs
from attrs import validators

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BlockingPolicy", "OnBlock", "decide_block"]


class OnBlock(enum.Enum):
    """What is done about a handler that keeps blocking the loop.

    ``WARN``: it is named in the log, and that is all. ``LOWER``: its partition's weight
    is halved for a while. ``OFFLOAD``: a ``def`` handler runs in a thread from then on,
    for that partition. ``QUARANTINE``: the instance may not start until somebody has
    looked. The log names it in every case.
    """

    WARN = "warn"
    LOWER = "lower"
    OFFLOAD = "offload"
    QUARANTINE = "quarantine"


@attrs.frozen(kw_only=True)
class BlockingPolicy:
    """How much blocking is borne, and what follows.

    Attributes:
        action: what is done at the last offence that is borne.
        offences: blocks within ``window`` that lead to the action.
        window: seconds over which they are counted.
        lowered_for: seconds after which a lowered weight is put back.
    """

    action: OnBlock = attrs.field(
        default=OnBlock.WARN, validator=validators.instance_of(OnBlock)
    )
    offences: int = attrs.field(default=3, validator=validators.ge(1))
    window: float = attrs.field(default=60.0, validator=validators.gt(0))
    lowered_for: float = attrs.field(default=60.0, validator=validators.gt(0))


def decide_block(
    policy: BlockingPolicy, offences: Sequence[float], now: float
) -> OnBlock:
    """Say what follows the latest block.

    Args:
        policy: the tenant's policy, or the manager's.
        offences: monotonic times of the blocks in seconds, the latest last.
        now: the present on the same scale.
    """
    recent = sum(1 for at in offences if now - at < policy.window)
    return policy.action if recent >= policy.offences else OnBlock.WARN
