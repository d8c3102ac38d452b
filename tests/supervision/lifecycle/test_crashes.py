from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from persistence import Key
from supervision import (
    Agent,
    AgentCrashed,
    AgentRef,
    Durability,
    Host,
    Message,
    Quarantined,
    RestartPolicy,
    StartFailed,
    handler,
)
from tests.support import (
    KINDS,
    Add,
    AddLater,
    Counter,
    Crash,
    CrashLater,
    MakeStore,
    ManualClock,
    Read,
    Tick,
    Wait,
    answer,
    eventually,
    explode,
    spin,
)

__all__: list[str] = []

PATIENT = RestartPolicy(max_restarts=10_000, first_delay=0.0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("message", [Crash, CrashLater])
async def test_a_crash_disturbs_no_sibling(
    host: Host, message: type[Crash | CrashLater], kind: str
) -> None:
    """Holds 7: siblings in the same and in another partition go on in mid-turn."""
    counters = host.manager("counters", Counter)
    bad = await counters.get("bad", partition="acme")
    near = await counters.get("near", partition="acme")
    far = await counters.get("bad", partition="globex")
    waits = [Wait(), Wait()]

    async with asyncio.TaskGroup() as group:
        busy = [
            group.create_task(ref.ask(wait))
            for ref, wait in zip((near, far), waits, strict=True)
        ]
        for wait in waits:
            await wait.entered.wait()
        error = await answer(bad.ask(message(kind)))
        for wait in waits:
            wait.gate.set()

    assert isinstance(error, Exception)
    assert [task.result() for task in busy] == ["done", "done"]
    assert [await ref.ask(Add()) for ref in (bad, near, far)] == [1, 1, 1]
    assert host.runtime.catalog.partition("globex").counters.crashes == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_a_crash_in_start_disturbs_no_sibling(host: Host, kind: str) -> None:
    """Holds 7: a start that fails says so at once and harms itself only."""

    class Starter(Counter):
        async def on_start(self) -> None:
            if self.context.key == "bad":
                explode(kind)

    starters = host.manager("starters", Starter)
    near = await starters.get("near", partition="acme")

    with pytest.raises(StartFailed) as caught:
        await starters.get("bad", partition="acme")

    assert caught.value.phase == "on_start"
    assert await near.ask(Add()) == 1
    assert await (await starters.get("far", partition="globex")).ask(Add()) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_crash_in_stop_disturbs_no_sibling(make: MakeStore, kind: str) -> None:
    """Holds 7 and 10: a stop hook that fails loses neither its state nor others'."""

    class Stopper(Counter):
        async def on_stop(self) -> None:
            self.n = -1
            if self.context.key == "bad":
                explode(kind)

    async with Host(store=make()) as host:
        stoppers = host.manager("stoppers", Stopper, durability=Durability.HIBERNATE)
        bad = await stoppers.get("bad", partition="acme")
        near = await stoppers.get("near", partition="acme")
        await bad.ask(Add(3))

        assert await stoppers.stop("bad", partition="acme")

        assert await near.ask(Add()) == 1
        assert await bad.ask(Read()) == 3


async def test_a_constructor_that_raises_is_a_failed_start(host: Host) -> None:
    """P3: a class that cannot be built is contained like any other crash."""

    class Needy(Agent):
        name: str

    needy = host.manager("needy", Needy, restart=RestartPolicy(max_restarts=0))

    with pytest.raises(StartFailed) as caught:
        await needy.get("one", partition="acme")

    assert caught.value.phase == "construction"
    assert isinstance(caught.value.__cause__, TypeError)
    with pytest.raises(Quarantined):
        await needy.get("one", partition="acme")


async def test_queued_mail_survives_a_crash(host: Host) -> None:
    """Holds 7: what waits in the mailbox is handled after the restart, in order."""
    counters = host.manager("counters", Counter)
    ref = await counters.get("one", partition="acme")
    log: list[str] = []
    wait = Wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(ref.ask(wait))
        await wait.entered.wait()
        for mark in "ab":
            await ref.tell(Tick(log, mark))
        await ref.tell(Crash())
        for mark in "cd":
            await ref.tell(Tick(log, mark))
        last = group.create_task(ref.ask(Add()))
        wait.gate.set()

    assert log == ["a", "b", "c", "d"]
    assert last.result() == 1


async def test_a_restart_builds_the_agent_from_the_last_turn(host: Host) -> None:
    """Holds 3 and G16: a crash goes back to the last turn, not to the start."""

    class Cached(Counter):
        async def on_start(self) -> None:
            vars(self)["cache"] = self.context.incarnation

        @handler
        def incarnation(self, message: Incarnation) -> int:
            return int(vars(self)["cache"])

    cached = host.manager("cached", Cached)
    ref = await cached.get("one", partition="acme")
    await ref.ask(Add(5))

    await answer(ref.ask(Crash()))

    assert await ref.ask(AddLater(1)) == 6
    assert await ref.ask(Incarnation()) == 2


class Incarnation(Message[int]):
    pass


async def test_a_thousand_crashes_of_one_touch_nobody_else(host: Host) -> None:
    """P3: a manager never dies of its instances."""
    counters = host.manager("counters", Counter, restart=PATIENT)
    bad = await counters.get("bad", partition="acme")
    near = await counters.get("near", partition="acme")
    far = await counters.get("bad", partition="globex")
    await bad.ask(Add(1))

    for _ in range(1_000):
        await answer(bad.ask(Crash()))

    assert host.runtime.catalog.partition("acme").counters.crashes == 1_000
    assert await near.ask(Add()) == 1
    assert await far.ask(Add()) == 1
    assert await bad.ask(Read()) == 1
    assert host.runtime.catalog.partition("globex").counters.crashes == 0


async def test_a_crash_loop_of_one_leaves_the_budget_of_the_others(host: Host) -> None:
    """P3: restart budgets are per partition and key."""
    counters = host.manager("counters", Counter, restart=RestartPolicy(max_restarts=1))
    refs: dict[tuple[str, Key], AgentRef[Counter]] = {}
    for partition in ("acme", "globex"):
        for key in ("a", "b"):
            refs[partition, key] = await counters.get(key, partition=partition)

    for _ in range(2):
        await answer(refs["acme", "a"].ask(Crash()))

    with pytest.raises(Quarantined):
        await refs["acme", "a"].ask(Read())
    del refs["acme", "a"]
    for ref in refs.values():
        await answer(ref.ask(Crash()))
        assert await ref.ask(Add()) == 1


@dataclass(frozen=True)
class Rigid(Exception):
    """An exception that refuses notes, as frozen dataclasses do."""

    code: int = 1


class Silent(BaseException):
    """One that cannot be printed."""

    def __str__(self) -> str:
        msg = "no text"
        raise ValueError(msg)


class Awkward(Message[None]):
    error: Callable[[], BaseException]


class AwkwardLater(Message[None]):
    error: Callable[[], BaseException]


class Clumsy(Counter):
    @handler
    def awkward(self, message: Awkward) -> None:
        raise message.error()

    @handler
    async def awkward_later(self, message: AwkwardLater) -> None:
        raise message.error()


@pytest.mark.parametrize("error", [StopIteration, Rigid, Silent])
@pytest.mark.parametrize("queued", [False, True])
@pytest.mark.parametrize("message", [Awkward, AwkwardLater])
async def test_an_exception_of_any_make_is_contained(
    host: Host,
    message: type[Awkward | AwkwardLater],
    queued: bool,
    error: Callable[[], BaseException],
) -> None:
    """Holds 7: an exception that no future and no note can carry is a crash too."""
    manager = host.manager("clumsy", Clumsy)
    ref = await manager.get("one", partition="acme")
    wait = Wait()

    async with asyncio.TaskGroup() as group:
        if queued:
            group.create_task(ref.ask(wait))
            await wait.entered.wait()
        failed = group.create_task(answer(ref.ask(message(error))))
        after = group.create_task(ref.ask(AddLater(2)))
        await spin()
        wait.gate.set()
        await eventually(after.done)
        await eventually(failed.done)

    assert isinstance(failed.result(), Exception)
    assert after.result() == 2


async def test_one_exception_object_raised_for_ever_does_not_grow(
    host: Host,
) -> None:
    """Holds 8: a module-level error that is raised again gathers no notes."""
    single = ValueError("the only one")
    manager = host.manager("clumsy", Clumsy, restart=PATIENT)
    ref = await manager.get("one", partition="acme")

    for _ in range(100):
        await answer(ref.ask(Awkward(lambda: single)))

    assert len(single.__notes__) <= 2


@pytest.mark.parametrize("message", [Crash, CrashLater])
async def test_a_crash_pins_no_state(
    host: Host, message: type[Crash | CrashLater], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Holds 8: the agent object that crashed is collected when its error is let go."""
    monkeypatch.setattr(logging.getLogger("podvisor"), "disabled", True)
    logging.disable()
    try:
        gone: list[weakref.ref[Agent]] = []

        class Watched(Counter):
            async def on_start(self) -> None:
                gone.append(weakref.ref(self))

        watched = host.manager("watched", Watched)
        ref = await watched.get("one", partition="acme")

        await answer(ref.ask(message()))
        await ref.ask(Add())

        gc.collect()
        assert len(gone) == 2
        assert gone[0]() is None
    finally:
        logging.disable(logging.NOTSET)


async def test_a_failed_start_pins_no_frames(host: Host) -> None:
    """Holds 8: the cause of a ``StartFailed`` comes without its traceback."""

    class Starter(Agent):
        async def on_start(self) -> None:
            explode("exception")

    starters = host.manager("starters", Starter)

    with pytest.raises(StartFailed) as caught:
        await starters.get("one", partition="acme")

    assert caught.value.__cause__ is not None
    assert caught.value.__cause__.__traceback__ is None


async def test_a_keyboard_interrupt_goes_through_and_undoes_the_message(
    host: Host,
) -> None:
    """Holds 3: the one exception that is meant for the whole process gets there."""
    manager = host.manager("clumsy", Clumsy)
    ref = await manager.get("one", partition="acme")

    with pytest.raises(KeyboardInterrupt):
        await ref.ask(Awkward(KeyboardInterrupt))

    assert await ref.ask(Add()) == 1


@pytest.mark.parametrize("message", [Crash, CrashLater])
async def test_who_waited_behind_a_crash_is_not_told_of_it(
    host: Host, message: type[Crash | CrashLater]
) -> None:
    """B6, P3: what another request has raised is nobody else's to read."""
    counters = host.manager("counters", Counter, restart=RestartPolicy(restart=False))
    ref = await counters.get("one", partition="acme")
    wait = Wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(ref.ask(wait))
        await wait.entered.wait()
        crash = group.create_task(answer(ref.ask(message())))
        behind = group.create_task(answer(ref.ask(AddLater())))
        await spin()
        wait.gate.set()

    assert str(crash.result()) == "exception"
    error = behind.result()
    assert isinstance(error, AgentCrashed)
    assert (error.cause, "exception" in str(error)) == ("RuntimeError", False)


class Raising(logging.Handler):
    """A handler of the application that is broken."""

    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError("the disk of the logs is full")


async def test_a_log_handler_that_raises_keeps_nobody_from_a_restart(
    host: Host, clock: ManualClock
) -> None:
    """P3: what becomes of an instance does not hang on its crash being logged."""
    counters = host.manager("counters", Counter)
    ref = await counters.get("one", partition="acme")
    broken = Raising()
    logging.getLogger("podvisor").addHandler(broken)
    try:
        await answer(ref.ask(Crash()))
        clock.advance(10)

        assert await ref.ask(Add(2)) == 2
    finally:
        logging.getLogger("podvisor").removeHandler(broken)
