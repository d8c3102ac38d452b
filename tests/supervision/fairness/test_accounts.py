"""What the core keeps of a partition: its numbers, its events, its size, its end."""

from __future__ import annotations

import gc
import tracemalloc

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervision.fairness.account import Place, Resource
from supervision.fairness.policy import DispatchPolicy, Priority, Share
from supervision.fairness.queue import FairQueue
from supervision.fairness.statistics import ShareEventKind, resource_numbers
from supervision.fairness.usage import Blame
from tests.supervision.fairness.world import Item, World, plain

__all__: list[str] = []


def test_waiting_is_told_apart_by_whose_limit_it_was() -> None:
    """O12: a wait for the own cap is not the host's fault."""
    world = World(plain(2), {"capped": Share(cap=1)})
    for name in ("capped", "capped", "free", "free"):
        world.enter(name, 10.0)
    world.pump()
    world.advance(4.0)

    capped = world.queue.numbers(world.account("capped"), world.now)
    free = world.queue.numbers(world.account("free"), world.now)

    assert (capped.waited_for_itself, capped.waited_for_seats) == (4.0, 0.0)
    assert (free.waited_for_itself, free.waited_for_seats) == (0.0, 4.0)
    assert (capped.place, free.place) == (Place.FULL, Place.READY)
    assert (capped.received, capped.seats, capped.waiting) == (4.0, 1, 1)
    assert capped.dispatched == 1


def test_waiting_for_a_resource_is_counted_by_itself() -> None:
    """O12: it is neither the seats nor the own cap that is missing."""
    world = World(plain(2), {})
    scanner: Resource[Item] = Resource("scanner", 1)
    for name in ("first", "second", "second"):
        world.enter(name, 10.0, needs=scanner)
    world.pump()
    world.advance(4.0)

    second = world.queue.numbers(world.account("second"), world.now)
    (numbers,) = resource_numbers([scanner], world.queue.accounts.values())
    recent = world.queue.history(world.now).recent()["second"]

    assert (second.place, second.blocked_on) == (Place.BLOCKED, "scanner")
    assert (second.waited_for_resources, recent.lacked) == (8.0, 8.0)
    assert (second.waited_for_seats, second.waited_for_itself) == (0.0, 0.0)
    assert (numbers.units, numbers.free, numbers.waiting) == (1, 0, 1)


def test_a_cap_hit_is_counted_once_until_nothing_waits_any_more() -> None:
    """O11: every cap hit is counted and reported."""
    world = World(plain(9), {"p": Share(cap=1)})
    for _ in range(3):
        world.enter("p")
    world.drain()
    once = world.account("p").cap_hits
    for _ in range(2):
        world.enter("p")
    world.drain()

    assert once == 1
    assert world.account("p").cap_hits == 2
    assert [event.kind for event in world.queue.events] == 2 * [ShareEventKind.CAP_HIT]
    assert world.queue.events[0].seats == 1


def test_a_burst_has_a_beginning_and_an_end_and_a_price() -> None:
    """O11: a partition above its cap runs up debt, and works it off below the cap."""
    share = Share(cap=1, hard_cap=3, burst=4.0)
    world = World(plain(9), {"p": share})
    for _ in range(3):
        world.enter("p", 2.0)
    world.pump()
    above = world.account("p").seats
    world.advance(2.0)
    after = world.queue.numbers(world.account("p"), world.now)
    world.advance(3.0)
    later = world.queue.numbers(world.account("p"), world.now)

    kinds = [event.kind for event in world.queue.events]
    assert above == 3
    assert (after.debt, after.bursts) == (4.0, 1)
    assert later.debt == 1.0
    assert kinds[-2:] == [ShareEventKind.BURST_BEGUN, ShareEventKind.BURST_ENDED]


def test_a_partition_in_debt_stays_at_its_cap() -> None:
    """O11: a used up burst leaves the cap, and comes back when it is worked off."""
    world = World(plain(9), {"p": Share(cap=1, hard_cap=2, burst=1.0)})
    world.enter("p", 2.0)
    world.enter("p", 2.0)
    world.pump()
    world.advance(2.0)
    world.enter("p", 1.0)
    world.enter("p", 1.0)
    world.pump()
    in_debt = world.account("p").seats, world.account("p").place
    world.advance(10.0)
    world.enter("p", 1.0)
    world.enter("p", 1.0)
    world.pump()

    assert in_debt == (1, Place.FULL)
    assert world.account("p").seats == 2


def test_headroom_is_kept_from_those_above_their_cap() -> None:
    """O4: the seats that are kept free are there for whoever comes next."""
    policy = attrs.evolve(plain(5), headroom=2)
    shares = {"p": Share(cap=1, hard_cap=5, burst=100.0)}
    world = World(policy, shares)
    for _ in range(5):
        world.enter("p")
    world.pump()

    held = world.account("p").seats
    world.enter("other")
    world.pump()

    assert held == 3
    assert world.account("other").seats == 1


def test_blame_falls_on_who_held_the_seats_meanwhile() -> None:
    """O12: who made whom wait, in proportion to the seats held."""
    world = World(plain(4), {})
    for name in ("hog", "hog", "hog", "small"):
        world.enter(name, 4.0)
    world.pump()
    world.enter("late", 4.0)
    world.advance(2.0)

    history = world.queue.history(world.now)

    assert history.blame("late") == (
        Blame("late", "hog", 1.5),
        Blame("late", "small", 0.5),
    )
    assert history.blame("hog") == ()
    hog, late = history.recent()["hog"], history.recent()["late"]
    assert (hog.held, hog.waited, hog.own, hog.lacked) == (6.0, 0.0, 0.0, 0.0)
    assert (late.held, late.waited, late.own, late.lacked) == (0.0, 2.0, 0.0, 0.0)


def test_blame_is_of_the_last_minute() -> None:
    """O12: what was long ago is not held against anybody."""
    world = World(plain(1), {})
    for _ in range(20):
        for name in ("hog", "late"):
            world.enter(name, 6.0)
    world.pump()
    for _ in range(40):
        world.advance(6.0)

    history = world.queue.history(world.now)

    held = sum(stretch.held for stretch in history.recent().values())
    assert held == pytest.approx(60, abs=12)
    assert repr(history) == "<History periods=12>"


def test_lag_says_who_is_ahead() -> None:
    """O12: seat-seconds behind (above 0) or ahead of the fair share (below 0)."""
    world = World(plain(1), {})
    for name in ("a", "a", "b", "b"):
        world.enter(name, 1.0)
    world.pump()

    first = world.queue.numbers(world.account("a"), world.now)
    second = world.queue.numbers(world.account("b"), world.now)

    assert first.lag == -1.0
    assert second.lag == 0.0


@given(st.floats(0.1, 10.0), st.floats(0.1, 10.0), st.integers(1, 9))
def test_a_new_weight_applies_to_the_backlog(
    before: float, after: float, served: int
) -> None:
    """O1, rule 11: the lead over the virtual time is rescaled, nothing is re-queued."""
    world = World(plain(9), {"p": Share(weight=before, cap=9)})
    for _ in range(10):
        world.enter("p")
    for _ in range(served):
        world.queue.pick(world.now)
    account, tags = world.account("p"), world.queue.tags
    lead = (account.tag - tags.virtual) * before

    world.queue.set_share("p", Share(weight=after, cap=9), world.now)

    assert (account.tag - tags.virtual) * after == pytest.approx(lead)
    assert account.waiting == 10 - served


def test_a_new_cap_applies_at_once() -> None:
    """O1: a partition whose cap is raised goes on; one whose cap is lowered waits."""
    world = World(plain(9), {"p": Share(cap=1)})
    for _ in range(5):
        world.enter("p")
    world.pump()

    world.queue.set_share("p", Share(cap=3), world.now)
    raised = len(world.pump())
    world.queue.set_share("p", Share(cap=1), world.now)
    world.queue.set_share("unknown", Share(cap=1), world.now)
    lowered = len(world.pump())

    assert (raised, lowered) == (2, 0)
    assert world.account("p").bursting
    assert "unknown" not in world.queue.accounts


def test_a_partition_is_forgotten_only_when_that_changes_nothing() -> None:
    """Rule 11: not while it waits, runs, is ahead or is in debt."""
    share = Share(cap=1, hard_cap=2, burst=9.0)
    world = World(plain(3), {"p": share})
    world.account("other")
    account, queue = world.account("p"), world.queue
    answers: list[bool] = []

    def ask() -> None:
        answers.append(queue.may_forget(account, world.now))

    ask()  # fresh
    world.enter("other", 100.0)  # or the busy period would end, and nobody be ahead
    world.enter("p", 1.0)
    world.enter("p", 1.0)
    ask()  # waits
    world.pump()
    ask()  # runs
    world.finish()
    world.finish()
    ask()  # ahead, and in debt
    queue.tags.virtual = 10.0
    ask()  # in debt
    world.advance(5.0)
    ask()

    assert answers == [True, False, False, False, False, True]


def test_partitions_that_were_forgotten_leave_nothing_behind() -> None:
    """P6: 2,000 partitions that came once do not stay in memory."""
    world = World(attrs.evolve(plain(1), memory=10.0), {})
    most = 0
    for n in range(2_000):
        world.enter(f"p{n}", 0.1)
        world.pump()
        world.advance(0.1)
        most = max(most, len(world.queue.accounts))

    assert most <= 250
    assert len(world.queue.accounts) <= 250


def test_stale_heap_entries_do_not_pile_up() -> None:
    """O3: 4,000 turns of ten partitions leave a heap of some tens of entries."""
    world = World(plain(4), {})
    for n in range(10):
        world.enter(f"p{n}", 1.0)
    for n in range(4_000):
        world.enter(f"p{n % 10}", 1.0 + n % 7)
        world.pump()
        world.finish()
        world.queue.set_share(f"p{n % 9}", Share(weight=1 + n % 2), world.now)

    assert len(world.queue._ready) <= 150  # pyright: ignore[reportPrivateUsage]


def test_an_idle_partition_takes_little_memory() -> None:
    """O14: at most 1.5 kB for one that has been served and is idle."""
    queue: FairQueue[Item] = FairQueue(DispatchPolicy())
    names = [f"partition-{n}" for n in range(500)]
    item = Item(1.0)
    kinds = ["Agent.one", "Agent.two", "Agent.three"]
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()

    for name in names:
        account = queue.account(name, 0.0)
        for kind in kinds:
            queue.enter(account, item, 0.0, kind=kind)
            ticket = queue.pick(0.0)
            assert ticket is not None
            queue.complete(ticket, 0.001)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (after - before) / len(names) <= 1_500


def test_cancelled_items_do_not_stay_in_the_lanes() -> None:
    """P6: a caller that comes and goes behind a full partition costs no memory."""
    world = World(plain(1), {})
    world.enter("p", 10.0)
    world.enter("p", 10.0)
    world.pump()
    for _ in range(1_000):
        ticket = world.enter("p", priority=Priority.BACKGROUND)
        assert world.queue.cancel(ticket, world.now)
        assert not world.queue.cancel(ticket, world.now)

    account = world.account("p")
    assert account.waiting == 1
    assert sum(len(lane or ()) for lane in account.lanes or ()) <= 100


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Share(weight=0.0), "weight"),
        (lambda: Share(weight=float("inf")), "weight"),
        (lambda: Share(cap=0), "cap"),
        (lambda: Share(cap=4, hard_cap=3), "hard_cap"),
        (lambda: Share(burst=-1.0), "burst"),
        (lambda: Share(backlog=0), "backlog"),
        (lambda: DispatchPolicy(penalties=(0.0, 5.0, 1.0)), "penalties"),
        (lambda: DispatchPolicy(penalties=(-1.0, 0.0, 1.0)), "penalties"),
    ],
    ids=range(8),
)
def test_a_share_out_of_range_is_refused(make: object, message: str) -> None:
    """Every setting has a range."""
    assert callable(make)

    with pytest.raises(ValueError, match=message):
        make()


def test_the_reprs_count() -> None:
    world = World(plain(1), {})
    world.enter("p")
    world.enter("p")
    world.pump()

    assert repr(world.queue) == "<FairQueue free=0 waiting=1 accounts=1>"
    assert repr(world.account("p")) == "<Account p full waiting=1 seats=1>"
