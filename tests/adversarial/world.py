"""Two worlds that differ in what other tenants have, and what an attacker sees."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import attrs

from persistence import Address, Record, Store
from pods import (
    AgentRef,
    Host,
    InstanceManager,
    Message,
    PartitionHandle,
    Pod,
    PodContext,
    PodRef,
    PodsError,
    RestartPolicy,
    add_node,
    eager,
    handler,
    lazy,
)
from tests.adversarial.hostile import VICTIM_KEYS, VICTIMS
from tests.pods.support import (
    Boom,
    Editorial,
    ManualClock,
    Medium,
    Review,
    Reviewer,
    Workspace,
    answer,
    records,
)

__all__ = ["MANAGERS", "Outcome", "Probe", "World", "describe", "opened", "rows_of"]

MANAGERS = ("workers", "editorial_pods", "workspaces", "probes", "fragile")


class Do(Message[object]):
    """Let the attacker's own agent call something from inside."""

    call: Callable[[PodContext], Awaitable[object]]


class Probe(Pod):
    """The attacker's pod; its handler does what it is told."""

    mine = eager(Reviewer, manager="workers")
    late = lazy(Reviewer, manager="workers", owner=mine)

    @handler(raises=(Exception,))
    async def do(self, message: Do) -> object:
        return await message.call(self.context)


@attrs.define(eq=False)
class World:
    """A running host with the attacker in ``acme`` and, maybe, victims elsewhere."""

    host: Host
    workers: InstanceManager[Reviewer]
    workspaces: InstanceManager[Workspace]
    fragile: InstanceManager[Reviewer]
    handle: PartitionHandle
    pod: PodRef[Workspace]
    probe: PodRef[Probe]
    foreign: AgentRef[Reviewer] | None

    async def inside(self, call: Callable[[PodContext], Awaitable[object]]) -> object:
        """Call something from inside a handler of the attacker."""
        return await self.probe.ask(Do(call))

    def victims(self) -> dict[Address, tuple[int, int, object]]:
        """Note which instances the victims have, in which incarnation and state."""
        return {
            i.address: (id(i), i.incarnation, i.manager.spec.read(i.the_agent()))
            for i in self.host.runtime.registries.instances()
            if i.address.partition in VICTIMS
        }

    def live(self) -> int:
        return len(self.host.runtime.registries.instances())


@asynccontextmanager
async def opened(medium: Medium, *, populated: bool) -> AsyncGenerator[World]:
    """Open a world with the attacker's things, and those of victims if asked to."""
    async with medium.host(clock=ManualClock()) as host:
        workers = host.manager("workers", Reviewer)
        host.manager("editorial_pods", Editorial)
        workspaces = host.manager("workspaces", Workspace)
        probes = host.manager("probes", Probe)
        fragile = host.manager(
            "fragile", Reviewer, restart=RestartPolicy(max_restarts=0)
        )
        foreign: AgentRef[Reviewer] | None = None
        if populated:
            for partition in VICTIMS:
                foreign = await _populate(workers, workspaces, fragile, partition)
        yield World(
            host=host,
            workers=workers,
            workspaces=workspaces,
            fragile=fragile,
            handle=host.partition("acme"),
            pod=await Workspace.get(workspaces, "mine", partition="acme"),
            probe=await Probe.get(probes, "probe", partition="acme"),
            foreign=foreign,
        )


async def _populate(
    workers: InstanceManager[Reviewer],
    workspaces: InstanceManager[Workspace],
    fragile: InstanceManager[Reviewer],
    partition: str,
) -> AgentRef[Reviewer]:
    pod = await Workspace.get(workspaces, "victim", partition=partition)
    await pod.mutate([add_node("secret", eager(Reviewer, manager="workers"))])
    await pod.ask(Review(f"title of {partition}"))
    for key in VICTIM_KEYS:
        await (await workers.get(key, partition=partition)).ask(Review("x"))
    asleep = await workers.get("asleep", partition=partition)
    await asleep.ask(Review("x"))
    await workers.stop("asleep", partition=partition)
    broken = await fragile.get("victim", partition=partition)
    await answer(broken.ask(Boom()))
    return await workers.get("victim", partition=partition)


async def rows_of(
    medium: Medium, *partitions: str
) -> dict[Address, tuple[Record, ...]]:
    """Read all rows of some partitions, with no host open."""
    async with medium.opened() as store:
        return await _rows(store, partitions)


async def _rows(
    store: Store, partitions: tuple[str, ...]
) -> dict[Address, tuple[Record, ...]]:
    return await records(store, *partitions, manager_names=MANAGERS)


@attrs.frozen
class Outcome:
    """What a caller can see of a call: an answer, or all that an error shows."""

    kind: str
    seen: str
    typed: bool = True


async def describe(call: Callable[[], Awaitable[object]]) -> Outcome:
    """Make a call and note what its caller can see."""
    try:
        return Outcome("answer", _shown(await call()))
    except Exception as error:  # noqa: BLE001  whatever comes out is what is looked at
        notes = getattr(error, "__notes__", [])
        seen = f"{error.args!r} {error} {notes}"
        return Outcome(type(error).__qualname__, seen, isinstance(error, PodsError))


def _shown(answer: object) -> str:
    if isinstance(answer, AgentRef):
        return f"{answer!r} {answer.address!r}"
    return repr(answer)
