"""What a partition is due, and how a host shares its seats: values, no behaviour."""

from __future__ import annotations

import enum
import math
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs
from attrs import validators

from persistence import check_name

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DispatchPolicy", "Priority", "Share"]


class Priority(enum.IntEnum):
    """How urgent a message is among the others of its own partition.

    An urgent message gains nothing against other partitions. A message that waits long
    enough comes before a younger one of any priority (``DispatchPolicy.penalties``).
    """

    URGENT = 0
    NORMAL = 1
    BACKGROUND = 2


def _finite(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not math.isfinite(value):
        msg = f"{attribute.name}={value} is refused. Give a finite number."
        raise ValueError(msg)


def _cap_of(share: Share) -> int:
    return share.cap


def _check_hard_cap(share: Share, _: attrs.Attribute[int], value: int) -> None:
    if value < share.cap:
        msg = f"hard_cap={value} is below cap={share.cap}. Give the cap or more."
        raise ValueError(msg)


def _check_penalties(
    _: object,
    __: attrs.Attribute[tuple[float, float, float]],
    value: tuple[float, float, float],
) -> None:
    if not 0 <= value[0] <= value[1] <= value[2]:
        msg = f"penalties={value} is refused. Give three rising numbers from 0 up."
        raise ValueError(msg)


def _resources(given: Mapping[str, int]) -> Mapping[str, int]:
    # Checked at run time too, for callers without a type checker.
    for name, units in given.items():
        check_name(name, "resource")
        if type(units) is not int or units < 1:
            msg = f"resources[{name!r}]={units!r} is refused. Give a count from 1 up."
            raise ValueError(msg)
    return MappingProxyType(dict(given))


@attrs.frozen(kw_only=True)
class Share:
    """What one partition is due of the seats of its host.

    Attributes:
        weight: its part relative to the others' when there are not enough seats for
            all; above 0.
        cap: seats it may hold whatever the others do; from 1.
        hard_cap: seats it may hold while no other partition wants them; by default the
            cap.
        burst: seat-seconds above the cap that it may run up; it works them off by
            staying below the cap.
        backlog: messages that may wait; from 1; ``None``: as many as the host has room
            for.

    Raises:
        ValueError: a number is out of its range, or the hard cap is below the cap.
    """

    weight: float = attrs.field(default=1.0, validator=[validators.gt(0), _finite])
    cap: int = attrs.field(default=64, validator=validators.ge(1))
    hard_cap: int = attrs.field(
        default=attrs.Factory(_cap_of, takes_self=True), validator=_check_hard_cap
    )
    burst: float = attrs.field(default=0.0, validator=[validators.ge(0), _finite])
    backlog: int | None = attrs.field(
        default=None, validator=validators.optional(validators.ge(1))
    )


@attrs.frozen(kw_only=True)
class DispatchPolicy:
    """How the turns of many partitions share one host.

    Attributes:
        seats: turns of all partitions that may run together.
        headroom: free seats that no partition above its cap gets.
        share: what a partition without a policy of its own is due.
        penalties: seconds by which an urgent, a normal and a background item count as
            younger than they are; ``math.inf``: only when nothing else waits.
        estimate: expected seconds of a handler that has not run yet.
        accrual: seconds between two charges of a running turn for what it has used.
        pump: turns started before the loop goes on with other work.
        quantum: seconds after which a turn takes no further message, the dispatcher
            starts no further turn before the loop goes on with other work, and a
            partition runs nothing more in its senders' steps within one pass of the
            loop.
        inline: turns of one partition that may run in their senders' steps within one
            pass of the event loop; its further senders wait for the next pass; 0: every
            message queues.
        backlog: messages that may wait on the whole host.
        backlog_share: how much of the room that is left a partition of weight 1 may
            fill: its backlog stays below ``backlog_share`` times the free places.
        reserve: room above ``backlog``, as a part of it, for the messages of handlers
            to their own children; they are not refused while there is some.
        memory: seconds for which the account of an idle partition is kept.
        resources: what handlers may need in addition to a seat
            (``@handler(needs="ocr")``): the number of turns that may have it at a
            time, by name.

    Raises:
        ValueError: a number is out of its range.
        InvalidName: the name of a resource does not match ``[a-z][a-z0-9_]{0,62}``.
    """

    seats: int = attrs.field(default=512, validator=validators.ge(1))
    headroom: int = attrs.field(default=0, validator=validators.ge(0))
    share: Share = attrs.field(factory=Share)
    penalties: tuple[float, float, float] = attrs.field(
        default=(0.0, 30.0, 300.0), validator=_check_penalties
    )
    estimate: float = attrs.field(default=0.001, validator=validators.gt(0))
    accrual: float = attrs.field(default=1.0, validator=validators.gt(0))
    pump: int = attrs.field(default=64, validator=validators.ge(1))
    quantum: float = attrs.field(default=0.005, validator=validators.gt(0))
    inline: int = attrs.field(default=64, validator=validators.ge(0))
    backlog: int = attrs.field(default=100_000, validator=validators.ge(1))
    backlog_share: float = attrs.field(default=1.0, validator=validators.gt(0))
    reserve: float = attrs.field(default=0.25, validator=validators.ge(0))
    memory: float = attrs.field(default=3_600.0, validator=validators.ge(0))
    resources: Mapping[str, int] = attrs.field(
        factory=dict[str, int], converter=_resources, hash=False
    )
