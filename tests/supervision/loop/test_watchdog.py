from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable

import pytest

from persistence import MemoryStore
from supervision import (
    Agent,
    BlockingPolicy,
    Host,
    HostPolicy,
    Instance,
    ManagerPolicy,
    Message,
    OnBlock,
    Quarantined,
    TenantDirectory,
    TenantPolicy,
    WatchdogPolicy,
    handler,
)
from supervision.loop.blocking import decide_block
from supervision.loop.loop_time import Meter
from supervision.loop.watchdog import Watch, Watchdog
from tests.support import Counter, ManualClock, Read, answer, eventually

__all__: list[str] = []


class Block(Message[int]):
    """Hold the loop, and call something meanwhile."""

    call: Callable[[], object]


class BlockLater(Message[int]):
    call: Callable[[], object]


class Blocker(Agent):
    n: int = 0

    @handler
    def block(self, message: Block) -> int:
        self.n += 1
        message.call()
        return self.n

    @handler
    async def block_later(self, message: BlockLater) -> int:
        self.n += 1
        message.call()
        return self.n


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        ([0.0, 0.049], []),
        ([0.05], [0.05]),
        ([0.05, 0.06, 0.9], [0.05]),
        ([0.05, 1.0, 1.9, 2.0, 3.9, 4.0], [0.05, 1.0, 2.0, 4.0]),
        ([0.6, 1.0, 1.2], [0.6, 1.2]),
    ],
    ids=["short", "limit", "once", "ever-more-rarely", "late"],
)
def test_a_block_is_told_at_the_limit_and_then_ever_more_rarely(
    looks: list[float], told: list[float]
) -> None:
    """O13: a handler that never ends does not fill the log."""
    watch = Watch(0.05)

    found = [held for now in looks if (held := watch.look(8.0, 8.0 + now)) is not None]

    assert found == pytest.approx(told)


def test_the_next_step_is_told_of_by_itself() -> None:
    """O13: each block is one, however close they are."""
    watch = Watch(0.05)

    first = watch.look(1.0, 2.0)
    second = watch.look(2.0, 2.0625)

    assert (first, second) == (1.0, 0.0625)


@pytest.mark.parametrize("action", list(OnBlock))
def test_what_follows_a_block_depends_on_how_many_there_were(action: OnBlock) -> None:
    """O13: so many within the window are borne."""
    policy = BlockingPolicy(action=action, offences=3, window=10)

    assert decide_block(policy, [1.0, 2.0], 2.0) is OnBlock.WARN
    assert decide_block(policy, [1.0, 2.0, 3.0], 3.0) is action
    assert decide_block(policy, [1.0, 2.0, 11.5], 11.5) is OnBlock.WARN


@pytest.mark.parametrize("later", [False, True], ids=["def", "async-def"])
async def test_a_handler_is_named_while_it_blocks(
    host: Host, clock: ManualClock, caplog: pytest.LogCaptureFixture, *, later: bool
) -> None:
    """O13: partition, manager, agent, key, handler, and where it stands."""
    ref = await host.manager("blockers", Blocker).get("one", partition="acme")
    seen: list[logging.LogRecord] = []

    def freeze() -> None:
        clock.advance(0.2)
        host.runtime.watchdog.look()
        seen.extend(caplog.records)

    await ref.ask(BlockLater(freeze) if later else Block(freeze))

    (record,) = [r for r in seen if r.message == "loop.blocked"]
    facts = vars(record)
    assert facts["podvisor.partition.id"] == "acme"
    assert facts["manager"] == "blockers"
    assert facts["agent"] == "Blocker"
    assert facts["key"] == "one"
    assert facts["handler"] == "Blocker." + ("block_later" if later else "block")
    assert facts["seconds"] == 0.2
    assert "message.call()" in facts["stack"]


async def test_a_thread_names_it_for_real() -> None:
    """O13: the loop is blocked, and the name is in the log before it is free again."""
    named = threading.Event()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() == "loop.blocked":
                named.set()

    def spin() -> None:
        end = time.monotonic() + 10
        while not named.is_set() and time.monotonic() < end:
            pass

    listener = Listener()
    logging.getLogger("podvisor.watchdog").addHandler(listener)
    try:
        async with Host(store=MemoryStore()) as host:
            ref = await host.manager("blockers", Blocker).get("one", partition="acme")
            await ref.ask(Block(spin))
            thread = host.runtime.watchdog.thread
    finally:
        logging.getLogger("podvisor.watchdog").removeHandler(listener)

    assert named.is_set()
    assert thread is not None
    assert thread.daemon
    await eventually(lambda: not thread.is_alive())


async def test_a_host_that_is_not_to_be_watched_has_no_thread() -> None:
    """O13: the switch is there, and blocks are counted without it, too."""
    clock = ManualClock()
    policy = HostPolicy(watchdog=WatchdogPolicy(enabled=False))
    async with Host("memory://", clock=clock, policy=policy) as host:
        ref = await host.manager("blockers", Blocker).get("one", partition="acme")
        await ref.ask(Block(lambda: clock.advance(1)))

        assert host.runtime.watchdog.thread is None
        assert [t.blocks for t in host.loop_times(partition="acme")] == [1]


async def test_the_thread_holds_no_host() -> None:
    """O13: a host that was dropped without being closed is not watched for ever."""
    meter = Meter[Instance](lambda: 0.0, 0.05)
    watchdog = Watchdog(meter, WatchdogPolicy(), lambda: 0.0)
    assert watchdog.look()

    del meter
    gc.collect()

    assert not watchdog.look()


async def test_a_step_that_ends_while_it_is_looked_at_is_not_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """O13: what is said of a handler is true when it is said."""
    clock = ManualClock()

    async with Host("memory://", clock=clock) as host:
        ref = await host.manager("blockers", Blocker).get("one", partition="acme")

        def late() -> float:
            host.runtime.meter.running = None
            return clock.monotonic()

        watchdog = Watchdog(host.runtime.meter, WatchdogPolicy(), late)

        def freeze() -> None:
            clock.advance(0.2)
            watchdog.look()

        await ref.ask(Block(freeze))

    assert "loop.blocked" not in [r.message for r in caplog.records]


def _policy(action: OnBlock, offences: int = 2) -> BlockingPolicy:
    return BlockingPolicy(action=action, offences=offences, lowered_for=30)


async def test_a_block_is_told_with_its_length_when_it_is_over(
    host: Host, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """O13: also when the thread could not look, because nothing else could run."""
    ref = await host.manager("blockers", Blocker).get("one", partition="acme")

    await ref.ask(Block(lambda: clock.advance(0.3)))

    (record,) = [r for r in caplog.records if r.message == "handler.blocked"]
    facts = vars(record)
    assert facts["podvisor.partition.id"] == "acme"
    assert (facts["handler"], facts["seconds"]) == ("Blocker.block", 0.3)
    assert facts["action"] == "warn"


async def test_an_instance_that_keeps_blocking_is_quarantined_with_what_it_did(
    clock: ManualClock,
) -> None:
    """O13: it alone; its last turn counts, and its partition goes on."""
    async with Host("memory://", clock=clock) as host:
        policy = ManagerPolicy(blocking=_policy(OnBlock.QUARANTINE))
        blockers = host.manager("blockers", Blocker, policy=policy)
        counters = host.manager("counters", Counter)
        ref = await blockers.get("one", partition="acme")
        other = await blockers.get("two", partition="acme")

        first = await ref.ask(Block(lambda: clock.advance(0.3)))
        second = await ref.ask(Block(lambda: clock.advance(0.3)))
        refused = await answer(ref.ask(Block(lambda: None)))

        assert (first, second) == (1, 2)
        assert isinstance(refused, Quarantined)
        assert "Blocker.block blocked the event loop 2 times" in refused.reason
        assert await other.ask(Block(lambda: None)) == 1
        neighbour = await counters.get("one", partition="acme")
        assert await neighbour.ask(Read()) == 0
        await blockers.release("one", partition="acme", actor="ops", reason="mended")
        assert await ref.ask(Block(lambda: None)) == 3


async def test_blocks_that_are_long_past_are_forgiven(clock: ManualClock) -> None:
    """O13: the window moves on."""
    async with Host("memory://", clock=clock) as host:
        policy = ManagerPolicy(blocking=_policy(OnBlock.QUARANTINE))
        blockers = host.manager("blockers", Blocker, policy=policy)
        ref = await blockers.get("one", partition="acme")

        for _ in range(3):
            await ref.ask(Block(lambda: clock.advance(0.3)))
            clock.advance(60)

        assert await ref.ask(Block(lambda: None)) == 4


async def test_a_tenants_policy_comes_before_that_of_the_manager(
    clock: ManualClock,
) -> None:
    """O1, O13: one tenant is watched more strictly than the rest."""
    strict = TenantPolicy(blocking=_policy(OnBlock.QUARANTINE, 1))
    tenants = TenantDirectory({"acme": strict})
    async with Host("memory://", clock=clock, tenants=tenants) as host:
        policy = ManagerPolicy(blocking=_policy(OnBlock.WARN, 1))
        blockers = host.manager("blockers", Blocker, policy=policy)
        acme = await blockers.get("one", partition="acme")
        beta = await blockers.get("one", partition="beta")

        for ref in (acme, beta):
            await ref.ask(Block(lambda: clock.advance(0.3)))

        assert isinstance(await answer(acme.ask(Block(lambda: None))), Quarantined)
        assert await beta.ask(Block(lambda: None)) == 2


async def test_the_weight_of_who_keeps_blocking_is_lowered_for_a_while(
    clock: ManualClock,
) -> None:
    """O13: halved at each further offence, and put back when it behaves."""
    tenants = TenantDirectory({"acme": TenantPolicy(weight=8)})
    policy = HostPolicy(watchdog=WatchdogPolicy(blocking=_policy(OnBlock.LOWER, 1)))
    async with Host("memory://", clock=clock, tenants=tenants, policy=policy) as host:
        blockers = host.manager("blockers", Blocker)
        ref = await blockers.get("one", partition="acme")
        lane = host.runtime.partitions["acme"]

        seen = [lane.halvings]
        for _ in range(6):
            await ref.ask(Block(lambda: clock.advance(0.3)))
            seen.append(lane.halvings)
        clock.advance(29)
        seen.append(lane.halvings)
        clock.advance(2)
        seen.append(lane.halvings)

        assert seen == [0, 1, 2, 3, 4, 4, 4, 4, 0]


async def test_a_log_handler_that_raises_changes_nothing(clock: ManualClock) -> None:
    """Holds 7: what is told of a block is less than what is done about it."""

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError(record.getMessage())

    broken, watchdog = Broken(), logging.getLogger("podvisor.watchdog")
    watchdog.addHandler(broken)
    try:
        async with Host("memory://", clock=clock) as host:
            policy = ManagerPolicy(blocking=_policy(OnBlock.QUARANTINE, 1))
            blockers = host.manager("blockers", Blocker, policy=policy)
            ref = await blockers.get("one", partition="acme")

            def freeze() -> None:
                clock.advance(0.3)
                host.runtime.watchdog.look()

            reply = await ref.ask(Block(freeze))
            refused = await answer(ref.ask(Block(freeze)))
    finally:
        watchdog.removeHandler(broken)

    assert reply == 1
    assert isinstance(refused, Quarantined)
