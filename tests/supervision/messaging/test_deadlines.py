"""Time limits of asks: each ends at its own time, on one timer of the clock."""

from __future__ import annotations

import asyncio

import pytest

from persistence import Address
from supervision import AskTimeout, HostClosed
from supervision.agents.mailbox import Envelope
from supervision.messaging.deadlines import Deadlines
from tests.support import Add, ManualClock

__all__: list[str] = []

ADDRESS = Address("acme", "counters", "one")


def ask() -> Envelope:
    envelope = Envelope(Add())
    envelope.reply = asyncio.get_running_loop().create_future()
    return envelope


def failure(envelope: Envelope) -> BaseException | None:
    assert envelope.reply is not None
    return envelope.reply.exception() if envelope.reply.done() else None


async def test_each_ask_fails_at_its_own_time() -> None:
    clock = ManualClock()
    deadlines = Deadlines(clock, 30.0)
    first, second = ask(), ask()

    deadlines.add(first, ADDRESS)
    clock.advance(10.0)
    deadlines.add(second, ADDRESS)
    clock.advance(20.0)

    assert isinstance(failure(first), AskTimeout)
    assert failure(second) is None
    clock.advance(9.0)
    assert failure(second) is None
    clock.advance(1.0)
    assert isinstance(failure(second), AskTimeout)


async def test_an_ask_that_is_over_is_let_alone() -> None:
    clock = ManualClock()
    deadlines = Deadlines(clock, 30.0)
    over, late = ask(), ask()
    deadlines.add(over, ADDRESS)
    deadlines.add(late, ADDRESS)

    deadlines.remove(over)
    clock.advance(30.0)

    assert failure(over) is None
    with pytest.raises(AskTimeout, match="did not answer Add within 30 s"):
        raise failure(late) or AssertionError


async def test_one_timer_does_for_all_and_none_is_left_behind() -> None:
    clock = ManualClock()
    deadlines = Deadlines(clock, 30.0)

    for _ in range(100):
        envelope = ask()
        deadlines.add(envelope, ADDRESS)
        deadlines.remove(envelope)

    assert clock.pending() == 1
    clock.advance(30.0)
    assert clock.pending() == 0


async def test_nobody_waits_for_a_host_that_is_gone() -> None:
    clock = ManualClock()
    deadlines = Deadlines(clock, 30.0)
    left = ask()
    deadlines.add(left, ADDRESS)

    deadlines.close()

    assert isinstance(failure(left), HostClosed)
    assert clock.pending() == 0
