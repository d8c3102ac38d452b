"""Carries plans out: the one path on which a pod's nodes start, stop and change.

A pod's own mailbox is never blocked by it: tasks of the host bring nodes up, mutations
run one after the other in tasks of the library, and a caller that leaves half-way
leaves nothing half done. What a mutation decided is stored before any of it is done,
and what is left of it after a crash is done when the pod thaws.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

from persistence import Address, PodsError, Record, RecordError, RecordKind
from supervision import AgentNotFound, OnParentStop

from ..topology import Observed, Topology, closure, eager_closure, topology_of
from .live import (
    EffectiveTopology,
    NodeLookup,
    PodState,
    log_of,
    name_of,
    node_address,
    stands_in,
)
from .mutations import Mutations
from .snapshot import STATE_OF, NodeSnapshot, NodeState
from .startup import Startup
from .undeclared import UndeclaredNodes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from supervision.extending import HostServices, Instance

    from ..topology import Change, Node, NodeSpec, Problem
    from .reports import MutationReport, ReconcileReport

__all__ = ["Reconciler"]


class Reconciler:
    """The pods of one host. It is the host's extension for pod classes."""

    def __init__(self, services: HostServices) -> None:
        self._services = services
        self._states: dict[Instance, PodState] = {}
        self._nodes = NodeLookup(services)
        self._startup = Startup(services, self._nodes)
        self._mutations = Mutations(services, self._nodes, self.reconcile)
        self._undeclared = UndeclaredNodes(services, self._mutations)

    def __repr__(self) -> str:
        return f"<Reconciler pods={len(self._states)}>"

    # What the host calls.

    def thawed(self, instance: Instance, record: Record | None) -> None:
        """Lay what is stored of the topology over what the class declares."""
        if instance in self._states:
            return
        effective = self._effective(instance.address, record)
        for problem in effective.problems:
            log_of(
                instance.address,
                "pod.node_left_out",
                node=problem.node,
                why=str(problem),
            )
        self._states[instance] = PodState(
            instance,
            effective.declared,
            effective.stored,
            0 if record is None else record.rev,
            effective.topology,
            effective.problems,
        )

    def home(
        self, pod: Instance, address: Address
    ) -> tuple[Instance, OnParentStop] | None:
        """Return the parent of a node that is woken by its address.

        A node keeps its place when a ref wakes it; a ref that is still held does not
        bring a removed node back.

        Raises:
            AgentNotFound: it was a node of the pod, and was removed.
        """
        state = self._states.get(pod)
        if state is None:
            return None
        spec = self._nodes.node(state.effective, address)
        parent = None if spec is None else self._nodes.parent(state, spec)
        if spec is None or parent is None:
            return None
        return parent, spec.on_parent_stop

    def place(
        self,
        pod: Address,
        rows: Sequence[Record],
        address: Address,
        parent: Address | None,
    ) -> tuple[Address, OnParentStop] | None:
        """Return the parent of a node that starts without one.

        A node that is stored but not declared any more does not start; its rows are
        kept.

        Raises:
            AgentNotFound: it was a node of the pod, and is none any more.
            CorruptRecord: the stored topology cannot be read.
        """
        effective = self._effective_now(pod, rows)
        if effective is None:
            return None
        spec = self._nodes.node(effective, address)
        if spec is None:
            left_out = {problem.node for problem in effective.problems}
            if stands_in(pod, parent) and name_of(address) not in left_out:
                raise AgentNotFound(address.manager, address.key)
            return None
        if spec.owner is None:
            return pod, spec.on_parent_stop
        owner = effective.topology[spec.owner]
        return node_address(pod, owner.manager, owner.name), spec.on_parent_stop

    def _effective_now(
        self, pod: Address, rows: Sequence[Record]
    ) -> EffectiveTopology | None:
        """Return what is known of a pod's topology; ``None``: there is no such pod."""
        instance = self._services.find(pod)
        state = None if instance is None else self._states.get(instance)
        if state is not None:
            return state.effective
        if not rows:
            return None
        by_kind = {row.kind: row for row in rows}
        return self._effective(pod, by_kind.get(RecordKind.TOPOLOGY))

    def _effective(self, pod: Address, record: Record | None) -> EffectiveTopology:
        declared = _declared(self._services.manager(pod.manager).spec.agent)
        return EffectiveTopology.of(pod, declared, record, self._nodes.agent_of)

    def busy(self, instance: Instance) -> bool:
        """Return whether a pod's nodes are being brought up."""
        state = self._states.get(instance)
        return state is not None and state.healing is not None

    def started(self, instance: Instance) -> None:
        """Bring the eager nodes up, and finish what a crash has interrupted."""
        state = self._states[instance]
        if state.stored.purging or any(s.eager for s in state.topology.nodes):
            self._heal(state)
        else:
            state.settled.set()
        if instance.rev or state.rev:  # a new pod has left nothing behind
            _ = self._services.run_beside(
                functools.partial(self._undeclared.report, state),
                f"leftovers of {instance.address}",
                instance.address.partition,
            )

    async def ready(self, instance: Instance) -> None:
        """Wait until the eager nodes have been brought up, or have failed."""
        state = self._states.get(instance)
        if state is not None:
            await state.settled.wait()

    def arrived(self, ancestor: Instance, live: Instance) -> None:
        """Bring up what waited for a node that has come up late."""
        state = self._states.get(ancestor)
        if state is None or not state.report.failures or not self._is_node(state, live):
            return
        name = live.address.key[-1]
        if name in state.report.failures:
            self._heal(state)

    def departed(self, ancestor: Instance, gone: Instance) -> None:
        """Bring an eager node back that has ended without being asked to."""
        state = self._states.get(ancestor)
        if state is not None and state.settled.is_set() and self._is_node(state, gone):
            self._heal(state)

    def stopped(self, instance: Instance) -> None:
        """Forget a pod that is not live any more."""
        state = self._states.pop(instance, None)
        if state is not None:
            state.settled.set()

    # What refs call.

    def state(self, instance: Instance) -> PodState | None:
        """Return what is known of a pod; ``None`` when it is not live."""
        return self._states.get(instance)

    async def thawed_state(self, pod: Address, caller: Instance | None) -> PodState:
        """Return what is known of a pod, thawed if need be.

        Args:
            pod: its address.
            caller: the instance that asks; a pod that asks for itself is not waited
                for.
        """
        while True:
            instance = self._services.resolve(pod)
            if caller is not instance:
                instance = await self._services.live(instance)
            if (state := self._states.get(instance)) is not None:
                return state

    def is_a(self, pod: Address, cls: type[object]) -> bool:
        """Return whether the manager of a pod hosts a class, or a subclass of it."""
        return issubclass(self._services.manager(pod.manager).spec.agent, cls)

    async def stop(self, pod: Address) -> bool:
        """Hibernate a pod, its nodes first; ``False`` if it was not live."""
        instance = self._services.find(pod)
        if instance is None or not instance.live:
            return False
        await self._services.stop(instance)
        return True

    def lookup(self, pod: Address, node: Node[object] | str) -> Instance | None:
        """Return the live instance of a node, be the pod live or not.

        Raises:
            UnknownNode: the pod is live and has no such node now, or can have none.
        """
        instance = self._services.find(pod)
        state = None if instance is None else self._states.get(instance)
        if state is not None:
            return self._nodes.live(state, state.topology.resolve(node, at=pod))
        agent = self._services.manager(pod.manager).spec.agent
        return self._nodes.awake(pod, _declared(agent), node)

    async def reconcile(
        self, state: PodState, names: Iterable[str] | None = None
    ) -> ReconcileReport:
        """Bring nodes up with all that they require; by default the eager ones."""
        wanted = (
            eager_closure(state.topology)
            if names is None
            else closure(state.topology, names)
        )
        partition = state.pod.address.partition
        with self._services.span("reconcile", state.pod.manager.name, partition):
            report = await self._startup.bring_up(state, wanted)
        if names is None:
            state.report = report
        for name, failure in report.failures.items():
            log_of(state.pod.address, "pod.node_failed", node=name, error=failure.error)
        return report

    async def report(self, state: PodState) -> ReconcileReport:
        """Return what the last reconciliation of the eager nodes did."""
        while state.healing is not None:
            await state.healing.wait()
        return state.report

    async def ensure(self, state: PodState, spec: NodeSpec) -> Instance:
        """Return the live instance of a node, started with what it requires.

        Raises:
            PodsError: why it, or what it requires, did not start.
        """
        address = node_address(state.pod.address, spec.manager, spec.name)
        instance = self._services.find(address)
        if (
            instance is not None
            and self._nodes.observe(state, spec) is Observed.ATTACHED
        ):
            return await self._services.live(instance)
        errors: dict[str, BaseException] = {}
        await self._startup.bring_up(
            state, closure(state.topology, (spec.name,)), errors
        )
        for error in errors.values():
            raise error
        return await self._services.live(self._services.resolve(address))

    async def mutate(
        self, state: PodState, changes: Sequence[Change]
    ) -> MutationReport:
        """Change a pod's topology; durable before anything is started or stopped."""
        return await self._mutations.mutate(state, changes)

    async def stage(self, state: PodState, changes: Sequence[Change]) -> MutationReport:
        """Change a pod's topology with the turn of its own that goes on."""
        return await self._mutations.stage(state, changes)

    async def problems(self, state: PodState) -> tuple[Problem, ...]:
        """List the nodes that are left out of a pod's topology, with the reasons."""
        return await self._undeclared.problems(state)

    async def discard(
        self, state: PodState, name: str, *, actor: str, reason: str
    ) -> None:
        """Delete what is stored of a node that the code has forgotten."""
        await self._undeclared.discard(state, name, actor=actor, reason=reason)

    async def snapshots(self, state: PodState) -> tuple[NodeSnapshot, ...]:
        """Return the state of every node; reads the rows of those that are not live."""
        loads = {
            spec.name: self._services.load(self._nodes.address(state, spec))
            for spec in state.topology.nodes
            if self._nodes.live(state, spec) is None
        }
        found: list[NodeSnapshot] = []
        for spec in state.topology.nodes:
            stored: bool | RecordError = False
            if (load := loads.get(spec.name)) is not None:
                try:
                    stored = bool(await load)
                except RecordError as error:
                    stored = error
            found.append(self._snapshot(state, spec, stored))
        return tuple(found)

    def _heal(self, state: PodState) -> None:
        """Reconcile in a task of the host, one at a time."""
        if state.healing is not None:
            state.again = True
            return
        state.healing = asyncio.Event()
        _ = self._services.run_beside(
            functools.partial(self._healed, state),
            f"reconcile {state.pod.address}",
            state.pod.address.partition,
        )

    async def _healed(self, state: PodState) -> None:
        try:
            if state.stored.purging:
                await self._mutations.purge(state, {})
            await self.reconcile(state)
        except PodsError as error:
            log_of(
                state.pod.address, "pod.reconcile_failed", error=type(error).__name__
            )
        finally:
            state.settled.set()
            ended, state.healing = state.healing, None
            if ended is not None:
                ended.set()
        if state.again and self._states.get(state.pod) is state:
            state.again = False
            self._heal(state)

    # Small looks.

    def _is_node(self, state: PodState, instance: Instance) -> bool:
        key = instance.address.key
        return isinstance(key, tuple) and key[:2] == (
            state.pod.address.manager,
            state.pod.address.key,
        )

    def _snapshot(
        self, state: PodState, spec: NodeSpec, stored: bool | RecordError
    ) -> NodeSnapshot:
        address = self._nodes.address(state, spec)
        instance = self._nodes.live(state, spec)
        mark = state.pod.partition.quarantined.get((address.manager, address.key))
        reason: str | None = None
        if mark is not None:
            found, reason = NodeState.QUARANTINED, mark.reason
        elif isinstance(stored, RecordError):
            found, reason = NodeState.QUARANTINED, stored.reason
        elif instance is None and (failure := state.report.failures.get(spec.name)):
            found, reason = NodeState.ABSENT, str(failure)
        elif instance is None and spec.name in state.report.pending:
            found, reason = NodeState.PENDING, "a node that it requires does not run"
        elif instance is None:
            found = NodeState.HIBERNATED if stored else NodeState.ABSENT
        elif self._nodes.observe(state, spec) is Observed.MISPLACED:
            found, reason = (
                NodeState.MISPLACED,
                f"its parent is {instance.parent_address}",
            )
        else:
            found = STATE_OF[instance.phase]
        born = None if instance is None else instance.incarnation
        return NodeSnapshot.of(spec, address, found, reason, born)


def _declared(agent: type[object]) -> Topology:
    topology = topology_of(agent)
    if topology is None:
        msg = f"{agent.__name__} is no pod class"
        raise TypeError(msg)
    return topology
