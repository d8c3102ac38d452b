"""The inside of a host: its parts, wired together, and the ways between them.

``Host`` is what users hold; managers, contexts and the pods of the layer above work
with this object. How it finds instances and publishes them is told in ``finding``.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from persistence import (
    Address,
    Claim,
    Clock,
    PodsError,
    Reader,
    Store,
    Writer,
)

from ..agents import SETTLED, attach_child
from ..errors import HostClosed
from ..execution import Committer, Dispatcher, Turns
from ..lifecycle import (
    Activation,
    Catalog,
    Idle,
    Reattachment,
    Removal,
    Stopping,
    Supervisor,
)
from ..loop import BackgroundTasks, WorkerPool, finish
from ..messaging import Delivery, IdempotentRequests, Mailroom
from ..monitoring import Metrics
from ..placement import Ownership
from ..telemetry import Telemetry
from .operator import OperatorActions
from .oversight import Oversight

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ..agents import Agent, Envelope, Extension, Instance, Partition
    from ..lifecycle import Registry
    from ..tenants import TenantDirectory
    from .manager import InstanceManager
    from .policy import HostPolicy

__all__ = ["Runtime"]

T = TypeVar("T")


class Runtime(Catalog):
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
        self.background = BackgroundTasks()
        self.workers = WorkerPool()
        self.partitions: dict[str, Partition] = {}
        self.oversight = Oversight(
            policy, tenants, self.partitions, clock, self.telemetry
        )
        self.ownership = Ownership(self.writer, policy.serves, self._taken)
        self.committer = Committer(self.writer, self.reader, clock, self)
        self.meter = self.oversight.meter
        self.turns = Turns(self.committer, self.telemetry, clock, self.meter, self)
        self.dispatcher = Dispatcher(
            policy.dispatch,
            self.turns,
            self.workers,
            clock,
            self.oversight.pinning.share_of,
        )
        self.oversight.bind(self.dispatcher, self.dispatcher.set_share)
        self.idle = Idle(clock, self._stop)
        self.removal = Removal(self, self._stop, self.idle.forget)
        self.activation = self._starting()
        self.post = Delivery(self)
        self.mailroom = Mailroom(self)
        self.requests = IdempotentRequests(self)
        self.operator = OperatorActions(self)
        self.stopping = self._ending()
        self.supervisor = Supervisor(self.activation, self.writer, clock)
        self.managers: dict[str, InstanceManager[Agent]] = {}
        self.registries: dict[str, Registry] = {}
        self._extensions: dict[Callable[[Runtime], Extension], Extension] = {}
        self._storage: set[asyncio.Task[None]] = set()
        self.open = False

    def _starting(self) -> Activation:
        self.reattachment = Reattachment(self)
        return Activation(
            turns=self.turns,
            workers=self.workers,
            ownership=self.ownership,
            committer=self.committer,
            reader=self.reader,
            clock=self.clock,
            telemetry=self.telemetry,
            removal=self.removal,
            crashed=self.crashed,
            quarantine=self._quarantine,
            submit=self.dispatcher.submit,
            begin_stop=self._begin_stop,
            watch=self.idle.watch,
            home=self.reattachment.look,
        )

    def _ending(self) -> Stopping:
        return Stopping(
            turns=self.turns,
            background=self.background,
            committer=self.committer,
            clock=self.clock,
            telemetry=self.telemetry,
            removal=self.removal,
            revive=self.activation.begin_again,
            cancel=self.dispatcher.cancel,
            hand_in=self.post.hand_in,
        )

    def __repr__(self) -> str:
        return f"<Runtime managers={len(self.managers)} open={self.open}>"

    # For the parts.

    def extension(
        self, factory: Callable[[Runtime], Extension] | None
    ) -> Extension | None:
        """Return this host's extension of a kind, made on first use."""
        if factory is None:
            return None
        if factory not in self._extensions:
            self._extensions[factory] = factory(self)
        return self._extensions[factory]

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
        await self.ownership.owned(partition)
        return partition

    async def read(self, call: Callable[[Store], Awaitable[T]], *, partition: str) -> T:
        """Ask the store something, in a task of the library.

        Args:
            call: what to ask.
            partition: whose turn it takes, and waits for; ``HOST``: the host's own.
        """
        if not self.open:
            raise HostClosed
        return await self.reader.ask(call, partition=partition)

    # What the parts call.

    def stale(self, instance: Instance, error: PodsError) -> None:
        """Deal with an instance that somebody else's save has fenced."""
        self.removal.stale(instance, error)

    def settled(self, instance: Instance) -> None:
        """Go on with an instance whose turn is over."""
        self.activation.settled(instance)

    def crashed(self, instance: Instance, error: BaseException, where: str) -> None:
        """Deal with a crash."""
        self.supervisor.crashed(instance, error, where)

    def reload(self, instance: Instance) -> None:
        """Start an instance again from what is stored."""
        self.activation.reload(instance)

    def deliver(self, target: Address, envelope: Envelope) -> None:
        """Let a committed send leave."""
        self.post.deliver(target, envelope)

    def withdraw(self, target: Address) -> None:
        """Forget a send that was undone."""
        self.post.withdraw(target)

    def claiming(self, partition: Partition) -> asyncio.Future[Claim]:
        """Take a partition over; to be waited for, never cancelled."""
        return self.ownership.take(partition)

    def forget(self, instance: Instance) -> None:
        """Take an instance out of its registry, if it still is the one there."""
        self.registries[instance.manager.name].remove(instance.address, instance)

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
            attach_child(instance, parent, family.on_parent_stop)

    def instances(self) -> list[Instance]:
        """Return every live instance of the host."""
        return [i for registry in self.registries.values() for i in registry]

    def _taken(self, partition: Partition) -> None:
        self.mailroom.due_letters.claimed(partition)

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
        self._serve(self.writer, "podvisor-writer")
        self._serve(self.reader, "podvisor-reader")
        self.open = True
        self.oversight.start()
        Metrics(self).register()
        if self.policy.mail.wake:
            self.mailroom.due_letters.start()

    def _serve(self, part: Writer | Reader, name: str) -> None:
        task = self.background.hold(part.run, name)
        # A task that is cancelled before its first step would answer nobody.
        task.add_done_callback(lambda _: part.abandon())
        self._storage.add(task)

    async def end(self) -> None:
        """Let the storage tasks finish what they have, then close the store."""
        self.open = False
        self.oversight.close()
        self.idle.close()
        self.mailroom.due_letters.close()
        self.writer.close()
        self.reader.close()
        if self._storage:
            await asyncio.wait(self._storage, timeout=self.policy.shutdown_timeout)
        await self.oversight.offloader.end(self.policy.shutdown_grace)
        await self.background.end(self.policy.shutdown_grace)
        self.post.close()
        for instance in self.instances():  # those that could not be saved
            if instance.timer is not None:
                instance.timer.cancel()
        await self.store.close()
