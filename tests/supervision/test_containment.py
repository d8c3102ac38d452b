from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
import attrs
import pytest

from persistence import MemoryStore
from supervision import (
    DispatchPolicy,
    Host,
    HostPolicy,
    ManagerPolicy,
    Message,
    RestartPolicy,
    Share,
    StartFailed,
    handler,
)
from tests.support import (
    KINDS,
    Add,
    AddLater,
    Counter,
    Crash,
    MakeStore,
    ManualClock,
    Read,
    Wait,
    answer,
    eventually,
    explode,
    spin,
)

__all__: list[str] = []

BRIEF = HostPolicy(shutdown_timeout=0.05, shutdown_grace=0.01)


@attrs.define
class Fuse:
    """Says in which key an agent blows up as it is built, and how."""

    kind: str = ""


FUSE = Fuse()


@pytest.fixture(autouse=True)
def _no_fuse() -> None:
    FUSE.kind = ""


class Fragile(Counter):
    """An agent that is built by code of its own, as validators and converters are."""

    lines: list[str] = attrs.field(factory=list[str])

    def __attrs_post_init__(self) -> None:
        if FUSE.kind:
            explode(FUSE.kind)


@asynccontextmanager
async def undisturbed(host: Host) -> AsyncGenerator[None]:
    """Let two siblings be in mid-turn over the block, and see that they end it."""
    counters = host.manager("siblings", Counter)
    near = await counters.get("near", partition="acme")
    far = await counters.get("far", partition="globex")
    waits = [Wait(), Wait()]
    async with asyncio.TaskGroup() as group:
        busy = [
            group.create_task(ref.ask(wait))
            for ref, wait in zip((near, far), waits, strict=True)
        ]
        for wait in waits:
            await wait.entered.wait()
        yield
        for wait in waits:
            wait.gate.set()
    assert [task.result() for task in busy] == ["done", "done"]
    assert [await ref.ask(Add()) for ref in (near, far)] == [1, 1]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_crash_in_a_constructor_disturbs_no_sibling(
    host: Host, kind: str
) -> None:
    """Row 9, holds 7: whatever a class raises as it is built is a failed start."""
    fragile = host.manager("fragile", Fragile)

    async with undisturbed(host):
        FUSE.kind = kind
        with pytest.raises(StartFailed) as caught:
            await fragile.get("one", partition="acme")

    assert caught.value.phase == "construction"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_crash_as_a_state_is_thawed_disturbs_no_sibling(
    make: MakeStore, kind: str
) -> None:
    """Row 9, holds 6: a stored state that cannot be built is kept, not replaced."""
    async with Host(store=make()) as host:
        fragile = host.manager("fragile", Fragile)
        await (await fragile.get("one", partition="acme")).ask(Add(3))
        await fragile.stop("one", partition="acme")

        async with undisturbed(host):
            FUSE.kind = kind
            error = await answer(fragile.get("one", partition="acme"))
            FUSE.kind = ""

        assert isinstance(error, Exception)
        for mark in await fragile.quarantined(partition="acme"):
            await fragile.release(
                mark.address.key, partition="acme", actor="eve", reason="mended"
            )
        ref = await fragile.get("one", partition="acme")
        assert await ref.ask(Read()) == 3


@pytest.mark.parametrize("kind", KINDS)
async def test_a_crash_as_an_agent_is_built_again_disturbs_no_sibling(
    host: Host, kind: str
) -> None:
    """Row 9: the restart of a crashed agent may crash as well, within its budget."""
    policy = RestartPolicy(max_restarts=2, first_delay=0)
    fragile = host.manager("fragile", Fragile, restart=policy)
    ref = await fragile.get("one", partition="acme")
    await ref.ask(Add(3))

    async with undisturbed(host):
        FUSE.kind = kind
        await answer(ref.ask(Crash()))
        await eventually(lambda: fragile.lookup("one", partition="acme") is None)
        FUSE.kind = ""

    await fragile.release("one", partition="acme", actor="eve", reason="mended")
    assert await ref.ask(Read()) == 3


class Clean(Message[None]):
    """Wait until cancelled, then fail to clean up."""

    kind: str
    entered: asyncio.Event = attrs.field(factory=asyncio.Event)


class Untidy(Counter):
    @handler
    async def clean(self, message: Clean) -> None:
        self.n = -1
        message.entered.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            explode(message.kind)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_crash_in_a_cleanup_disturbs_no_sibling(
    host: Host, clock: ManualClock, kind: str
) -> None:
    """Row 9: a handler that is cancelled and fails as it cleans up is one crash."""
    policy = ManagerPolicy(stop_timeout=1)
    untidy = host.manager("untidy", Untidy, policy=policy)
    ref = await untidy.get("one", partition="acme")
    await ref.ask(Add(3))

    async with undisturbed(host), asyncio.TaskGroup() as group:
        message = Clean(kind)
        asked = group.create_task(answer(ref.ask(message)))
        await message.entered.wait()
        stop = group.create_task(answer(untidy.stop("one", partition="acme")))
        await spin()
        clock.advance(1)
        await eventually(stop.done)

    assert isinstance(asked.result(), Exception)
    assert await ref.ask(Read()) == 3


class Stuck(Message[None]):
    """Take a seat, and do not give it back when cancelled."""

    way: str
    entered: asyncio.Event = attrs.field(factory=asyncio.Event)
    gate: asyncio.Event = attrs.field(factory=asyncio.Event)
    thread_gate: threading.Event = attrs.field(factory=threading.Event)

    def release(self) -> None:
        self.gate.set()
        self.thread_gate.set()


class Tenant(Counter):
    @handler
    async def be_stuck(self, message: Stuck) -> None:
        self.n = -1
        message.entered.set()
        match message.way:
            case "shield":
                with anyio.CancelScope(shield=True):
                    await message.gate.wait()
            case "thread":
                await anyio.to_thread.run_sync(message.thread_gate.wait)
            case _:
                while not message.gate.is_set():
                    with contextlib.suppress(asyncio.CancelledError):
                        await message.gate.wait()


WAYS = ("swallows", "shield", "thread")
ENDED = {"shield", "thread"}
"""The runtime's cancellation goes through a shield of anyio's, and leaves a thread."""


@pytest.mark.parametrize("way", WAYS)
async def test_a_stuck_tenant_is_ended_or_named_by_a_shutdown(way: str) -> None:
    """Row 10, holds 10: it is over at its deadline while the tenant waits still."""
    stuck = Stuck(way)
    host = Host(store=MemoryStore(), policy=BRIEF)
    async with asyncio.TaskGroup() as group:
        async with host:
            tenants = host.manager("tenants", Tenant)
            bad = await tenants.get("bad", partition="acme")
            good = await tenants.get("good", partition="globex")
            asked = group.create_task(answer(bad.ask(stuck)))
            await stuck.entered.wait()
            assert await good.ask(Add()) == 1

            report = await host.stop()

            assert not stuck.gate.is_set()
        stuck.release()
    named = () if way in ENDED else ((bad.address, "Tenant.be_stuck"),)
    assert report.stuck == named
    assert report.hibernated == 2 - len(named)
    assert isinstance(asked.result(), Exception)


@pytest.mark.parametrize("way", WAYS)
async def test_a_stuck_tenant_holds_its_own_seats_only(way: str) -> None:
    """Row 10: with every seat of its partition stuck, others are served as ever."""
    policy = attrs.evolve(BRIEF, dispatch=DispatchPolicy(seats=8, share=Share(cap=4)))
    stuck = [Stuck(way) for _ in range(6)]
    async with (
        asyncio.TaskGroup() as group,
        Host(store=MemoryStore(), policy=policy) as host,
    ):
        tenants = host.manager("tenants", Tenant)
        for number, message in enumerate(stuck):
            bad = await tenants.get(f"k{number}", partition="acme")
            group.create_task(answer(bad.ask(message)))
        for message in stuck[:4]:
            await message.entered.wait()

        others = [await tenants.get(f"k{n}", partition="globex") for n in range(20)]
        served = [await other.ask(AddLater()) for other in others]

        waiting = [message.entered.is_set() for message in stuck[4:]]
        for message in stuck:
            message.release()
    assert served == [1] * 20
    assert waiting == [False, False]
