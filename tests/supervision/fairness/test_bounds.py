"""Bounds T1 to T7 and T9 of fair turns, and that each is missed by a planted mistake.

A bound is a function that makes a hypothesis test for a given core, so that the same
test runs against the real one and against one with a mistake in it.
"""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Callable

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervision.fairness.account import Ticket
from supervision.fairness.policy import DispatchPolicy, Priority, Share
from supervision.fairness.queue import FairQueue
from supervision.fairness.virtual_time import VirtualTime
from tests.supervision.fairness import mistakes
from tests.supervision.fairness.search import counterexample, planted, thorough
from tests.supervision.fairness.world import Item, World, make_dice, plain, spread

__all__: list[str] = []

Make = Callable[..., World]
Bound = Callable[[Make], Callable[[], None]]

seeds = st.integers(0, 2**32)
weights = st.sampled_from([0.5, 1.0, 2.0, 3.0, 5.0])


def with_queue(queue: type[FairQueue[Item]]) -> Make:
    return functools.partial(World, queue_type=queue)


def with_tags(tags: type[VirtualTime[Item]]) -> Make:
    return functools.partial(World, tags_type=tags)


def uncapped(policy: DispatchPolicy, given_weights: list[float]) -> dict[str, Share]:
    return {
        f"p{n}": Share(weight=weight, cap=policy.seats)
        for n, weight in enumerate(given_weights)
    }


# T1.


def work_is_conserved(make: Make, how: settings) -> Callable[[], None]:
    @how
    @given(
        st.integers(1, 6),
        st.lists(st.tuples(st.integers(1, 3), st.integers(0, 2)), min_size=1),
        st.lists(st.tuples(st.sampled_from("eeea"), st.integers(0, 99))),
    )
    def check(
        seats: int, caps: list[tuple[int, int]], operations: list[tuple[str, int]]
    ) -> None:
        shares = {
            f"p{n}": Share(cap=cap, hard_cap=cap + more, burst=2.0)
            for n, (cap, more) in enumerate(caps)
        }
        world = make(plain(seats), shares)
        for what, number in operations:
            if what == "e":
                world.enter(f"p{number % len(caps)}", 1.0 + number % 3)
            else:
                world.advance(number / 30)
            world.pump()
            assert world.left_out() == []
            assert all(
                account.seats <= account.share.hard_cap
                for account in world.queue.accounts.values()
            )
        world.drain()
        assert world.queue.waiting == 0
        assert world.queue.free == seats

    return check


# T2.


def units_are_shared_by_weight(make: Make, how: settings) -> Callable[[], None]:
    @how
    @given(
        st.integers(1, 8),
        st.lists(weights, min_size=2, max_size=6),
        st.integers(0, 20),
        seeds,
    )
    def check(seats: int, given_weights: list[float], late: int, seed: int) -> None:
        dice = make_dice(seed)
        policy = plain(seats)
        shares = uncapped(policy, given_weights)
        world = make(policy, shares)
        log: list[dict[str, int]] = []

        for step in range(60):
            ready = list(shares)[0 if step >= late else 1 :]
            for name in ready:
                keep_full(world, name, 10)
            world.advance(dice.choice([0.0, 0.5, 1.0]))
            world.pump()
            if step >= late:
                log.append(dict(world.served))

        for one, other in itertools.combinations(shares, 2):
            weight, another = shares[one].weight, shares[other].weight
            gaps = [at.get(one, 0) / weight - at.get(other, 0) / another for at in log]
            assert max(gaps) - min(gaps) <= 1 / weight + 1 / another + 1e-9

    return check


def keep_full(world: World, partition: str, depth: int, seconds: float = 1.0) -> None:
    account = world.account(partition)
    while account.waiting < depth:
        world.enter(partition, seconds)


# T3.


def settle_newcomer(world: World, rivals: list[str], dice: random.Random) -> None:
    """Let partitions work and rest by chance, then leave one idle and not ahead."""
    names = ["newcomer", *rivals]
    for _ in range(dice.randrange(12)):
        busy = [name for name in names if dice.random() < 0.5]
        for _ in range(dice.randrange(20)):
            for name in busy:
                world.enter(name, world.policy.estimate)
        world.pump()
        world.advance(dice.randrange(20))
    account = world.account("newcomer")
    while account.waiting or account.seats or account.tag > world.queue.tags.virtual:
        keep_full(world, rivals[0], 10)
        world.pump()
        world.finish()
    for name in rivals:
        keep_full(world, name, 12)
    world.pump()


def a_newcomer_waits_one_item_per_rival(
    make: Make, how: settings
) -> Callable[[], None]:
    @how
    @given(st.integers(1, 4), st.integers(1, 6), seeds)
    def check(seats: int, number: int, seed: int) -> None:
        world = make(plain(seats), {})
        rivals = [f"r{n}" for n in range(number)]
        settle_newcomer(world, rivals, make_dice(seed))
        begun: list[Ticket[Item]] = []
        world.on_dispatch = begun.append

        world.enter("newcomer")
        while not begun or begun[-1].account.partition != "newcomer":
            world.finish()
            world.pump()

        assert len(begun) - 1 <= number

    return check


def a_newcomer_waits_one_mean_and_one_item_per_rival(
    make: Make, how: settings
) -> Callable[[], None]:
    @how
    @given(st.integers(1, 4), st.integers(1, 5), seeds)
    def check(seats: int, number: int, seed: int) -> None:
        dice = make_dice(seed)
        longest = 3.0
        world = make(plain(seats), {})
        rivals = [f"r{n}" for n in range(number)]
        settle_newcomer(world, rivals, dice)
        for name in rivals:
            for _ in range(15):
                world.enter(name, spread(dice, 1.0, longest))
        begun: list[Ticket[Item]] = []
        world.on_dispatch = begun.append

        world.enter("newcomer")
        while not begun or begun[-1].account.partition != "newcomer":
            world.finish()
            world.pump()

        for name in rivals:
            took = sum(t.item.seconds for t in begun if t.account.partition == name)
            assert took <= 2 * longest

    return check


# T4 and T9: what is charged is time, and leaving and coming back earns none.


def time_is_shared_by_weight(make: Make, how: settings) -> Callable[[], None]:
    @how
    @given(
        st.integers(1, 6),
        st.lists(st.tuples(weights, st.floats(0.2, 8.0)), min_size=2, max_size=5),
        seeds,
    )
    def check(seats: int, kinds: list[tuple[float, float]], seed: int) -> None:
        dice = make_dice(seed)
        longest = 10.0
        policy = plain(seats)
        shares = uncapped(policy, [weight for weight, _ in kinds])
        means = dict(zip(shares, (mean for _, mean in kinds), strict=True))
        world = make(policy, shares)
        most = dict.fromkeys(shares, 0)

        for _ in range(120):
            for name, mean in means.items():
                account = world.account(name)
                while account.waiting < seats + 1:
                    world.enter(name, spread(dice, mean, longest))
                most[name] = max(most[name], account.seats)
            world.pump()
            world.now = world.running[0][0]
            world.finish()
            lead = {n: world.received(n) / s.weight for n, s in shares.items()}
            may = {n: longest * (most[n] + 1) / s.weight for n, s in shares.items()}
            for one, other in itertools.combinations(shares, 2):
                assert abs(lead[one] - lead[other]) <= may[one] + may[other] + 1e-6

    return check


def coming_and_going_gains_nothing(make: Make, how: settings) -> Callable[[], None]:
    """T9: one stays, one keeps a single item queued, on one seat: half and half."""

    @how
    @given(st.floats(0.5, 3.0), st.floats(0.5, 3.0), st.integers(20, 60))
    def check(stays: float, returns: float, rounds: int) -> None:
        world = make(attrs.evolve(plain(1), memory=0.0), {})
        got = {"stays": 0.0, "returns": 0.0}

        def count(begun: Ticket[Item]) -> None:
            got[begun.account.partition] += begun.item.seconds

        world.on_dispatch = count
        for turn in range(rounds):
            for passer in range(3):  # each makes the core look whom it may forget
                world.account(f"passer-by {turn} {passer}")
            keep_full(world, "stays", 3, stays)
            if world.account("returns").waiting == 0:
                world.enter("returns", returns)
            world.pump()
            world.finish()

        assert abs(got["stays"] - got["returns"]) <= 2 * (stays + returns)

    return check


# T5.


def shares_are_weighted_max_min(make: Make, how: settings) -> Callable[[], None]:
    """T5: weights 5:1:1:1, cap 3 on the first, 20 seats: 3 / 5.67 / 5.67 / 5.67."""

    @settings(how, max_examples=how.max_examples // 20)
    @given(seeds)
    def check(seed: int) -> None:
        dice = make_dice(seed)
        shares = {f"p{n}": Share(weight=1, cap=20) for n in range(1, 4)}
        shares["p0"] = Share(weight=5, cap=3)
        world = make(plain(20), shares)
        for name in [*shares] * 21:
            world.enter(name, spread(dice, 1.0, 5.0))
        while world.now < 150.0:
            for begun in world.pump():
                name = begun.account.partition
                world.enter(name, spread(dice, 1.0, 5.0))
            world.finish()

        got = {name: world.received(name) / world.now for name in shares}
        assert got["p0"] == pytest.approx(3, rel=0.03)
        for name in ("p1", "p2", "p3"):
            assert got[name] == pytest.approx(17 / 3, rel=0.03)

    return check


def lifting_a_cap_gives_no_monopoly(make: Make, how: settings) -> Callable[[], None]:
    """T5: what waited for its own cap has no credit when the cap is lifted."""

    @how
    @given(st.integers(2, 6), st.integers(10, 60))
    def check(seats: int, before: int) -> None:
        world = make(plain(seats), {"capped": Share(cap=1)})
        for _ in range(before):
            for name in ("capped", "free"):
                keep_full(world, name, seats + 1)
            world.pump()
            world.finish()
        world.pump()

        world.queue.set_share("capped", Share(cap=seats), world.now)
        begun: list[Ticket[Item]] = []
        world.on_dispatch = begun.append
        while len(begun) < 10:
            for name in ("capped", "free"):
                keep_full(world, name, seats + 1)
            world.finish()
            world.pump()

        own = sum(1 for ticket in begun[:10] if ticket.account.partition == "capped")
        assert own <= 7

    return check


# T6.


def bursts_are_bounded(make: Make, how: settings) -> Callable[[], None]:
    @how
    @given(
        st.integers(1, 3),
        st.integers(0, 5),
        st.floats(0.0, 20.0),
        st.integers(0, 3),
        seeds,
    )
    def check(cap: int, more: int, burst: float, headroom: int, seed: int) -> None:
        dice = make_dice(seed)
        longest = 4.0
        share = Share(cap=cap, hard_cap=cap + more, burst=burst)
        world = make(attrs.evolve(plain(10), headroom=headroom), {"p": share})
        held: list[tuple[float, int]] = []
        for _ in range(100):
            if dice.random() < 0.8:
                world.enter("p", spread(dice, 2.0, longest))
            world.pump()
            seats, began = world.account("p").seats, world.now
            step = dice.random()
            if world.running and world.running[0][0] - world.now <= step:
                world.finish()
            else:
                world.advance(step)
            held.append((world.now - began, seats))

        worst = running = 0.0  # the largest sum of a window, found as it goes
        for seconds, seats in held:
            running = max(0.0, running + (seats - cap) * seconds)
            worst = max(worst, running)
        assert worst <= burst + more * longest + 1e-6

    return check


# T7.


def nothing_waits_longer_than_its_penalty(
    make: Make, how: settings
) -> Callable[[], None]:
    penalties = (0.0, 5.0, 20.0)

    @how
    @given(
        st.lists(
            st.tuples(st.sampled_from(list(Priority)), st.floats(0.0, 2.0)),
            max_size=60,
        )
    )
    def check(arrivals: list[tuple[Priority, float]]) -> None:
        world = make(attrs.evolve(plain(1), penalties=penalties), {})

        def look(begun: Ticket[Item]) -> None:
            for waiting in world.account("p").tickets():
                assert begun.at <= waiting.at + penalties[waiting.lane]

        world.on_dispatch = look
        for priority, pause in arrivals:
            world.enter("p", 1.5, priority=priority)
            world.pump()
            world.advance(pause)
        world.drain()
        assert world.queue.waiting == 0

    return check


BOUNDS = [
    work_is_conserved,
    units_are_shared_by_weight,
    a_newcomer_waits_one_item_per_rival,
    a_newcomer_waits_one_mean_and_one_item_per_rival,
    time_is_shared_by_weight,
    shares_are_weighted_max_min,
    lifting_a_cap_gives_no_monopoly,
    bursts_are_bounded,
    nothing_waits_longer_than_its_penalty,
    coming_and_going_gains_nothing,
]

CAUGHT = [
    (work_is_conserved, with_queue(mistakes.LeavesOut)),
    (units_are_shared_by_weight, with_tags(mistakes.IgnoresWeights)),
    (a_newcomer_waits_one_item_per_rival, with_tags(mistakes.BanksItsIdleness)),
    (
        a_newcomer_waits_one_mean_and_one_item_per_rival,
        with_tags(mistakes.BanksEverything),
    ),
    (time_is_shared_by_weight, with_tags(mistakes.ChargesPerDispatch)),
    (time_is_shared_by_weight, with_tags(mistakes.IgnoresWeights)),
    (shares_are_weighted_max_min, with_queue(mistakes.IgnoresCaps)),
    (lifting_a_cap_gives_no_monopoly, with_tags(mistakes.BanksItsCap)),
    (bursts_are_bounded, with_queue(mistakes.IgnoresDebt)),
    (bursts_are_bounded, with_queue(mistakes.IgnoresCaps)),
    (nothing_waits_longer_than_its_penalty, with_queue(mistakes.NeverAges)),
    (coming_and_going_gains_nothing, with_queue(mistakes.ForgetsTags)),
    (coming_and_going_gains_nothing, with_tags(mistakes.ChargesPerDispatch)),
]


@pytest.mark.parametrize("bound", BOUNDS, ids=lambda b: b.__name__)
def test_the_bound_holds(bound: Callable[[Make, settings], Callable[[], None]]) -> None:
    """O3, T1 to T7, T9: with a virtual clock."""
    assert counterexample(bound(World, thorough)) is None


def named(part: object) -> str:
    made = part.keywords.values() if isinstance(part, functools.partial) else [part]
    return "-".join(getattr(thing, "__name__", repr(thing)) for thing in made)


@pytest.mark.parametrize(("bound", "make"), CAUGHT, ids=named)
def test_the_bound_catches_the_mistake(
    bound: Callable[[Make, settings], Callable[[], None]], make: Make
) -> None:
    """G7, O2: without weights, caps, time, ageing or exact tags a bound is missed."""
    assert counterexample(bound(make, planted)) is not None
