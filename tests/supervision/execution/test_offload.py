from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading

import attrs
import pytest

from supervision import (
    Agent,
    AgentContext,
    AskTimeout,
    BlockingPolicy,
    Durability,
    Host,
    HostPolicy,
    InstanceManager,
    ManagerPolicy,
    Message,
    OffloadFailed,
    OffloadPolicy,
    OnBlock,
    OutOfRuntime,
    RestartPolicy,
    TenantDirectory,
    TenantPolicy,
    handler,
)
from supervision.loop.limiter import PartitionLimiter
from supervision.telemetry.attributes import STAMP
from tests.support import Declined, ManualClock, answer, eventually, spin

__all__: list[str] = []

LIMIT = 5.0
"""Seconds after which a thread of a test that went wrong gives up."""


class Hold(Message[int]):
    """Say when the thread has begun, and keep it until it may go on."""

    entered: threading.Event = attrs.field(factory=threading.Event)
    gate: threading.Event = attrs.field(factory=threading.Event)
    fail: type[BaseException] | None = None


class Where(Message[tuple[int, str]]):
    pass


class Send(Message[None]):
    key: str
    hold: Hold
    fail: bool = False


class Count(Message[int]):
    pass


class Square(Message[int]):
    n: int


class Spoil(Message[object]):
    """Make a child process fail in one of several ways."""

    how: str


class Loose(Exception):
    """Pickles, and does not unpickle."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one)
        self.two = two


class Helper(Agent):
    n: int = 0
    words: list[str] = attrs.field(factory=list[str])

    @handler(offload="thread", raises=(Declined,))
    def hold(self, message: Hold) -> int:
        self.n += 1
        self.words.append("held")
        message.entered.set()
        message.gate.wait(LIMIT)
        if message.fail is not None:
            raise message.fail("no")
        return self.n

    @handler(offload="thread")
    def where(self, message: Where) -> tuple[int, str]:
        return threading.get_ident(), STAMP.get()

    @handler(offload="thread")
    def send(self, message: Send) -> None:
        self.context.tell(self.context.ref("helpers", message.key), message.hold)
        if message.fail:
            raise RuntimeError("no")

    @handler
    def count(self, message: Count) -> int:
        assert len(self.words) == self.n
        return self.n

    @staticmethod
    @handler(offload="process")
    def square(message: Square) -> int:
        return message.n * message.n + (os.getpid() == message.n)

    @handler(offload="process", raises=(Declined,))
    @staticmethod
    def spoil(message: Spoil) -> object:
        match message.how:
            case "raise":
                raise Declined("no")
            case "loose":
                raise Loose("one", "two")
            case "reply":
                return lambda: None
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                threading.Event().wait()
            case _:
                pass
        return os.getpid()


@pytest.fixture
def helpers(host: Host) -> InstanceManager[Helper]:
    return host.manager("helpers", Helper)


async def test_a_handler_in_a_thread_leaves_the_loop_alone(
    helpers: InstanceManager[Helper],
) -> None:
    """O13: others are answered while it works, and its turn is a turn."""
    ref = await helpers.get("one", partition="acme")
    other = await helpers.get("two", partition="acme")
    hold = Hold()

    async with asyncio.TaskGroup() as group:
        asked = group.create_task(ref.ask(hold))
        await eventually(hold.entered.is_set)
        waiting = group.create_task(ref.ask(Count()))
        free = await other.ask(Count())
        await spin()
        early = waiting.done()
        hold.gate.set()

    assert (free, early) == (0, False)
    assert (asked.result(), waiting.result()) == (1, 1)
    ident, stamp = await ref.ask(Where())
    assert ident != threading.get_ident()
    assert stamp == "acme"


async def test_what_a_thread_changed_is_stored(
    helpers: InstanceManager[Helper],
) -> None:
    """A9, O13: as with any other handler."""
    ref = await helpers.get("one", partition="acme")
    hold = Hold()
    hold.gate.set()

    await ref.ask(hold)
    await helpers.stop("one", partition="acme")

    assert await ref.ask(Count()) == 1


@pytest.mark.parametrize("error", [Declined, RuntimeError, SystemExit, StopIteration])
async def test_a_thread_that_fails_is_undone(
    helpers: InstanceManager[Helper], error: type[BaseException]
) -> None:
    """Holds 3: the fields are what the last turn left, also lists changed in place."""
    ref = await helpers.get("one", partition="acme")
    hold = Hold(fail=error)
    hold.gate.set()

    failed = await answer(ref.ask(hold))

    assert isinstance(failed, Exception)
    assert await ref.ask(Count()) == 0


@pytest.mark.parametrize("fail", [False, True])
async def test_what_a_thread_sends_leaves_with_its_turn(
    helpers: InstanceManager[Helper], *, fail: bool
) -> None:
    """Holds 3: sent when it succeeded, and not when it failed."""
    ref = await helpers.get("one", partition="acme")
    other = await helpers.get("two", partition="acme")

    hold = Hold()
    hold.gate.set()

    error = await answer(ref.ask(Send("two", hold, fail=fail)))

    assert isinstance(error, RuntimeError) is fail
    assert await other.ask(Count()) == (0 if fail else 1)
    assert hold.entered.is_set() is not fail


async def test_each_partition_has_a_limit_of_its_own(clock: ManualClock) -> None:
    """O2, O13: a tenant with hanging threads leaves the others theirs."""
    policy = HostPolicy(offload=OffloadPolicy(limit=4, partition_limit=2))
    tenants = TenantDirectory({"small": TenantPolicy(offload_limit=1)})
    async with Host("memory://", clock=clock, policy=policy, tenants=tenants) as host:
        helpers = host.manager("helpers", Helper)
        holds: list[Hold] = []

        async with asyncio.TaskGroup() as group:
            for partition in ("hog", "small"):
                for key in ("a", "b", "c"):
                    ref = await helpers.get(key, partition=partition)
                    holds.append(hold := Hold())
                    group.create_task(ref.ask(hold))
            await eventually(lambda: sum(h.entered.is_set() for h in holds) == 3)
            await spin()
            begun = [h.entered.is_set() for h in holds]
            parked = host.runtime.dispatcher.statistics().parked
            light = await helpers.get("x", partition="light")
            quick = Hold()
            quick.gate.set()
            assert await light.ask(quick) == 1
            for hold in holds:
                hold.gate.set()

        assert begun == [True, True, False, True, False, False]
        assert parked == 3
        assert host.statistics().free_seats == policy.dispatch.seats


async def test_a_hung_thread_is_named_and_can_do_no_harm(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """O13: its turn is undone, and what it writes later reaches nobody."""
    async with Host("memory://", clock=clock) as host:
        policy = ManagerPolicy(stop_timeout=1.0)
        helpers = host.manager("helpers", Helper, policy=policy)
        ref = await helpers.get("one", partition="acme")
        hold = Hold()
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(answer(ref.ask(hold)))
            await eventually(hold.entered.is_set)
            stop = group.create_task(helpers.stop("one", partition="acme"))
            await spin()
            clock.advance(1)
            await eventually(stop.done)

        assert isinstance(asked.result(), Exception)
        (record,) = [r for r in caplog.records if r.message == "handler.abandoned"]
        assert vars(record)["handler"] == "Helper.hold"
        assert vars(record)["podvisor.partition.id"] == "acme"
        assert [name for _, name in host.runtime.offloader.hung()] == ["Helper.hold"]
        assert await ref.ask(Count()) == 0
        hold.gate.set()
        await eventually(lambda: not host.runtime.offloader.hung())
        assert await ref.ask(Count()) == 0


class Late(Message[None]):
    """Send something after the turn is over."""

    gate: threading.Event
    entered: threading.Event
    seen: list[BaseException]


class Straggler(Agent):
    @handler(offload="thread")
    def late(self, message: Late) -> None:
        context: AgentContext = self.context
        message.entered.set()
        message.gate.wait(LIMIT)
        try:
            context.tell(context.me, Late(message.gate, message.entered, []))
        except BaseException as error:  # noqa: BLE001  the test looks at it
            message.seen.append(error)


async def test_a_thread_whose_turn_is_over_sends_nothing(clock: ManualClock) -> None:
    """Holds 3: also with a context that it got before."""
    async with Host("memory://", clock=clock) as host:
        policy = ManagerPolicy(stop_timeout=1.0)
        stragglers = host.manager("stragglers", Straggler, policy=policy)
        ref = await stragglers.get("one", partition="acme")
        late = Late(threading.Event(), threading.Event(), [])
        async with asyncio.TaskGroup() as group:
            group.create_task(answer(ref.ask(late)))
            await eventually(late.entered.is_set)
            stop = group.create_task(stragglers.stop("one", partition="acme"))
            await spin()
            clock.advance(1)
            await eventually(stop.done)
        late.gate.set()
        await eventually(lambda: late.seen)
        await eventually(lambda: not host.runtime.offloader.hung())

        assert [type(error) for error in late.seen] == [OutOfRuntime]


class Scribble(Message[None]):
    """Write to the fields after the turn is over."""

    entered: threading.Event = attrs.field(factory=threading.Event)
    gate: threading.Event = attrs.field(factory=threading.Event)
    done: threading.Event = attrs.field(factory=threading.Event)


class Adopt(Message[None]):
    pass


class Scribbler(Agent):
    n: int = 0

    @handler
    async def adopt(self, message: Adopt) -> None:
        self.n = 1
        await self.context.spawn("slow", "child")

    @handler(offload="thread")
    def scribble(self, message: Scribble) -> None:
        message.entered.set()
        message.gate.wait(LIMIT)
        self.n = 100
        message.done.set()

    @handler
    def count(self, message: Count) -> int:
        return self.n


async def test_what_a_thread_writes_after_its_turn_is_not_stored(
    clock: ManualClock,
) -> None:
    """Holds 3, O13: also while the instance is on its way out, to be saved."""
    message = Scribble()

    class Slow(Agent):
        async def on_stop(self) -> None:
            message.gate.set()
            await eventually(message.done.is_set)

    async with Host("memory://", clock=clock) as host:
        policy = ManagerPolicy(stop_timeout=1.0, durability=Durability.HIBERNATE)
        scribblers = host.manager("scribblers", Scribbler, policy=policy)
        host.manager("slow", Slow)
        ref = await scribblers.get("one", partition="acme")
        await ref.ask(Adopt())
        async with asyncio.TaskGroup() as group:
            group.create_task(answer(ref.ask(message)))
            await eventually(message.entered.is_set)
            stop = group.create_task(scribblers.stop("one", partition="acme"))
            await spin()
            clock.advance(1)
            await eventually(stop.done)

        assert message.done.is_set()
        assert await ref.ask(Count()) == 1


async def test_a_thread_that_outlives_the_host_is_named_at_shutdown() -> None:
    """Holds 10, O13: it does not hold the host, and it is not passed over."""
    hold = Hold()
    policy = HostPolicy(shutdown_timeout=0.01, shutdown_grace=0.5)
    async with Host("memory://", policy=policy) as host:
        helpers = host.manager("helpers", Helper)
        ref = await helpers.get("one", partition="acme")
        await ref.tell(hold)
        await eventually(hold.entered.is_set)
        report = await host.stop()

    hold.gate.set()
    assert [name for _, name in report.stuck] == ["Helper.hold"]
    assert report.unsaved == ()


async def test_a_handler_in_a_process_is_a_function_of_its_message(
    helpers: InstanceManager[Helper],
) -> None:
    """O13: for long work in Python, which a thread would do no faster."""
    ref = await helpers.get("one", partition="acme")

    assert await ref.ask(Square(12), timeout=20) == 144
    mine = os.getpid()
    assert await ref.ask(Square(mine), timeout=20) == mine * mine
    assert await ref.ask(Count()) == 0


@pytest.mark.parametrize(
    ("how", "error", "text"),
    [
        ("raise", Declined, "no"),
        ("loose", OffloadFailed, "Loose: one"),
        ("reply", Exception, "lambda"),
        ("die", OffloadFailed, "exit code -9"),
    ],
)
async def test_a_process_that_fails_takes_one_call_with_it(
    helpers: InstanceManager[Helper], how: str, error: type[Exception], text: str
) -> None:
    """Holds 7, O13: and the next one is answered."""
    ref = await helpers.get("one", partition="acme")

    failed = await answer(ref.ask(Spoil(how), timeout=20))
    pid = await ref.ask(Spoil("nothing"), timeout=20)

    assert isinstance(failed, error)
    assert text in str(failed)
    assert pid not in (None, os.getpid())


async def test_a_message_that_does_not_pickle_is_refused_by_name(
    helpers: InstanceManager[Helper],
) -> None:
    """O13: the error says what is wrong with it."""
    ref = await helpers.get("one", partition="acme")

    failed = await answer(ref.ask(Spoil(lambda: None)))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    assert isinstance(failed, OffloadFailed)
    assert "Helper.spoil of acme/helpers" in str(failed)
    assert failed.code == "PV-E352"


async def test_a_process_that_hangs_is_killed_with_its_turn(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """O13: unlike a thread, it can be."""
    async with Host("memory://", clock=clock) as host:
        policy = ManagerPolicy(stop_timeout=1.0, restart=RestartPolicy(first_delay=0))
        helpers = host.manager("helpers", Helper, policy=policy)
        ref = await helpers.get("one", partition="acme")
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(answer(ref.ask(Spoil("hang"))))
            await eventually(lambda: len(host.runtime.workers))
            stop = group.create_task(helpers.stop("one", partition="acme"))
            await spin()
            clock.advance(1)
            await eventually(stop.done)

        assert isinstance(asked.result(), Exception)
        assert not isinstance(asked.result(), AskTimeout)
        await eventually(lambda: not host.runtime.offloader.hung())
        (record,) = [r for r in caplog.records if r.message == "handler.abandoned"]
        assert vars(record)["where"] == "process"


class Slow(Message[int]):
    seconds: float


async def test_a_handler_that_keeps_blocking_is_moved_to_a_thread(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """O13: for the partition that suffers from it, and for no other."""

    class Blocker(Agent):
        n: int = 0

        @handler
        def slow(self, message: Slow) -> int:
            clock.advance(message.seconds)
            self.n += 1
            return threading.get_ident()

    caplog.set_level(logging.WARNING, "podvisor.watchdog")
    tenants = TenantDirectory(
        {
            "acme": TenantPolicy(
                blocking=BlockingPolicy(action=OnBlock.OFFLOAD, offences=2)
            )
        }
    )
    async with Host("memory://", clock=clock, tenants=tenants) as host:
        blockers = host.manager("blockers", Blocker)
        here = threading.get_ident()
        seen: dict[str, list[bool]] = {}
        for partition in ("acme", "beta"):
            ref = await blockers.get("one", partition=partition)
            threads = [await ref.ask(Slow(0.2)) for _ in range(3)]
            seen[partition] = [thread == here for thread in threads]

    assert seen == {"acme": [True, True, False], "beta": [True, True, True]}
    actions = [vars(r)["action"] for r in caplog.records]
    assert actions == ["warn", "offload", "warn", "warn", "warn"]


async def test_permits_go_round_and_keep_their_order() -> None:
    """O2: who waits longest in his partition is first, and partitions take turns."""
    permits = PartitionLimiter(2)
    got: list[str] = []

    async def take(name: str, partition: str) -> None:
        await permits.take(partition, 2)
        got.append(name)

    async with asyncio.TaskGroup() as group:
        for name in ("a1", "a2", "a3", "a4", "b1", "b2"):
            group.create_task(take(name, name[0]))
        await spin()
        before = list(got)
        for partition in ("a", "a", "b", "a"):
            permits.give(partition)
            await spin()

    assert before == ["a1", "a2"]
    assert got == ["a1", "a2", "a3", "b1", "a4", "b2"]


async def test_a_permit_is_neither_lost_nor_made_by_who_leaves() -> None:
    """Holds 8: cancelled while it waits, or in the moment in which it is granted."""
    permits = PartitionLimiter(1)
    await permits.take("a", 1)

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(permits.take("b", 1))
        granted = group.create_task(permits.take("c", 1))
        await spin()
        waiting.cancel()
        await spin()
        permits.give("a")
        granted.cancel()
        await spin()

    assert permits.take_now("d", 1)
    assert not permits.take_now("d", 2)
    assert repr(permits) == "<PartitionLimiter free=0 waiting=0>"
