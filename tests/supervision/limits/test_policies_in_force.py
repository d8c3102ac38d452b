from __future__ import annotations

import asyncio
import logging

import attrs
import pytest

from supervision import (
    Agent,
    DispatchPolicy,
    Durability,
    HandlerError,
    Host,
    HostPolicy,
    Message,
    Share,
    TenantDirectory,
    TenantPolicy,
    Unknown,
    UnknownTenant,
    handler,
)
from tests.supervision.tiers import BANK, STARTUP
from tests.support import Add, Counter, ManualClock, Read, answer, eventually

__all__: list[str] = []


class Tiers(Message[tuple[str, str]]):
    """Say the tier before a wait and after it."""

    entered: asyncio.Event = attrs.field(factory=asyncio.Event)
    gate: asyncio.Event = attrs.field(factory=asyncio.Event)


class Tier(Message[str]):
    pass


class Clerk(Agent):
    @handler
    async def tiers(self, message: Tiers) -> tuple[str, str]:
        before = self.context.policy.tier
        message.entered.set()
        await message.gate.wait()
        return before, self.context.policy.tier

    @handler
    def tier(self, message: Tier) -> str:
        return self.context.policy.tier


async def test_a_turn_sees_the_policy_that_it_began_with_to_its_end() -> None:
    """O1: pinned; the next turn sees the new one, and other tenants see nothing."""
    tenants = TenantDirectory({"acme": STARTUP, "beta": STARTUP})
    async with Host("memory://", tenants=tenants) as host:
        clerks = host.manager("clerks", Clerk)
        ref = await clerks.get("one", partition="acme")
        beta = await clerks.get("one", partition="beta")
        wait = Tiers()

        async with asyncio.TaskGroup() as group:
            asked = group.create_task(ref.ask(wait))
            await wait.entered.wait()
            host.tenants.put("acme", BANK, actor="kim", reason="upgrade")
            wait.gate.set()

        assert asked.result() == ("startup", "startup")
        assert await ref.ask(Tier()) == "bank"
        assert await beta.ask(Tier()) == "startup"


async def test_a_new_version_keeps_all_state() -> None:
    """B2: the version is shown, and stands in no key."""
    tenants = TenantDirectory({"acme": TenantPolicy(version="1")})
    async with Host("memory://", tenants=tenants) as host:
        counters = host.manager("counters", Counter)
        ref = await counters.get("one", partition="acme")
        await ref.ask(Add(3))
        await counters.stop("one", partition="acme")

        tenants.put("acme", TenantPolicy(version="2"), actor="kim", reason="renewed")

        assert await ref.ask(Read()) == 3
        assert tenants.policy("acme").version == "2"


async def test_a_change_is_logged_with_who_and_why(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    """O1: also of a partition that nothing runs for yet."""
    caplog.set_level(logging.WARNING, "podvisor.tenants")

    host.tenants.put("acme", BANK, actor="kim", reason="upgrade")

    (record,) = caplog.records
    facts = vars(record)
    assert record.message == "tenant.policy_changed"
    assert facts["podvisor.partition.id"] == "acme"
    assert (facts["actor"], facts["reason"], facts["version"]) == (
        "kim",
        "upgrade",
        "1",
    )


class Wait(Message[None]):
    gate: asyncio.Event


class Waiter(Agent):
    @handler
    async def wait(self, message: Wait) -> None:
        await message.gate.wait()


async def test_a_changed_cap_applies_to_what_waits_already() -> None:
    """O1, O3: the backlog starts at once; nobody has to send anything."""
    tenants = TenantDirectory({"acme": TenantPolicy(concurrency_cap=1)})
    async with Host("memory://", tenants=tenants) as host:
        waiters = host.manager("waiters", Waiter, durability=Durability.NONE)
        gate = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for number in range(5):
                ref = await waiters.get(f"k{number}", partition="acme")
                group.create_task(ref.ask(Wait(gate)))
            await eventually(lambda: host.runtime.dispatcher.statistics().waiting == 4)
            before = host.statistics().running
            host.tenants.put(
                "acme", TenantPolicy(concurrency_cap=3), actor="kim", reason="grown"
            )
            await eventually(lambda: host.statistics().running == 3)
            waiting = host.runtime.dispatcher.statistics().waiting
            gate.set()

    assert (before, waiting) == (1, 2)


async def test_what_a_policy_leaves_open_is_the_hosts_to_say() -> None:
    """O1, O11: no cap is ever raised silently."""
    share = Share(weight=2, cap=7, hard_cap=9, burst=5.0, backlog=100)
    policy = HostPolicy(dispatch=DispatchPolicy(share=share))
    tenants = TenantDirectory(
        {"acme": TenantPolicy(concurrency_cap=3, weight=8, backlog=10), "bank": BANK}
    )
    async with Host("memory://", tenants=tenants, policy=policy) as host:
        due = host.runtime.policy_updates.share_of

        assert due("nobody") == share
        assert due("acme") == Share(weight=8, cap=3, hard_cap=3, burst=5.0, backlog=10)
        assert due("bank") == Share(
            weight=8, cap=50, hard_cap=70, burst=900.0, backlog=100
        )


async def test_an_unknown_partition_is_refused_before_anything_exists() -> None:
    """O1, B6: the same for one that never was, and for one that was removed."""
    tenants = TenantDirectory({"acme": BANK}, unknown=Unknown.REFUSE)
    async with Host("memory://", tenants=tenants) as host:
        counters = host.manager("counters", Counter)
        ref = await counters.get("one", partition="acme")
        await counters.stop("one", partition="acme")
        host.tenants.remove("acme", actor="kim", reason="left")

        removed = await answer(ref.ask(Read()))
        got = await answer(counters.get("one", partition="acme"))
        never = await answer(counters.get("one", partition="beta"))
        handle = await answer(host.partition("beta").get(counters, "one"))

        assert {type(e) for e in (removed, got, never, handle)} == {UnknownTenant}
        assert str(never).replace("beta", "?") == str(got).replace("acme", "?")
        assert "beta" not in host.runtime.partitions
        host.tenants.put("acme", BANK, actor="kim", reason="back")
        assert await ref.ask(Read()) == 0


async def test_what_is_live_goes_on_when_its_tenant_is_removed() -> None:
    """O1: nobody loses a turn that was accepted."""
    tenants = TenantDirectory({"acme": BANK}, unknown=Unknown.REFUSE)
    async with Host("memory://", tenants=tenants) as host:
        ref = await host.manager("clerks", Clerk).get("one", partition="acme")

        host.tenants.remove("acme", actor="kim", reason="left")

        assert await ref.ask(Tier()) == "bank"


async def test_a_closed_host_follows_its_directory_no_more() -> None:
    """G1: a directory may outlive a host, and holds it by nothing."""
    tenants = TenantDirectory()
    async with Host("memory://", tenants=tenants, clock=ManualClock()) as host:
        partition = host.runtime.catalog.partition("acme")
    before = partition.policy

    tenants.put("acme", BANK, actor="kim", reason="upgrade")

    assert partition.policy is before


def test_a_handler_that_cannot_run_elsewhere_is_refused_with_its_class() -> None:
    """O13: at the declaration, by name, and with what to do."""

    class Later(Agent):
        @handler(offload="thread")
        async def read(self, message: Read) -> int:
            return 1

    class WithSelf(Agent):
        @handler(offload="process")
        def read(self, message: Read) -> int:
            return 1

    class Static(Agent):
        @staticmethod
        @handler
        def read(message: Read) -> int:
            return hash(message)

    class Inside(Agent):
        @staticmethod
        @handler(offload="process")
        def read(message: Read) -> int:
            return hash(message)

    class Nowhere(Agent):
        @handler(offload="moon")  # type: ignore[call-overload,untyped-decorator]  # pyright: ignore[reportCallIssue, reportArgumentType, reportUntypedFunctionDecorator]
        def read(self, message: Read) -> int:
            return 1

    refusals: dict[type[Agent], str] = {
        Later: "runs on the event loop",
        WithSelf: "there is no self; put @staticmethod",
        Static: "only a handler with offload='process' is a static method",
        Inside: "declare it at the top of a module",
        Nowhere: "offload='moon' is neither 'thread' nor 'process'",
    }
    for agent, text in refusals.items():
        with pytest.raises(HandlerError, match=text) as refused:
            Host("memory://").manager("agents", agent)
        assert f"{agent.__qualname__}.read" in str(refused.value)
