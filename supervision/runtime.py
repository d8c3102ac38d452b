"""The inside of a host: its parts, wired together, and the ways between them.

``Host`` is what users hold; managers, contexts and the pods of the layer above work
with this object. It finds instances, publishes them, and carries messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from persistence import (
    Address,
    Claim,
    Clock,
    PodsError,
    Reader,
    Store,
    Writer,
    check_key,
    check_partition,
)

from . import lineage
from .agent import Agent
from .ancestry import refuse_circle
from .claims import Claims
from .completion import finish
from .departures import Departures
from .directory import TenantDirectory
from .dispatcher import Dispatcher
from .endings import Endings
from .errors import HostClosed, InvalidArgument, Quarantined, UnknownManager
from .idle import Idle
from .instance import Instance
from .kind import Extension
from .lifecycle import Lifecycle
from .mailbox import Envelope
from .mailroom import Mailroom
from .metrics import Metrics
from .oversight import Oversight
from .partitions import Partition
from .phases import SETTLED, OnParentStop, Phase
from .policies import HostPolicy
from .post import Post
from .ref import AgentRef
from .registry import Registry
from .remedies import Remedies
from .requests import Requests
from .stopping import Stopping
from .supervisor import Supervisor
from .telemetry import NO_PARTITION, Telemetry
from .tenant_errors import UnknownTenant
from .turns import Turns
from .workers import Crew, Workers

if TYPE_CHECKING:
    from .manager import InstanceManager

__all__ = ["Runtime"]

T = TypeVar("T")


class Runtime:
    """The parts of one host. Two hosts share none of them."""

    def __init__(
        self, store: Store, policy: HostPolicy, clock: Clock, tenants: TenantDirectory
    ) -> None:
        self.policy = policy
        self.clock = clock
        self.store = store
        self.telemetry = Telemetry(policy.telemetry)
        self.writer = Writer(store, policy=policy.commits)
        self.reader = Reader(store, policy=policy.reads)
        self.crew = Crew()
        self.workers = Workers()
        self.partitions: dict[str, Partition] = {}
        self.oversight = Oversight(
            policy, tenants, self.partitions, clock, self.telemetry
        )
        self.claims = Claims(self.writer, policy.serves, self._taken)
        self.endings = Endings(self.writer, self.reader, clock, self)
        meter, share_of = self.oversight.meter, self.oversight.pinning.share_of
        self.turns = Turns(self.endings, self.telemetry, clock, meter, self)
        self.dispatcher = Dispatcher(
            policy.dispatch, self.turns, self.workers, clock, share_of
        )
        self.oversight.bind(self.dispatcher, self.dispatcher.set_share)
        self.idle = Idle(clock, self._stop)
        self.departures = Departures(self, self._stop, self.idle.forget)
        self.lifecycle = Lifecycle(
            turns=self.turns,
            workers=self.workers,
            claims=self.claims,
            endings=self.endings,
            reader=self.reader,
            clock=clock,
            telemetry=self.telemetry,
            departures=self.departures,
            crashed=self.crashed,
            quarantine=self._quarantine,
            submit=self.dispatcher.submit,
            begin_stop=self._begin_stop,
            watch=self.idle.watch,
        )
        self.post = Post(self)
        self.mailroom = Mailroom(self)
        self.requests = Requests(self)
        self.remedies = Remedies(self)
        self.stopping = Stopping(
            turns=self.turns,
            crew=self.crew,
            endings=self.endings,
            clock=clock,
            telemetry=self.telemetry,
            departures=self.departures,
            revive=self.lifecycle.begin_again,
            cancel=self.dispatcher.cancel,
            hand_in=self.post.hand_in,
        )
        self.supervisor = Supervisor(self.lifecycle, self.writer, clock)
        self.managers: dict[str, InstanceManager[Agent]] = {}
        self.registries: dict[str, Registry] = {}
        self._extensions: dict[Callable[[Runtime], Extension], Extension] = {}
        self._storage: set[asyncio.Task[None]] = set()
        self.open = False

    def __repr__(self) -> str:
        return f"<Runtime managers={len(self.managers)} open={self.open}>"

    # Finding.

    def manager(self, name: str) -> InstanceManager[Agent]:
        """Return a manager of this host.

        Raises:
            UnknownManager: none of that name.
        """
        _check_name(name)
        found = self.managers.get(name)
        if found is None:
            raise UnknownManager(name, tuple(self.managers))
        return found

    def owned(self, manager: object) -> InstanceManager[Agent]:
        """Return a manager of this host, given by itself or by its name.

        Raises:
            UnknownManager: none of that name.
            InvalidArgument: no manager, or one of another host.
        """
        if isinstance(manager, str):
            return self.manager(manager)
        for own in self.managers.values():
            if own is manager:
                return own
        raise InvalidArgument("manager", manager, "a manager of this host")

    def extension(
        self, factory: Callable[[Runtime], Extension] | None
    ) -> Extension | None:
        """Return this host's extension of a kind, made on first use."""
        if factory is None:
            return None
        if factory not in self._extensions:
            self._extensions[factory] = factory(self)
        return self._extensions[factory]

    def partition(self, name: str) -> Partition:
        """Return what the host knows of a partition, from its first use on.

        Raises:
            UnknownTenant: it is not known, and unknown ones are refused.
        """
        found = self.partitions.get(check_partition(name))
        if found is None:
            pinned = self.oversight.tenants.policy(name)
            found = Partition(name, self.dispatcher.tally(name), pinned)
            self.partitions[name] = found
        return found

    def find(self, address: Address) -> Instance | None:
        """Return the instance that stands at an address, in whatever phase."""
        registry = self.registries.get(address.manager)
        return (
            None if registry is None else registry.find(address.partition, address.key)
        )

    def ref(
        self, address: Address, *, caller: Instance | None = None
    ) -> AgentRef[Agent]:
        """Make a ref to an address, for the use of a handler if ``caller`` is given."""
        kind = self.manager(address.manager).kind
        request = None
        if caller is not None and caller.current is not None:
            request = caller.current.request
        return kind.ref(
            kind.port, address, self.find(address), caller=caller, request=request
        )

    def resolve(
        self,
        address: Address,
        parent: Instance | None = None,
        on_parent_stop: OnParentStop = OnParentStop.STOP,
    ) -> Instance:
        """Find the instance at an address, or publish one and begin to start it.

        Raises:
            HostClosed: the host is not running.
            Quarantined: the instance may not start.
            StaleOwner: the partition belongs to another host now.
            LineageRefused: it cannot be the child of ``parent``.
            AgentNotFound: it was a node of a live pod, and was removed.
        """
        instance = self.find(address)
        if instance is not None and instance.live:
            leaving = instance.phase is Phase.STOPPING
            if parent is not None and instance.parent is not parent and not leaving:
                lineage.attach(instance, parent, on_parent_stop)
            return instance
        kind = self.manager(address.manager).kind
        check_key(address.key)  # an address made by hand has not been looked at yet
        partition = self.partition(address.partition)
        self.may_start(partition, address)
        instance = Instance(address, kind, partition)
        instance.crashes = partition.crashed.pop((kind.name, address.key), None)
        home = self._home(address) if parent is None else (parent, on_parent_stop)
        if home is not None:
            lineage.attach(instance, *home)
        self.registries[address.manager].add(instance)
        self.lifecycle.begin(instance)
        return instance

    def _home(self, address: Address) -> tuple[Instance, OnParentStop] | None:
        """Find the family of an address that is named as the node of a live pod.

        Raises:
            AgentNotFound: it was a node of the pod, and was removed.
        """
        match address.key:
            case (str(manager), pod_key, str()) if manager in self.managers:
                extension = self.managers[manager].kind.extension
                pod = self.registries[manager].find(address.partition, pod_key)
            case _:
                return None
        if extension is None or pod is None or pod.phase not in SETTLED:
            return None
        return extension.home(pod, address)

    def may_start(self, partition: Partition, address: Address) -> None:
        """Check that an instance may be started now.

        Raises:
            HostClosed: the host is not running.
            NotServed: the host was told to leave the partition to others.
            UnknownTenant: the partition was removed from the directory.
            StaleOwner: the partition belongs to another host.
            Quarantined: the instance is in quarantine.
        """
        if not self.open or self.stopping.closing:
            raise HostClosed
        if partition.refused:
            raise UnknownTenant(partition.name)
        self.claims.check(partition)
        mark = partition.quarantined.get((address.manager, address.key))
        if mark is not None:
            raise Quarantined(address, mark.reason)

    async def ready(self, address: Address) -> Instance:
        """Return the live instance of an address, started or thawed if need be."""
        return await self.live(self.resolve(address))

    async def live(self, instance: Instance) -> Instance:
        """Wait until an instance is live and has all that ``get`` promises."""
        if not instance.live:  # nobody would tell those who wait for this one
            instance = self.resolve(instance.address)
        if instance.phase not in SETTLED:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            if instance.waiters is None:
                instance.waiters = []
            instance.waiters.append(waiter)
            await waiter
            instance = self.find(instance.address) or instance
        instance.used = self.clock.monotonic()
        if instance.kind.extension is not None:
            await instance.kind.extension.ready(instance)
        return instance

    async def start_child(
        self, parent: Instance, address: Address, on_parent_stop: OnParentStop
    ) -> Instance:
        """Start an instance as the child of another, or attach it.

        Raises:
            LineageRefused: it has another parent, or is an ancestor.
        """
        await refuse_circle(self, parent, address)
        instance = self.resolve(address, parent, on_parent_stop)
        instance = await self.live_child(instance, parent, on_parent_stop)
        self.lifecycle.flush(instance)
        return instance

    async def live_child(
        self, instance: Instance, parent: Instance, on_parent_stop: OnParentStop
    ) -> Instance:
        """Wait until a resolved child is live; it may have stopped and come again."""
        instance = await self.live(instance)
        if instance.parent is not parent and parent.live:
            lineage.attach(instance, parent, on_parent_stop)
        return instance

    async def exists(self, address: Address) -> bool:
        """Say whether anything of an address is live or stored."""
        instance = self.find(address)
        if instance is not None and instance.live:
            return True
        return bool(await self.reader.load(address))

    async def claim(self, name: str) -> Partition:
        """Return a partition that this host owns.

        Raises:
            NotServed: the host was told to leave it to others.
            StaleOwner: it belongs to another host now.
            StoreError: it could not be claimed.
        """
        if not self.open:
            raise HostClosed
        partition = self.partition(name)
        await self.claims.owned(partition)
        return partition

    async def read(
        self, call: Callable[[Store], Awaitable[T]], *, partition: str = ""
    ) -> T:
        """Ask the store something, in a task of the library.

        Args:
            call: what to ask.
            partition: whose turn it takes, and waits for; without one, the host's own.
        """
        if not self.open:
            raise HostClosed
        return await self.reader.ask(call, partition=partition)

    # What the parts call.

    def stale(self, instance: Instance, error: PodsError) -> None:
        """Deal with an instance that somebody else's save has fenced."""
        self.departures.stale(instance, error)

    def settled(self, instance: Instance) -> None:
        """Go on with an instance whose turn is over."""
        self.lifecycle.settled(instance)

    def crashed(self, instance: Instance, error: BaseException, where: str) -> None:
        """Deal with a crash."""
        self.supervisor.crashed(instance, error, where)

    def reload(self, instance: Instance) -> None:
        """Start an instance again from what is stored."""
        self.lifecycle.reload(instance)

    def deliver(self, target: Address, envelope: Envelope) -> None:
        """Let a committed send leave."""
        self.post.deliver(target, envelope)

    def withdraw(self, target: Address) -> None:
        """Forget a send that was undone."""
        self.post.withdraw(target)

    def claiming(self, partition: Partition) -> asyncio.Future[Claim]:
        """Take a partition over; to be waited for, never cancelled."""
        return self.claims.take(partition)

    def forget(self, instance: Instance) -> None:
        """Take an instance out of its registry, if it still is the one there."""
        self.registries[instance.kind.name].remove(instance.address, instance)

    def rehome(self, instance: Instance) -> None:
        """Give what came for a stopped instance to its successor."""
        self.post.rehome(instance)

    def family(self, instance: Instance) -> None:
        """Bring a thawed child back to its parent, if that is live."""
        family = instance.family
        if family is None or family.lost_parent is None:
            return
        parent = self.find(family.lost_parent)
        if parent is not None and parent.phase in SETTLED:
            lineage.attach(instance, parent, family.on_parent_stop)

    def instances(self) -> list[Instance]:
        """Return every live instance of the host."""
        return [i for registry in self.registries.values() for i in registry]

    def _taken(self, partition: Partition) -> None:
        self.mailroom.rounds.claimed(partition)

    def _quarantine(self, instance: Instance, reason: str) -> None:
        self.supervisor.quarantine(instance, reason)

    def _begin_stop(self, instance: Instance) -> None:
        self.stopping.begin(instance)

    def _stop(self, instance: Instance) -> None:
        self.stopping.request(instance)

    # Opening and closing.

    async def start(self) -> None:
        """Open the store and start the tasks that use it."""
        try:
            await finish(self.store.open, "podvisor-open")
        except asyncio.CancelledError:
            await finish(self.store.close, "podvisor-close")  # noqa: ASYNC102  it may be open
            raise
        self._storage = {
            self.crew.hold(self.writer.run, "podvisor-writer"),
            self.crew.hold(self.reader.run, "podvisor-reader"),
        }
        self.open = True
        self.oversight.start()
        Metrics(self).register()
        if self.policy.mail.wake:
            self.crew.start(self.mailroom.rounds.wake, "wake", NO_PARTITION)

    async def end(self) -> None:
        """Let the storage tasks finish what they have, then close the store."""
        self.open = False
        self.oversight.close()
        self.idle.close()
        self.mailroom.rounds.close()
        self.writer.close()
        self.reader.close()
        if self._storage:
            await asyncio.wait(self._storage, timeout=self.policy.shutdown_timeout)
        await self.oversight.offloader.end(self.policy.shutdown_grace)
        await self.crew.end(self.policy.shutdown_grace)
        for instance in self.instances():  # those that could not be saved
            if instance.timer is not None:
                instance.timer.cancel()
        await self.store.close()


def _check_name(name: object) -> None:
    # Takes an object: it is for callers without a type checker.
    if not isinstance(name, str):
        raise InvalidArgument("manager", name, "the name of a manager")
