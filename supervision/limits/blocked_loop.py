"""The response to a handler that blocked the loop, made when the block is over."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

import attrs

from ..loop import BlockingPolicy, OnBlock, decide_block
from ..telemetry import partition_extra

if TYPE_CHECKING:
    from collections.abc import Callable

    from persistence import Clock

    from ..agents import Instance, Partition
    from ..loop import LoopTime

__all__ = ["BlockedLoopResponse"]

log = logging.getLogger("podvisor.watchdog")


@attrs.define(eq=False)
class BlockedLoopResponse:
    """Counts the blocks of each handler in each partition, and acts on them.

    It runs on the loop and holds no counts: they are kept in ``LoopTime``. The meter
    calls ``ended`` after each block.

    Attributes:
        clock: gives the monotonic times of blocks.
        default: the policy where neither the tenant nor the manager has one.
        lower: halves the weight of a partition for a number of seconds.
        move: makes a handler run in a thread from then on; returns whether it can.
    """

    clock: Clock
    default: BlockingPolicy
    lower: Callable[[Partition, float], None]
    move: Callable[[Instance, str], bool]

    def ended(
        self, instance: Instance, handler: str, seconds: float, time: LoopTime
    ) -> None:
        """Count a block, take the action of the policy in force, and log both.

        The turn may still go on.

        Args:
            instance: the instance whose step blocked the loop.
            handler: the handler of that step.
            seconds: how long the step held the loop.
            time: the loop time of the handler in that partition.
        """
        partition = instance.partition
        partition.counters.blocks += 1
        policy = self._policy(instance)
        now = self.clock.monotonic()
        time.offences = [*(time.offences or ()), now][-policy.offences :]
        action = self._act(
            decide_block(policy, time.offences, now), instance, handler, time, policy
        )
        with contextlib.suppress(Exception):  # an application's log handler may raise
            log.warning(
                "handler.blocked",
                extra=partition_extra(
                    partition.name,
                    manager=instance.manager.name,
                    agent=instance.manager.spec.agent.__qualname__,
                    key=str(instance.address.key),
                    handler=handler,
                    seconds=round(seconds, 3),
                    action=action.value,
                ),
            )

    def _policy(self, instance: Instance) -> BlockingPolicy:
        tenant = instance.policy_in_force().blocking
        return tenant or instance.manager.policy.blocking or self.default

    def _act(
        self,
        action: OnBlock,
        instance: Instance,
        handler: str,
        time: LoopTime,
        policy: BlockingPolicy,
    ) -> OnBlock:
        """Take an action; return the action that was possible."""
        match action:
            case OnBlock.WARN:
                return action
            case OnBlock.LOWER:
                self.lower(instance.partition, policy.lowered_for)
            case OnBlock.OFFLOAD:
                if not self.move(instance, handler):
                    return OnBlock.WARN
            case OnBlock.QUARANTINE:
                count = len(time.offences or ())
                instance.condemned = (
                    f"{handler} blocked the event loop {count} times within "
                    f"{policy.window:g} s."
                )
        time.offences = None
        return action
