"""What Erlang/OTP's supervisors are held to, asked of this one.

``SHOWN`` says which test shows it here, ``ELSEWISE`` why a thing does not apply.
"""

# ruff: noqa: E501  the table at the end has a row a line

from __future__ import annotations

import ast
from pathlib import Path

import attrs
import pytest

from persistence import MemoryStore
from supervision import (
    Agent,
    AgentRef,
    Host,
    Message,
    Quarantined,
    RestartPolicy,
    StartFailed,
    handler,
)
from tests.support import (
    Add,
    Counter,
    Crash,
    ManualClock,
    Read,
    answer,
    eventually,
    explode,
    home_of,
    spin,
)

__all__: list[str] = []

PERMANENT = RestartPolicy(max_restarts=5)
TEMPORARY = RestartPolicy(restart=False)
BRITTLE = RestartPolicy(max_restarts=0)


@attrs.frozen
class End:
    """How an instance ends under a policy, and what is expected afterwards."""

    policy: RestartPolicy
    how: str
    live: bool
    quarantined: bool = False


ENDS = {
    "restarted, stopped in order": End(PERMANENT, "stop", live=False),
    "restarted, crashed": End(PERMANENT, "crash", live=True),
    "not restarted, stopped in order": End(TEMPORARY, "stop", live=False),
    "not restarted, crashed": End(TEMPORARY, "crash", live=False),
    "no budget, stopped in order": End(BRITTLE, "stop", live=False),
    "no budget, crashed": End(BRITTLE, "crash", live=False, quarantined=True),
}


@pytest.mark.parametrize("name", list(ENDS))
async def test_what_comes_back_by_itself(host: Host, name: str) -> None:
    """G16, P3, row 8: the policy and the way of the end decide, nobody else is asked."""
    case = ENDS[name]
    counters = host.manager("counters", Counter, restart=case.policy)
    ref = await counters.get("one", partition="acme")
    bystander = await counters.get("two", partition="acme")
    await ref.ask(Add(3))

    if case.how == "stop":
        await counters.stop("one", partition="acme")
    else:
        await answer(ref.ask(Crash()))
    await spin()

    assert (counters.lookup("one", partition="acme") is not None) is case.live
    marks = await counters.quarantined(partition="acme")
    assert bool(marks) is case.quarantined
    if not case.quarantined:
        assert await ref.ask(Read()) == 3
    assert await bystander.ask(Add()) == 1


@pytest.mark.parametrize(
    ("crashes", "gives_up"),
    [
        ((0, 1), False),
        ((0, 1, 2), True),
        ((0, 1, 11), False),
        ((0, 6, 12, 18, 24), False),
        ((0, 9, 9.5), True),
        ((0, 0, 0), True),
    ],
)
async def test_more_crashes_than_the_intensity_end_it(
    host: Host, clock: ManualClock, crashes: tuple[float, ...], gives_up: bool
) -> None:
    """P3, row 8: two within ten seconds are borne, a third ends in quarantine."""
    policy = RestartPolicy(max_restarts=2, window=10, first_delay=0)
    counters = host.manager("counters", Counter, restart=policy)
    ref = await counters.get("one", partition="acme")
    began = clock.monotonic()

    for at in crashes:
        clock.advance(began + at - clock.monotonic())
        await answer(ref.ask(Crash()))

    assert isinstance(await answer(ref.ask(Read())), Quarantined) is gives_up


class Grow(Message[None]):
    """Spawn children named after oneself, so many levels deep."""

    depth: int
    home: str


class Branch(Agent):
    @handler
    async def grow(self, message: Grow) -> None:
        if not message.depth:
            return
        for number in range(2):
            key = f"{self.context.key}{number}"
            child = await self.context.spawn(message.home, key)
            await child.ask(Grow(message.depth - 1, message.home))

    async def on_stop(self) -> None:
        STOPPED.append(str(self.context.key))


STOPPED: list[str] = []


@pytest.fixture(autouse=True)
def _nobody_has_stopped() -> None:
    STOPPED.clear()


async def _tree(host: Host) -> AgentRef[Branch]:
    branches = host.manager("branches", Branch)
    root = await branches.get("r", partition="acme")
    await root.ask(Grow(2, home_of(root)))
    return root


@pytest.mark.parametrize("by", ["stop", "shutdown"])
async def test_a_tree_stops_from_its_leaves(by: str) -> None:
    """Holds 10, row 8: a parent's hook runs when its children have stopped."""
    async with Host(store=MemoryStore()) as host:
        root = await _tree(host)
        if by == "stop":
            await host.manager_named("branches").stop("r", partition="acme")
            assert host.statistics().live == 0

    assert sorted(STOPPED) == ["r", "r0", "r00", "r01", "r1", "r10", "r11"]
    for key in STOPPED:
        below = [STOPPED.index(other) for other in STOPPED if other[:-1] == key]
        assert all(place < STOPPED.index(key) for place in below)
    assert root.address.key == "r"


async def test_a_loop_of_restarts_leaves_its_manager_in_service(
    host: Host, clock: ManualClock
) -> None:
    """P3, row 8: while one start fails again and again, every other call is answered."""

    class Looping(Counter):
        async def on_start(self) -> None:
            if self.context.key == "bad":
                explode("exception")

    policy = RestartPolicy(max_restarts=100, first_delay=1)
    looping = host.manager("looping", Looping, restart=policy)
    with pytest.raises(StartFailed):
        await looping.get("bad", partition="acme")
    numbers = host.runtime.catalog.partition("acme").counters

    for round_ in range(1, 6):
        clock.advance(10)
        await eventually(lambda least=round_: numbers.crashes > least)  # type: ignore[misc]
        near = await looping.get("near", partition="acme")
        assert await near.ask(Add()) == round_
        assert (await looping.stats(partition="acme")).live == 2
        assert set(await looping.keys(partition="acme")) == {"bad", "near"}

    assert await looping.stop("bad", partition="acme")
    assert looping.lookup("bad", partition="acme") is None


HERE = "tests/supervision/lifecycle/test_otp.py"
SHOWN = {
    "a supervisor starts and ends in order": "tests/supervision/host/test_shutdown.py::test_shutdown_hibernates_everything",
    "a start that raises is told to who asked": "tests/supervision/lifecycle/test_crashes.py::test_a_crash_in_start_disturbs_no_sibling",
    "a constructor that raises is told to who asked": "tests/supervision/test_containment.py::test_a_crash_in_a_constructor_disturbs_no_sibling",
    "a faulty declaration is refused with its reason": "tests/supervision/agents/test_classes.py::test_a_class_that_cannot_work_is_refused_when_it_is_declared",
    "a stop waits as long as it may": "tests/supervision/lifecycle/test_one_instance.py::test_a_stop_while_running_lets_the_turn_end",
    "a stop that takes too long is forced": "tests/supervision/lifecycle/test_stopping.py::test_a_stop_timeout_cancels_the_turn_first",
    "what cannot be forced is named": "tests/supervision/lifecycle/test_stopping.py::test_a_stop_that_does_not_end_is_a_stop_timeout",
    "children are started, stopped, started again": "tests/supervision/lifecycle/test_one_instance.py::test_stop_and_get_a_thousand_times",
    "a child that is started twice is one child": "tests/supervision/lifecycle/test_one_instance.py::test_fifty_gets_are_one_start",
    "stopping what is not there says so": "tests/supervision/lifecycle/test_one_instance.py::test_stopping_what_is_not_live_says_so",
    "a child that runs under somebody else is refused": "tests/supervision/agents/test_lineage.py::test_a_second_parent_and_a_circle_are_refused",
    "children are counted by kind": "tests/supervision/host/test_listing.py::test_numbers_tell_live_from_hibernated",
    "permanent, transient, temporary; normal, shutdown, abnormal": f"{HERE}::test_what_comes_back_by_itself",
    "a bystander is left alone": f"{HERE}::test_what_comes_back_by_itself",
    "one for one": "tests/supervision/lifecycle/test_crashes.py::test_a_crash_disturbs_no_sibling",
    "one for one, escalation": f"{HERE}::test_more_crashes_than_the_intensity_end_it",
    "many restarts are borne while they are slow enough": "tests/supervision/agents/test_restarts.py::test_crashes_outside_the_window_do_not_count",
    "restarts wait longer and longer": "tests/supervision/agents/test_restarts.py::test_delays_grow_from_zero_to_a_limit",
    "rest for one: what depends on a lost child goes with it": "tests/pods/reconciliation/test_pod_healing.py::test_the_owned_nodes_of_a_fenced_node_come_back_with_it",
    "rest for one: what waits for a failed child comes later": "tests/pods/test_pod_nodes.py::test_what_waited_for_a_failed_node_comes_up_when_it_heals",
    "children start in order": "tests/pods/test_pod_nodes.py::test_eager_nodes_start_in_waves",
    "a tree stops in order": f"{HERE}::test_a_tree_stops_from_its_leaves",
    "a tree comes up again": "tests/pods/test_pod_lineage.py::test_shutdown_and_restart_restore_the_whole_tree",
    "a supervisor in a loop of restarts answers": f"{HERE}::test_a_loop_of_restarts_leaves_its_manager_in_service",
    "a loop of restarts can be ended": "tests/supervision/lifecycle/test_one_instance.py::test_a_stop_while_backing_off_ends_it",
    "a child that is not restarted leaves nothing behind": "tests/crash/test_soak.py::test_what_starts_and_stops_leaves_nothing_behind",
    "many children cost as much each as few": "tests/supervision/host/test_listing.py::test_a_call_does_not_grow_with_the_host",
    "a crash is logged with its child and its reason": "tests/supervision/telemetry/test_telemetry.py::test_restarts_and_quarantines_are_spans",
    "a new version of the code finds the old state": "tests/supervision/agents/test_classes.py::test_an_old_state_is_lifted_step_by_step",
}
ELSEWISE = {
    "init that returns ignore": "An agent has no way to decline its start but to raise.",
    "extra values from a start": "A start returns a ref; what an agent has to say it answers.",
    "brutal kill, infinity": "Every stop has a deadline, and no state is dropped for speed.",
    "one for all": "Agents share no memory: a crash spoils nobody else's, so none restarts.",
    "escalation to a supervisor's supervisor": "A manager never ends; the instance is quarantined.",
    "significant children, automatic shutdown": "A pod outlives its nodes; its handlers stop it.",
    "a child that unlinks itself": "There are no links; the registry holds every instance.",
    "a supervisor that is a global name": "A host has no names beyond its own managers.",
    "start parameters that are kept": "An agent's fields are its state, and stored as such.",
    "code change of a supervisor's specification": "Declarations are read when a host starts.",
}


def test_every_case_is_shown_or_excused() -> None:
    """Row 8: the tests that the table names are there, and nothing is on both sides."""
    root = Path(__file__).parents[3]
    missing: list[str] = []
    for shown in set(SHOWN.values()):
        file, _, name = shown.partition("::")
        tree = ast.parse((root / file).read_text(encoding="utf-8"))
        functions = {
            node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        if name not in functions:
            missing.append(shown)

    assert missing == []
    assert not SHOWN.keys() & ELSEWISE.keys()
    assert all(reason.endswith(".") for reason in ELSEWISE.values())
