"""The composition root of a host: builds its parts and wires them together.

No part holds this object. Each part takes the few collaborators that it uses, by name,
so its constructor shows what it can reach. The lower parts are built first. Where two
parts need each other, the lower one is built first and this module sets the upper one
in it: the hooks of a turn, the stop of an instance, the functions that are called after
a claim and after a handler blocked the loop.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from persistence import Clock, Reader, Store, Writer

from ..agents import Agent, Durability, Extension, HostServices, ManagerInfo, Seeker
from ..execution import Committer, Dispatcher, Offloader, Turns, move_to_thread
from ..lifecycle import (
    Activation,
    Catalog,
    HostState,
    Idle,
    Reattachment,
    Registries,
    Removal,
    Stopping,
    Supervisor,
    TurnHooks,
)
from ..limits import BlockedLoopResponse, PartitionShares, PolicyUpdates
from ..loop import BackgroundTasks, Meter, Watchdog, WorkerPool, finish
from ..messaging import (
    Calls,
    Delivery,
    DueLetters,
    IdempotentRequests,
    LetterSender,
    Mailroom,
)
from ..monitoring import HostView, Metrics
from ..placement import Ownership
from ..telemetry import Telemetry
from .operator import OperatorActions
from .services import Services

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..agents import AgentSpec, Instance, ManagerPolicy, Partition, Traits
    from ..tenants import TenantDirectory
    from .manager import InstanceManager
    from .policy import HostPolicy

__all__ = ["Runtime"]


class Runtime:
    """The parts of one host; it builds, starts and closes them.

    Two hosts share no part. ``Host`` owns it; ``pods`` and tests read it.

    Args:
        store: the store, not open yet.
        policy: the settings of the host.
        clock: gives the time to all parts.
        tenants: the policies of the partitions.
    """

    def __init__(
        self, store: Store, policy: HostPolicy, clock: Clock, tenants: TenantDirectory
    ) -> None:
        self.policy = policy
        self.clock = clock
        self.store = store
        self.tenants = tenants
        self.state = HostState()
        self.telemetry = Telemetry(policy.telemetry)
        self.writer = Writer(store, policy=policy.commits)
        self.reader = Reader(store, policy=policy.reads)
        self.background = BackgroundTasks()
        self.workers = WorkerPool()
        self.partitions: dict[str, Partition] = {}
        self.managers: dict[str, InstanceManager[Agent]] = {}
        self._infos: dict[str, ManagerInfo] = {}
        self._extensions: dict[Callable[[HostServices], Extension], Extension] = {}
        self._storage: set[asyncio.Task[None]] = set()
        self._build_execution()
        self._build_limits()
        self._build_lifecycle()
        self._build_messaging()
        self._build_stopping()
        self.operator = OperatorActions(
            self.catalog, self.writer, self.mailroom, self.due_letters
        )
        self.services = Services(
            catalog=self.catalog,
            handles=self.managers,
            delivery=self.delivery,
            letters=self.letters,
            mailroom=self.mailroom,
            dispatcher=self.dispatcher,
            stopping=self.stopping,
            removal=self.removal,
            background=self.background,
            writer=self.writer,
            telemetry=self.telemetry,
            clock=clock,
        )
        self.view = self._make_view()

    def _build_execution(self) -> None:
        policy, clock = self.policy, self.clock
        self.shares = PartitionShares(
            self.tenants, self.partitions, policy.dispatch.share
        )
        self.meter = Meter["Instance"](clock.monotonic, policy.watchdog.warn_after)
        self.hooks = TurnHooks()
        self.committer = Committer(self.writer, self.reader, clock, self.hooks)
        self.turns = Turns(
            self.committer, self.telemetry, clock, self.meter, self.hooks
        )
        self.dispatcher = Dispatcher(
            policy.dispatch, self.turns, self.workers, clock, self.shares.share_of
        )
        self.offloader = Offloader(policy.offload, self.dispatcher)

    def _build_limits(self) -> None:
        policy, clock = self.policy, self.clock
        self.policy_updates = PolicyUpdates(
            directory=self.tenants,
            partitions=self.partitions,
            clock=clock,
            telemetry=self.telemetry,
            share_of=self.shares.share_of,
            set_share=self.dispatcher.set_share,
        )
        response = BlockedLoopResponse(
            clock, policy.watchdog.blocking, self.policy_updates.lower, move_to_thread
        )
        self.meter.on_block = response.ended
        self.watchdog = Watchdog(self.meter, policy.watchdog, clock.monotonic)

    def _build_lifecycle(self) -> None:
        self.registries = Registries()
        self.ownership = Ownership(self.writer, self.policy.serves)
        self.idle = Idle(self.clock, self._request_stop)
        self.removal = Removal(self.registries, self._request_stop, self.idle.forget)
        self.reattachment = Reattachment(
            self.registries, self._infos, self.reader, self.background
        )
        self.activation = Activation(
            turns=self.turns,
            workers=self.workers,
            ownership=self.ownership,
            committer=self.committer,
            reader=self.reader,
            clock=self.clock,
            telemetry=self.telemetry,
            removal=self.removal,
            reattachment=self.reattachment,
            hooks=self.hooks,
            quarantine=self._quarantine,
            submit=self.dispatcher.submit,
            begin_stop=self._begin_stop,
            watch=self.idle.watch,
        )
        self.supervisor = Supervisor(self.activation, self.writer, self.clock)
        self.catalog = Catalog(
            registries=self.registries,
            managers=self._infos,
            partitions=self.partitions,
            tenants=self.tenants,
            new_backlog=self.dispatcher.backlog,
            ownership=self.ownership,
            reattachment=self.reattachment,
            activation=self.activation,
            reader=self.reader,
            state=self.state,
            clock=self.clock,
        )

    def _build_messaging(self) -> None:
        self.delivery = Delivery(
            self.catalog, self.dispatcher, self.telemetry, self.clock
        )
        self.due_letters = DueLetters(
            self.catalog, self.background, self.policy.mail, self.clock
        )
        self.ownership.on_claim = self.due_letters.claimed
        self.mailroom = Mailroom(
            self.catalog,
            self.writer,
            self.delivery.hand_in,
            self.due_letters,
            self.clock,
        )
        self.letters = LetterSender(
            self.catalog, self.delivery, self.mailroom, self.writer
        )
        self.requests = IdempotentRequests(
            self.catalog, self.writer, self.policy.mail.remember_replies, self.clock
        )

    def _build_stopping(self) -> None:
        self.stopping = Stopping(
            turns=self.turns,
            background=self.background,
            committer=self.committer,
            clock=self.clock,
            telemetry=self.telemetry,
            removal=self.removal,
            state=self.state,
            revive=self.activation.begin_again,
            cancel=self.dispatcher.cancel,
            hand_in=self.delivery.hand_in,
            rehome=self.delivery.rehome,
        )
        hooks = self.hooks
        hooks.settled = self.activation.settled
        hooks.crashed = self.supervisor.crashed
        hooks.fenced = self.removal.fence
        hooks.reload = self.activation.reload
        hooks.deliver = self.delivery.deliver
        hooks.withdraw = self.delivery.withdraw
        hooks.claim = self.ownership.take

    def _make_view(self) -> HostView[Seeker]:
        return HostView(
            partitions=self.partitions,
            dispatch=self.dispatcher,
            telemetry=self.telemetry,
            policy=self.policy.health,
            seats=self.policy.dispatch.seats,
            warn_after=self.policy.watchdog.warn_after,
            share_of=self.shares.share_of,
            holds_loop=self._loop_holder,
            now=self.clock.monotonic,
            is_open=self.state.is_open,
            live=self.registries.live_by_partition,
            mailboxes=self.registries.queued_by_partition,
        )

    def __repr__(self) -> str:
        return f"<Runtime managers={len(self.managers)} open={self.state.open}>"

    # Calls from a lower part to an upper one, which is built later.

    def _request_stop(self, instance: Instance) -> None:
        self.stopping.request(instance)

    def _begin_stop(self, instance: Instance) -> None:
        self.stopping.begin(instance)

    def _quarantine(self, instance: Instance, reason: str) -> None:
        self.supervisor.quarantine(instance, reason)

    def _loop_holder(self) -> tuple[str, float] | None:
        running = self.meter.running
        return None if running is None else (running[0].address.partition, running[2])

    # Managers.

    def declare(
        self, name: str, spec: AgentSpec, policy: ManagerPolicy, traits: Traits
    ) -> ManagerInfo:
        """Build and register what the instances of one manager share.

        Args:
            name: a valid name that no manager has yet.
            spec: the declarations of the agent class.
            policy: the settings of the manager.
            traits: the ref, the view and the extension of this family of agent classes.
        """
        extension = self._extension(traits.extension)
        calls = Calls(
            manager=name,
            ask_timeout=policy.ask_timeout,
            meter=self.meter,
            extension=extension,
            catalog=self.catalog,
            dispatcher=self.dispatcher,
            turns=self.turns,
            telemetry=self.telemetry,
            delivery=self.delivery,
            letters=self.letters,
            requests=self.requests,
            clock=self.clock,
        )
        services = self.services
        info = self._infos[name] = ManagerInfo(
            name=name,
            spec=spec,
            policy=policy,
            port=calls,
            ref=traits.ref,
            view=lambda instance: traits.view(services, instance),
            stored=policy.durability is not Durability.NONE,
            each_turn=policy.durability is Durability.TURN,
            extension=extension,
            offloader=self.offloader,
        )
        return info

    def _extension(
        self, factory: Callable[[HostServices], Extension] | None
    ) -> Extension | None:
        """Return the extension that a factory builds; the first use builds it."""
        if factory is None:
            return None
        if factory not in self._extensions:
            self._extensions[factory] = factory(self.services)
        return self._extensions[factory]

    # Opening and closing.

    async def start(self) -> None:
        """Open the store and start the writer, the reader and the timed parts."""
        try:
            await finish(self.store.open, "podvisor-open")
        except asyncio.CancelledError:
            await finish(self.store.close, "podvisor-close")  # noqa: ASYNC102  the store may be open by now
            raise
        self._serve(self.writer, "podvisor-writer")
        self._serve(self.reader, "podvisor-reader")
        self.state.open = True
        self.watchdog.start()
        self.policy_updates.start()
        Metrics(self.view).register()
        if self.policy.mail.wake:
            self.due_letters.start()

    def _serve(self, part: Writer | Reader, name: str) -> None:
        task = self.background.hold(part.run, name)
        # A task that is cancelled before its first step would leave callers waiting.
        task.add_done_callback(lambda _: part.abandon())
        self._storage.add(task)

    async def end(self) -> None:
        """Wait until the writer and the reader have ended; close every part.

        It waits up to ``shutdown_timeout`` seconds for them and up to
        ``shutdown_grace`` for each pool. The store is closed last.
        """
        self.state.open = False
        self.watchdog.stop()
        self.policy_updates.close()
        self.idle.close()
        self.due_letters.close()
        self.writer.close()
        self.reader.close()
        if self._storage:
            await asyncio.wait(self._storage, timeout=self.policy.shutdown_timeout)
        await self.offloader.end(self.policy.shutdown_grace)
        await self.background.end(self.policy.shutdown_grace)
        self.delivery.close()
        for instance in self.registries.instances():  # left because a save failed
            if instance.timer is not None:
                instance.timer.cancel()
        await self.store.close()
