"""How many turns begin at a time: a flood that computes delays others by few turns."""

from __future__ import annotations

import pytest

from supervision import (
    Agent,
    DispatchPolicy,
    Durability,
    Host,
    HostPolicy,
    Message,
    handler,
)
from supervision.fairness.pacing import StartPacing
from tests.support import ManualClock, eventually, spin

__all__: list[str] = []

POLICY = DispatchPolicy(quantum=0.008, pump=16)


def begun(pace: StartPacing, now: float, seconds: float = 0.0) -> int:
    """Count the turns of one round that take no time to begin."""
    pace.begin(now)
    count = 0
    while True:
        count += 1
        pace.hand(seconds)
        pace.run()
        if pace.enough(now):
            return count


def rounds(pace: StartPacing, passes: list[float], seconds: float = 0.0) -> list[int]:
    """Count the turns of each round; a pass of the loop takes so long after each."""
    now, found = 0.0, list[int]()
    for passed in passes:
        found.append(begun(pace, now, seconds))
        now += passed
    return found


def test_a_rush_begins_with_few_and_grows_while_passes_are_short() -> None:
    """O3, rule 12: up to the most that may be begun together."""
    assert rounds(StartPacing(POLICY), [0.0005] * 6) == [2, 4, 8, 16, 16, 16]


def test_long_passes_bring_the_number_down_to_one() -> None:
    """O3: whoever arrives waits for all that were begun."""
    passes = [0.0005, 0.0005, 0.005, 0.005, 0.005, 0.002, 0.002]

    assert rounds(StartPacing(POLICY), passes) == [2, 4, 8, 4, 2, 1, 1]


def test_turns_that_are_known_to_be_long_are_begun_one_by_one() -> None:
    """O3: a short pass says nothing about them."""
    pace = StartPacing(POLICY)
    rounds(pace, [0.0005] * 6)

    assert begun(pace, 1.0, seconds=0.002) == 2
    assert begun(pace, 2.0, seconds=0.004) == 1


def test_a_round_ends_when_its_quantum_is_over() -> None:
    """O3: turns that run where they are begun count for what they took."""
    pace = StartPacing(POLICY)
    rounds(pace, [0.0005] * 6)
    now = 1.0

    pace.begin(now)
    count = 1
    while not pace.enough(now):
        now += 0.003
        count += 1

    assert count == 4


def test_the_next_rush_begins_with_few_again() -> None:
    pace = StartPacing(POLICY)
    rounds(pace, [0.0005] * 6)

    pace.begin(1.0)
    pace.rest()

    assert begun(pace, 1.0) == 2
    assert repr(pace) == "<StartPacing batch=2 handed=0>"


def test_workers_that_did_not_begin_yet_make_a_crowd() -> None:
    """O3: what arrives by itself counts as well."""
    pace = StartPacing(POLICY)
    pace.hand(0.0)
    before = pace.crowded
    pace.hand(0.0)
    after = pace.crowded
    pace.run()

    assert (before, after, pace.crowded) == (False, True, False)


class Compute(Message[None]):
    seconds: float


@pytest.mark.parametrize(("held_up", "at_once"), [(0.0, 1), (0.1, 1), (0.0, 25)])
async def test_a_flood_that_computes_delays_others_by_few_turns(
    clock: ManualClock, held_up: float, at_once: int
) -> None:
    """O3: also when the loop was held up before, and between crowds of quick turns."""
    crunched: list[float] = []
    delays: list[int] = []

    class Crunch(Agent):
        @handler
        async def compute(self, message: Compute) -> None:
            clock.advance(message.seconds)
            crunched.append(message.seconds)

    class Look(Message[None]):
        since: int

    class Looker(Agent):
        @handler
        async def look(self, message: Look) -> None:
            delays.append(len(crunched) - message.since)

    policy = HostPolicy(dispatch=DispatchPolicy(inline=0))
    async with Host("memory://", clock=clock, policy=policy) as host:
        crunchers = host.manager("crunchers", Crunch, durability=Durability.NONE)
        lookers = host.manager("lookers", Looker, durability=Durability.NONE)
        light = [await lookers.get("k", partition=f"p{n}") for n in range(100)]
        for n in range(120):
            hog = await crunchers.get(f"k{n}", partition="flood")
            await hog.tell(Compute(0.002))
        clock.advance(held_up)
        for n, ref in enumerate(light):
            if n % at_once == 0:
                await spin(5)
            await ref.tell(Look(len(crunched)))
        await eventually(lambda: len(delays) == 100 and len(crunched) == 120)

    assert max(delays) <= 3


async def test_what_the_loop_did_before_a_turn_began_is_not_charged(
    clock: ManualClock,
) -> None:
    """O3: a partition pays for its seat from the moment it can use it."""

    class Crunch(Agent):
        @handler
        async def compute(self, message: Compute) -> None:
            clock.advance(message.seconds)

    async with Host("memory://", clock=clock) as host:
        crunchers = host.manager("crunchers", Crunch, durability=Durability.NONE)
        ref = await crunchers.get("one", partition="acme")
        await ref.tell(Compute(0.25))
        clock.advance(3.0)
        await eventually(lambda: host.statistics().free_seats == 512)

        account = host.runtime.dispatcher.account("acme")

    assert account is not None
    assert account.tag == pytest.approx(0.25)
