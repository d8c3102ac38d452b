"""The host: one store, one dispatcher and the managers of one asyncio process."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Self, TypeVar

import attrs

from persistence import (
    HOST,
    Clock,
    Store,
    SystemClock,
    check_name,
    check_partition,
    open_store,
)

from ..agents import PLAIN, Agent, AgentSpec, Durability, ManagerPolicy, RestartPolicy
from ..declaration import check_needs
from ..errors import (
    DuplicateManager,
    HostClosed,
    InvalidArgument,
    NotPicklable,
    ShutdownIncomplete,
    check_limit,
)
from ..loop import HandlerTime, finish, handler_times
from ..monitoring import Extent, HealthReport, Verdict, examine, host_load, quick_check
from ..tenants import RequestContext, TenantDirectory
from .manager import InstanceManager
from .partition_handle import PartitionHandle
from .policy import HostPolicy
from .runtime import Runtime
from .shutdown import Shutdown, ShutdownReport

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from ..agents import ManagerInfo

__all__ = ["Host", "HostStatistics"]

A = TypeVar("A", bound=Agent)


@attrs.frozen(kw_only=True)
class HostStatistics:
    """The numbers of a host at one moment.

    Attributes:
        partitions: number of instances in memory, by partition id.
        live: instances in memory, in any phase.
        queued: messages in mailboxes.
        running: turns in workers.
        free_seats: seats that no turn holds.
    """

    partitions: dict[str, int]
    live: int
    queued: int
    running: int
    free_seats: int


class Host:
    """Hosts the agents of many partitions in one asyncio process.

    ::

        async with Host("sqlite+aiosqlite:///podvisor.db") as host:
            workers = host.manager("workers", Reviewer)
            reviewer = await workers.get("r1", partition="acme")

    Leaving the block hibernates every instance; ``ShutdownIncomplete`` names those that
    could not be saved. Two hosts share nothing. A host runs in asyncio only, in one
    event loop.

    Args:
        url: the store: ``sqlite+aiosqlite:///FILE``, ``memory://``, or a ``Path``.
        store: a store object, used instead of the URL.
        policy: the settings of the host.
        tenants: the policies of the partitions; by default every partition is
            admitted with the same policy.
        clock: gives the time; for tests.

    Raises:
        UnsupportedStore: the URL names no store that can be used.
    """

    def __init__(
        self,
        url: str | Path = "sqlite+aiosqlite:///podvisor.db",
        *,
        store: Store | None = None,
        policy: HostPolicy | None = None,
        tenants: TenantDirectory | None = None,
        clock: Clock | None = None,
    ) -> None:
        clock = clock or SystemClock()
        self._runtime = Runtime(
            open_store(url) if store is None else store,
            policy or HostPolicy(),
            clock,
            TenantDirectory(clock=clock) if tenants is None else tenants,
        )
        self._started = False

    def __repr__(self) -> str:
        managers = ", ".join(self._runtime.managers) or "no managers"
        return f"<Host {managers}, {len(self._runtime.registries.instances())} live>"

    def __reduce__(self) -> NoReturn:
        raise NotPicklable("Host")

    async def __aenter__(self) -> Self:
        if self._started:
            raise HostClosed
        self._started = True
        await self._runtime.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        report = await self.stop()  # noqa: ASYNC102  a cancelled stop still runs to its end
        if report.clean:
            return
        incomplete = ShutdownIncomplete(report.unsaved, report.stuck)
        if error is None:
            raise incomplete
        error.add_note(str(incomplete))

    @property
    def tenants(self) -> TenantDirectory:
        """The directory of the tenants, where their policies are read and changed."""
        return self._runtime.tenants

    @property
    def runtime(self) -> Runtime:
        """The parts of the host, for the package ``pods`` and for tests."""
        return self._runtime

    def manager(
        self,
        name: str,
        agent: type[A],
        *,
        idle_timeout: float | None = None,
        durability: Durability = Durability.TURN,
        restart: RestartPolicy | None = None,
        policy: ManagerPolicy | None = None,
    ) -> InstanceManager[A]:
        """Declare a manager for the instances of one agent class.

        Args:
            name: its name in nodes and addresses; ``[a-z][a-z0-9_]{0,62}``.
            agent: the agent class.
            idle_timeout: seconds without traffic until an instance hibernates;
                ``None``: never.
            durability: when state is stored.
            restart: the restart policy after a crash.
            policy: all settings in one value, used instead of the three above.

        Raises:
            InvalidName: not a valid name.
            DuplicateManager: a manager of this host has the name.
            InvalidArgument: ``agent`` is not an agent class.
            HandlerError: the class has an invalid handler.
            UnknownResource: a handler needs a resource that this host does not have.
            UnsupportedField: the class has a field that cannot be stored.
        """
        check_name(name, "manager")
        _check_agent(agent)
        runtime = self._runtime
        if name in runtime.managers:
            taken = runtime.managers[name].info.spec.agent.__qualname__
            raise DuplicateManager(name, taken)
        if policy is None:
            policy = ManagerPolicy(
                idle_timeout=idle_timeout,
                durability=durability,
                restart=restart or RestartPolicy(),
            )
        spec = AgentSpec.of(agent)
        check_needs(spec.handlers.values(), runtime.policy.dispatch.resources)
        info = runtime.declare(name, spec, policy, agent.__traits__ or PLAIN)
        made = self._make_manager(agent, info)
        runtime.managers[name] = made
        runtime.due_letters.look_again()
        return made

    def _make_manager(self, _: type[A], info: ManagerInfo) -> InstanceManager[A]:
        runtime = self._runtime
        return InstanceManager(
            info,
            runtime.registries.of(info.name),
            runtime.catalog,
            runtime.stopping,
            runtime.operator,
        )

    def manager_named(self, name: str) -> InstanceManager[Agent]:
        """Return a manager that was declared on this host.

        Raises:
            UnknownManager: no manager has that name.
        """
        self._runtime.catalog.manager(name)
        return self._runtime.managers[name]

    def partition(self, of: str | RequestContext) -> PartitionHandle:
        """Return a handle bound to one partition, for code that serves one tenant.

        Args:
            of: the partition id, or a request context with one. Each message sent
                through the handle's refs then carries the request context.

        Raises:
            InvalidPartition: not a valid partition id.
        """
        request = of if isinstance(of, RequestContext) else None
        partition = of.partition if isinstance(of, RequestContext) else of
        runtime = self._runtime
        return PartitionHandle(
            runtime.operator, runtime.services.name_of, partition, request
        )

    async def partitions(
        self, *, after: str | None = None, limit: int = 1_000
    ) -> tuple[str, ...]:
        """Return one page of the partition ids in the store, sorted.

        Args:
            after: the last id of the page before; ``None``: the first page.
            limit: ids in one page, from 1 to 10,000.

        Raises:
            InvalidPartition: ``after`` is not a valid partition id.
            InvalidArgument: ``limit`` is not from 1 to 10,000.
        """
        check_limit(limit)
        if after is not None:
            check_partition(after)
        found = await self._runtime.catalog.read(
            lambda store: store.partitions(after=after, limit=limit), partition=HOST
        )
        return tuple(found)

    def statistics(self) -> HostStatistics:
        """Count instances, messages, turns and seats now."""
        runtime = self._runtime
        partitions: dict[str, int] = {}
        queued = 0
        for instance in runtime.registries.instances():
            name = instance.address.partition
            partitions[name] = partitions.get(name, 0) + 1
            queued += instance.queued
        dispatch = runtime.dispatcher.statistics()
        return HostStatistics(
            partitions=partitions,
            live=sum(partitions.values()),
            queued=queued,
            running=dispatch.running,
            free_seats=dispatch.free,
        )

    def health(self) -> HealthReport:
        """Report how each partition was served in the last one to two minutes.

        The report names the affected partitions and the causes, compares the held seats
        with the shares, and names the partitions that held seats while others waited.
        Call it on the loop; it does not wait.
        """
        policy = self._runtime.policy.health
        return examine(host_load(self._runtime.view, policy.victims), policy)

    def affected(self) -> Verdict:
        """Return which partitions are affected - one, some or all - and by what."""
        policy = self._runtime.policy.health
        in_use = quick_check(self._runtime.view)
        if in_use is not None:
            return Verdict(extent=Extent.NONE, cause=None, affected=(), in_use=in_use)
        return examine(host_load(self._runtime.view, 0), policy).verdict

    def loop_times(self, *, partition: str) -> tuple[HandlerTime, ...]:
        """Return the event loop time of each handler in a partition.

        Returns:
            One value per manager and handler, the longest time first.

        Raises:
            InvalidPartition: not a valid partition id.
        """
        known = self._runtime.partitions.get(check_partition(partition))
        return () if known is None else handler_times(known.loop)

    async def stop(self) -> ShutdownReport:
        """Hibernate every instance, close the store, and report what was not saved.

        It takes at most ``shutdown_timeout`` and ``shutdown_grace`` of the policy, and
        the time of the store's last commit. A cancelled call runs to its end and is
        cancelled then. A second call does nothing.
        """
        runtime = self._runtime
        if not runtime.state.starts_instances:
            return ShutdownReport(hibernated=0)
        return await finish(self._shutdown().run, "podvisor-shutdown")

    def _shutdown(self) -> Shutdown:
        runtime = self._runtime
        return Shutdown(
            runtime.policy,
            runtime.state,
            runtime.registries,
            runtime.stopping,
            runtime.workers,
            runtime.offloader,
            runtime.end,
        )


def _check_agent(agent: object) -> None:
    # The parameter is an object: callers without a type checker may pass anything.
    if not isinstance(agent, type) or Agent not in agent.__mro__:
        raise InvalidArgument("agent", agent, "a subclass of Agent")
