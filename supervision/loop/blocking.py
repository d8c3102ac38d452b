"""What follows when a handler blocks the event loop: a pure decision.

While one handler blocks, every tenant of the host waits. A block is an *offence* of the
handler. The policy sets how many offences, within how many seconds, lead to which
action.
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
    """What is done about a handler that blocks the loop again and again.

    ``WARN``: nothing more than the log. ``LOWER``: the weight of its partition is
    halved for a while. ``OFFLOAD``: a ``def`` handler runs in a thread from then on,
    for that partition. ``QUARANTINE``: the instance may not start until a person
    releases it. The log names the handler in every case.
    """

    WARN = "warn"
    LOWER = "lower"
    OFFLOAD = "offload"
    QUARANTINE = "quarantine"


@attrs.frozen(kw_only=True)
class BlockingPolicy:
    """How many offences are tolerated, and what follows.

    Attributes:
        action: what is done when ``offences`` is reached.
        offences: blocks within ``window`` that lead to the action; from 1.
        window: seconds over which they are counted; above 0.
        lowered_for: seconds after which a lowered weight is restored; above 0.
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
    """Return what follows the latest block.

    Args:
        policy: the policy of the tenant, or of the manager.
        offences: monotonic times of the blocks in seconds, the latest last.
        now: the present time on the same scale.
    """
    recent = sum(1 for at in offences if now - at < policy.window)
    return policy.action if recent >= policy.offences else OnBlock.WARN
