"""Bound T8 and O10: who floods the host is refused, and nobody else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from supervision.accounts import Account
from supervision.admission import Admission
from supervision.blame import Period, Stretch
from supervision.shares import DispatchPolicy, Share
from tests.fairness import mistakes
from tests.fairness.world import Item, make_dice

__all__: list[str] = []

Make = Callable[[DispatchPolicy], Admission[Item]]


def account(name: str, share: Share | None = None) -> Account[Item]:
    return Account(name, share or Share(), Stretch(name, Period(0.0)))


def light_partitions_find_room(make: Make, how: settings) -> Callable[[], None]:
    @how
    @given(
        st.integers(500, 1_500),
        st.integers(1, 20),
        st.sampled_from([0.5, 1.0, 2.0]),
        st.integers(0, 2**32),
    )
    def check(room: int, number: int, factor: float, seed: int) -> None:
        dice = make_dice(seed)
        policy = DispatchPolicy(backlog=room, backlog_share=factor)
        admission = make(policy)
        hogs = [account(f"hog{n}") for n in range(number)]
        light = account("light")
        for _ in range(2 * room):
            hog = dice.choice(hogs)
            if admission.look(hog) is None:
                admission.put(hog)
            elif dice.random() < 0.3 and hog.queued:
                admission.take(hog)
            if dice.random() < 0.1:
                assert admission.look(light) is None
                admission.put(light)
                admission.take(light)
        assert admission.queued <= room
        for hog in hogs:
            assert hog.queued <= factor * room / (1 + factor) + 1

    return check


def test_a_light_partition_is_never_refused_beside_hogs() -> None:
    """O10, T8: 0.00 % rejected beside up to 20 hogs; one hog holds a·B/(1 + a)."""
    light_partitions_find_room(Admission, settings(deadline=None))()


def test_the_bound_catches_a_queue_without_thresholds() -> None:
    """G7, O2: without admission control the first flood takes the whole room."""
    planted = settings(deadline=None, database=None, phases=[Phase.generate])

    with pytest.raises(AssertionError):
        light_partitions_find_room(mistakes.FirstComeFirstServed, planted)()


def test_a_flood_of_one_stops_at_its_part_of_the_room() -> None:
    """T8: with a factor of 1 one partition gets half of the room."""
    admission: Admission[Item] = Admission(DispatchPolicy(backlog=1_000))
    hog = account("hog")

    while (refusal := admission.look(hog)) is None:
        admission.put(hog)

    assert hog.queued == 500
    assert refusal.scope == "partition"
    assert 0.05 <= refusal.retry_after <= 60.0
    assert admission.refused == 1
    assert repr(admission) == "<Admission 500/1000 refused=1>"


def test_a_weight_and_a_limit_of_its_own_move_the_threshold() -> None:
    """O10: the threshold follows the weight, and never exceeds the own limit."""
    admission: Admission[Item] = Admission(DispatchPolicy(backlog=1_000))
    heavy = account("heavy", Share(weight=3.0))
    limited = account("limited", Share(weight=3.0, backlog=10))

    assert admission.limit(heavy) == 3_000
    assert admission.limit(limited) == 10

    for _ in range(10):
        admission.put(limited)
    refusal = admission.look(limited)

    assert refusal is not None
    assert refusal.scope == "partition"


def test_a_full_host_says_so_and_keeps_a_reserve() -> None:
    """O10: what is exempt may use the reserve, and not more than that."""
    admission: Admission[Item] = Admission(DispatchPolicy(backlog=100, reserve=0.1))
    hog, light = account("hog", Share(weight=1e9)), account("light")
    for _ in range(100):
        admission.put(hog)

    refusal = admission.look(light)
    exempt = admission.look(light, exempt=True)
    for _ in range(10):
        admission.put(light)
    at_last = admission.look(light, exempt=True)

    assert refusal is not None
    assert refusal.scope == "host"
    assert exempt is None
    assert at_last is not None


def test_retry_after_grows_with_the_backlog_and_the_cost() -> None:
    """O10: it is the time in which the excess is likely to be worked off."""
    admission: Admission[Item] = Admission(DispatchPolicy(backlog=10_000))
    slow = account("slow", Share(backlog=1))
    slow.estimates = {"a": 2.0, "b": 4.0}
    for _ in range(6):
        admission.put(slow)

    one_seat = admission.look(slow)
    slow.seats = 3
    three_seats = admission.look(slow)

    assert one_seat is not None
    assert one_seat.retry_after == 15.0
    assert three_seats is not None
    assert three_seats.retry_after == 5.0
