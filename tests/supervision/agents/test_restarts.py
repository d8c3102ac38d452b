from __future__ import annotations

import asyncio
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence import Address
from supervision import (
    AgentNotFound,
    Durability,
    Host,
    ManagerPolicy,
    Quarantined,
    RestartPolicy,
    StartFailed,
    Unaccounted,
)
from supervision.agents.partition import REMEMBERED
from supervision.agents.policy import GiveUp, RestartAfter, StayDown, decide
from tests.support import (
    Add,
    Counter,
    Crash,
    CrashLater,
    MakeStore,
    ManualClock,
    Read,
    answer,
    eventually,
    explode,
    spin,
)

__all__: list[str] = []

ONCE = RestartPolicy(max_restarts=0)


def test_delays_grow_from_zero_to_a_limit() -> None:
    """P3: the first restart is immediate, each further one waits longer."""
    policy = RestartPolicy(first_delay=1, factor=2, max_delay=5)

    decisions = [decide(policy, [0.0] * n, 0.0) for n in range(1, 7)]

    assert decisions == [RestartAfter(d) for d in (0.0, 1.0, 2.0, 4.0, 5.0, 5.0)]


def test_crashes_outside_the_window_do_not_count() -> None:
    """P3: a budget is a rate, not a life sentence."""
    policy = RestartPolicy(max_restarts=1, window=10)

    assert decide(policy, [0.0, 5.0, 15.0], 15.0) == RestartAfter(0.0)
    assert isinstance(decide(policy, [6.0, 15.0], 15.0), GiveUp)


def test_an_agent_that_is_not_restarted_stays_down_until_its_budget_ends() -> None:
    """P3: ``restart=False`` has a budget too."""
    policy = RestartPolicy(max_restarts=1, restart=False)

    assert decide(policy, [0.0], 0.0) == StayDown()
    assert isinstance(decide(policy, [0.0, 0.0], 0.0), GiveUp)


@given(
    st.lists(st.floats(0, 1_000), min_size=1, max_size=50),
    st.integers(0, 20),
    st.floats(0.1, 100),
)
def test_a_decision_never_exceeds_its_policy(
    crashes: list[float], budget: int, window: float
) -> None:
    """P3: quarantine exactly when the budget is spent, and never a longer delay."""
    policy = RestartPolicy(max_restarts=budget, window=window)
    now = max(crashes)

    decision = decide(policy, sorted(crashes), now)

    spent = sum(1 for at in crashes if now - at < window) > budget
    assert isinstance(decision, GiveUp) is spent
    if isinstance(decision, RestartAfter):
        assert 0 <= decision.delay <= policy.max_delay


async def test_a_second_crash_waits_for_its_delay(
    host: Host, clock: ManualClock
) -> None:
    """P3: mail that comes during the back-off is kept and handled after it."""
    policy = RestartPolicy(first_delay=2)
    counters = host.manager("counters", Counter, restart=policy)
    ref = await counters.get("one", partition="acme")
    await ref.ask(Add(1))
    for _ in range(2):
        await answer(ref.ask(Crash()))
    starts = host.runtime.catalog.find(ref.address)
    assert starts is not None

    await ref.tell(Add(1))
    clock.advance(1.9)
    await spin()
    early = starts.queued
    clock.advance(0.1)

    assert early == 1
    assert await ref.ask(Read()) == 2


async def test_a_spent_budget_quarantines_and_keeps_the_state(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    """P3 and holds 6: whoever asks is told why; release brings the state back."""
    counters = host.manager("counters", Counter, restart=ONCE)
    ref = await counters.get("one", partition="acme")
    await ref.ask(Add(7))

    await answer(ref.ask(Crash()))

    with pytest.raises(Quarantined, match="crashed 1 times"):
        await counters.get("one", partition="acme")
    with pytest.raises(Quarantined):
        await ref.ask(Read())
    with pytest.raises(Quarantined):
        await ref.tell(Add())
    assert (await counters.stats(partition="acme")).quarantined == 1
    assert await counters.quarantined(partition="globex") == ()
    with caplog.at_level(logging.WARNING):
        await counters.release("one", partition="acme", actor="eve", reason="mended")
    assert await ref.ask(Read()) == 7
    assert await counters.quarantined(partition="acme") == ()
    record = next(r for r in caplog.records if r.msg == "instance.released")
    assert (vars(record)["actor"], vars(record)["reason"]) == ("eve", "mended")


async def test_release_says_who_and_why_and_of_what(host: Host) -> None:
    """B6: a foreign quarantine and an absent one are released with the same error."""
    counters = host.manager("counters", Counter, restart=ONCE)
    ref = await counters.get("one", partition="acme")
    await answer(ref.ask(Crash()))

    foreign = await answer(
        counters.release("one", partition="globex", actor="a", reason="r")
    )
    absent = await answer(
        counters.release("two", partition="acme", actor="a", reason="r")
    )

    assert isinstance(foreign, AgentNotFound)
    assert isinstance(absent, AgentNotFound)
    assert str(foreign) == str(absent).replace("two", "one")
    for actor, reason in (("", "r"), ("a", "")):
        with pytest.raises(Unaccounted):
            await counters.release("one", partition="acme", actor=actor, reason=reason)


async def test_a_quarantine_survives_the_host(make: MakeStore) -> None:
    """Holds 6: neither get nor a restart of the process ends a quarantine."""
    async with Host(store=make()) as host:
        counters = host.manager("counters", Counter, restart=ONCE)
        ref = await counters.get("one", partition="acme")
        await ref.ask(Add(3))
        await answer(ref.ask(CrashLater()))
        await eventually(lambda: counters.lookup("one", partition="acme") is None)

    async with Host(store=make()) as host:
        counters = host.manager("counters", Counter)
        listed = await counters.quarantined(partition="acme")

        with pytest.raises(Quarantined):
            await counters.get("one", partition="acme")

        assert [mark.address.key for mark in listed] == ["one"]
        await counters.release("one", partition="acme", actor="eve", reason="mended")
        again = await counters.get("one", partition="acme")
        assert await again.ask(Read()) == 3


async def test_quarantine_stores_what_was_not_stored_yet(make: MakeStore) -> None:
    """Holds 6: with rare saves, the state of the last good turn is kept."""
    async with Host(store=make()) as host:
        counters = host.manager(
            "counters", Counter, restart=ONCE, durability=Durability.HIBERNATE
        )
        ref = await counters.get("one", partition="acme")
        await ref.ask(Add(9))
        await answer(ref.ask(Crash()))
        await counters.release("one", partition="acme", actor="eve", reason="mended")

        assert await ref.ask(Read()) == 9


async def test_a_quarantine_in_memory_only_holds_as_long_as_the_host(
    host: Host,
) -> None:
    """P3: an agent without rows is contained as well."""
    counters = host.manager(
        "counters", Counter, restart=ONCE, durability=Durability.NONE
    )
    ref = await counters.get("one", partition="acme")

    await answer(ref.ask(Crash()))

    with pytest.raises(Quarantined):
        await counters.get("one", partition="acme")
    await counters.release("one", partition="acme", actor="eve", reason="mended")
    assert await ref.ask(Read()) == 0


async def test_a_failing_start_is_tried_again_behind_the_error(
    host: Host, clock: ManualClock
) -> None:
    """G16: ``get`` says at once that a start failed; the supervisor goes on."""
    broken = [True]

    class Starter(Counter):
        async def on_start(self) -> None:
            if broken[0]:
                explode("exception")

    starters = host.manager(
        "starters", Starter, restart=RestartPolicy(first_delay=1, max_restarts=3)
    )

    with pytest.raises(StartFailed):
        await starters.get("one", partition="acme")
    numbers = host.runtime.catalog.partition("acme").counters
    await eventually(lambda: numbers.crashes == 2)
    broken[0] = False
    clock.advance(1)

    ref = await starters.get("one", partition="acme")
    assert await ref.ask(Add()) == 1


async def test_an_agent_that_is_not_restarted_comes_back_with_the_next_get(
    host: Host,
) -> None:
    """P3: ``restart=False`` leaves it down, with its state, until it is wanted."""
    counters = host.manager("counters", Counter, restart=RestartPolicy(restart=False))
    ref = await counters.get("one", partition="acme")
    await ref.ask(Add(4))

    await answer(ref.ask(Crash()))

    assert counters.lookup("one", partition="acme") is None
    assert await (await counters.get("one", partition="acme")).ask(Read()) == 4


async def test_mail_for_an_agent_that_cannot_start_is_no_loop(host: Host) -> None:
    """P3: ``restart=False`` and waiting mail start it a bounded number of times."""
    starts = [0]

    class Starter(Counter):
        async def on_start(self) -> None:
            starts[0] += 1
            if starts[0] < 500:
                explode("exception")

    host.manager(
        "starters", Starter, restart=RestartPolicy(restart=False, max_restarts=5)
    )
    ref = host.runtime.catalog.ref(Address("acme", "starters", "one"))

    await ref.tell(Add())
    await spin(2_000)

    assert starts[0] <= 6


async def test_a_budget_is_not_refilled_by_hibernation(host: Host) -> None:
    """P3: who leaves memory between two crashes is as broken as who stays."""
    counters = host.manager("counters", Counter, restart=RestartPolicy(max_restarts=1))
    ref = await counters.get("one", partition="acme")

    await answer(ref.ask(Crash()))
    await counters.stop("one", partition="acme")
    await answer(ref.ask(Crash()))

    with pytest.raises(Quarantined, match="crashed 2 times"):
        await ref.ask(Read())
    await counters.release("one", partition="acme", actor="eve", reason="mended")
    await answer(ref.ask(Crash()))
    assert await ref.ask(Add()) == 1


async def test_crashes_of_departed_instances_are_remembered_up_to_a_limit(
    host: Host,
) -> None:
    """Holds 8: a thousand keys that crash once each leave a bounded trace."""
    counters = host.manager("counters", Counter)

    for n in range(300):
        ref = await counters.get(f"k{n}", partition="acme")
        await answer(ref.ask(Crash()))
        await counters.stop(f"k{n}", partition="acme")

    assert len(host.runtime.catalog.partition("acme").crashed) == REMEMBERED < 300


async def test_a_slow_start_times_out_and_is_a_crash(host: Host) -> None:
    """P3: ``on_start`` has a limit."""

    class Sleeper(Counter):
        async def on_start(self) -> None:
            await asyncio.get_running_loop().create_future()

    sleepers = host.manager(
        "sleepers", Sleeper, policy=ManagerPolicy(start_timeout=0.01, restart=ONCE)
    )

    with pytest.raises(StartFailed, match="TimeoutError"):
        await sleepers.get("one", partition="acme")
