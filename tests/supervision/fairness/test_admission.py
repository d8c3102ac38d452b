"""Bound T8 and O10: who floods the host is refused, and nobody else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervision.fairness.backpressure import Admission, PartitionBacklog
from supervision.fairness.policy import DispatchPolicy, Share
from tests.supervision.fairness import mistakes
from tests.supervision.fairness.search import counterexample, planted, thorough
from tests.supervision.fairness.world import World, make_dice, plain

__all__: list[str] = []

Make = type[Admission]


def desk(
    policy: DispatchPolicy,
    *,
    make: Make = Admission,
    pace: float = 0.001,
    **shares: Share,
) -> Admission:
    return make(policy, lambda name: shares.get(name, policy.share), lambda _: pace)


def light_partitions_find_room(make: Make, how: settings) -> Callable[[], None]:
    @how
    @given(
        st.integers(500, 700),
        st.integers(1, 20),
        st.sampled_from([0.5, 1.0, 2.0]),
        st.integers(0, 2**32),
    )
    def check(room: int, number: int, factor: float, seed: int) -> None:
        dice = make_dice(seed)
        policy = DispatchPolicy(backlog=room, backlog_share=factor)
        admission = desk(policy, make=make)
        hogs = [PartitionBacklog(f"hog{n}", admission) for n in range(number)]
        light = PartitionBacklog("light", admission)
        for _ in range(2 * room):
            hog = dice.choice(hogs)
            if admission.look(hog) is None:
                hog.put()
            elif dice.random() < 0.3 and hog.queued:
                hog.take()
            if dice.random() < 0.1:
                assert admission.look(light) is None
                light.put()
                light.take()
        assert admission.queued <= room
        for hog in hogs:
            assert hog.queued <= factor * room / (1 + factor) + 1

    return check


def test_a_light_partition_is_never_refused_beside_hogs() -> None:
    """O10, T8: 0.00 % rejected beside up to 20 hogs; one hog holds a·B/(1 + a)."""
    assert counterexample(light_partitions_find_room(Admission, thorough)) is None


def test_the_bound_catches_a_queue_without_thresholds() -> None:
    """G7, O2: without admission control the first flood takes the whole room."""
    unbounded = light_partitions_find_room(mistakes.FirstComeFirstServed, planted)

    assert counterexample(unbounded) is not None


def test_a_flood_of_one_stops_at_its_part_of_the_room() -> None:
    """T8: with a factor of 1 one partition gets half of the room."""
    admission = desk(DispatchPolicy(backlog=1_000))
    hog = PartitionBacklog("hog", admission)

    while (refusal := admission.look(hog)) is None:
        hog.put()

    assert hog.queued == 500
    assert refusal.scope == "partition"
    assert 0.05 <= refusal.retry_after <= 60.0
    assert admission.refused == 1
    assert repr(admission) == "<Admission 500/1000 refused=1>"


def test_a_weight_and_a_limit_of_its_own_move_the_threshold() -> None:
    """O10: the threshold follows the weight, and never exceeds the own limit."""
    admission = desk(
        DispatchPolicy(backlog=1_000),
        heavy=Share(weight=3.0),
        limited=Share(weight=3.0, backlog=10),
    )
    heavy, limited = (
        PartitionBacklog("heavy", admission),
        PartitionBacklog("limited", admission),
    )

    assert admission.limit(heavy) == 3_000
    assert admission.limit(limited) == 10

    for _ in range(10):
        limited.put()
    refusal = admission.look(limited)

    assert refusal is not None
    assert refusal.scope == "partition"


def test_a_full_host_says_so_and_keeps_a_reserve() -> None:
    """O10: what is exempt may use the reserve, and not more than that."""
    policy = DispatchPolicy(backlog=100, reserve=0.1)
    admission = desk(policy, hog=Share(weight=1e9))
    hog, light = (
        PartitionBacklog("hog", admission),
        PartitionBacklog("light", admission),
    )
    for _ in range(100):
        hog.put()

    refusal = admission.look(light)
    exempt = admission.look(light, exempt=True)
    for _ in range(10):
        light.put()
    at_last = admission.look(light, exempt=True)

    assert refusal is not None
    assert refusal.scope == "host"
    assert exempt is None
    assert at_last is not None


def test_retry_after_grows_with_the_excess_and_the_cost() -> None:
    """O10: it is the time in which the excess is likely to be worked off."""
    policy = DispatchPolicy(backlog=10_000)
    admission = desk(policy, pace=3.0, slow=Share(backlog=1))
    slow = PartitionBacklog("slow", admission)
    slow.put()
    at_first = admission.look(slow)
    for _ in range(4):
        slow.put()

    later = admission.look(slow)
    for _ in range(100):
        slow.put()
    at_last = admission.look(slow)

    found = [refusal and refusal.retry_after for refusal in (at_first, later, at_last)]
    assert found == [3.0, 15.0, 60.0]


def test_the_pace_is_the_mean_cost_over_the_seats() -> None:
    """O10: what a partition works off in a second depends on what it has learned."""
    world = World(plain(9))
    unknown = world.account("p").pace()
    for _ in range(3):
        world.enter("p", 2.0, kind="a")
        world.enter("p", 4.0, kind="b")
    world.drain()
    idle = world.account("p").pace()
    for _ in range(3):
        world.enter("p", 2.0, kind="a")
    world.pump()

    assert unknown == 0.0
    assert idle == pytest.approx(3.0)
    assert world.account("p").pace() == pytest.approx(1.0)
