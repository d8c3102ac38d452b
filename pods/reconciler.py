"""Carries plans out: the one path on which a pod's nodes start, stop and change.

A pod's own mailbox is never blocked by it: nodes are brought up beside it, mutations
run one after the other in tasks of the library, and a caller that leaves half-way
leaves nothing half done. What a mutation decided is stored before any of it is done,
and what is left of it after a crash is done when the pod thaws.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Iterable, Sequence

import attrs

from persistence import (
    Address,
    CorruptRecord,
    Delete,
    Operation,
    PodsError,
    Record,
    RecordError,
    RecordKind,
    Save,
    StaleOwner,
    StaleRevision,
    Store,
    Unit,
)
from supervision import (
    AgentNotFound,
    Instance,
    OnParentStop,
    Phase,
    Runtime,
    StartFailed,
    partition_extra,
)

from .errors import ManagerMismatch, MutationRefused, NodeMisplaced, UnreadableTopology
from .mutation import Change, MutationPlan, apply_changes
from .node import NodeSpec
from .planner import Action, Observed, blocked_by, closure, eager_closure, plan
from .reports import Failure, MutationReport, NodeResult, ReconcileReport, Source
from .snapshot import NodeSnapshot, NodeState
from .stored import TOPOLOGY_VERSION, Problem, Purge, StoredTopology, effective
from .topology import Topology, topology_of

__all__ = ["PodState", "Reconciler", "node_address"]

log = logging.getLogger("podvisor.pods")

_STATES = {
    Phase.STARTING: NodeState.STARTING,
    Phase.IDLE: NodeState.RUNNING,
    Phase.READY: NodeState.RUNNING,
    Phase.RUNNING: NodeState.RUNNING,
    Phase.COMMITTING: NodeState.RUNNING,
    Phase.BACKING_OFF: NodeState.BACKING_OFF,
    Phase.STOPPING: NodeState.HIBERNATING,
    Phase.STOPPED: NodeState.HIBERNATED,
}
_LEAVING = frozenset({Phase.STOPPING, Phase.STOPPED})


def node_address(pod: Address, manager: str, name: str) -> Address:
    """Return the address of a node: its key is (pod manager, pod key, node name)."""
    return Address(pod.partition, manager, (pod.manager, pod.key, name))


@attrs.define(eq=False)
class PodState:
    """What the reconciler knows of one live pod.

    Attributes:
        pod: the pod's instance.
        declared: the topology of its class.
        stored: the difference that is stored.
        rev: revision of the stored difference; 0: none is stored.
        topology: both together.
        problems: nodes that are left out of it.
        settled: set when the first reconciliation has ended.
        report: what the last reconciliation of the eager nodes did.
        queue: the end of the line of mutations.
        healing: set when the reconciliation that nobody asked for has ended, while one
            is under way.
        again: another one is due when it ends.
    """

    pod: Instance
    declared: Topology
    stored: StoredTopology
    rev: int
    topology: Topology
    problems: tuple[Problem, ...]
    settled: asyncio.Event = attrs.field(factory=asyncio.Event)
    report: ReconcileReport = attrs.field(factory=ReconcileReport)
    queue: asyncio.Future[None] | None = None
    healing: asyncio.Event | None = None
    again: bool = False


class Reconciler:
    """The pods of one host. It is the runtime's extension for pod classes."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._states: dict[Instance, PodState] = {}

    def __repr__(self) -> str:
        return f"<Reconciler pods={len(self._states)}>"

    # What the runtime calls.

    def thawed(self, instance: Instance, record: Record | None) -> None:
        """Lay what is stored of the topology over what the class declares."""
        if instance in self._states:
            return
        declared = _declared(instance)
        stored, rev = StoredTopology(), 0
        if record is not None:
            rev = record.rev
            stored = self._read(record)
        topology, problems = effective(declared, stored, self._agent_of)
        for problem in problems:
            self._log(
                instance, "pod.node_left_out", node=problem.node, why=str(problem)
            )
        self._states[instance] = PodState(
            instance, declared, stored, rev, topology, problems
        )

    def home(
        self, pod: Instance, address: Address
    ) -> tuple[Instance, OnParentStop] | None:
        """Say whose child a node becomes that somebody reaches by its address.

        A node keeps its place when a ref wakes it; one that was removed does not come
        back because somebody still holds a ref to it.

        Raises:
            AgentNotFound: the pod has no such node (any more).
        """
        state = self._states.get(pod)
        if state is None:
            return None
        key = address.key
        name = key[-1] if isinstance(key, tuple) else key
        spec = state.topology.get(name) if isinstance(name, str) else None
        if spec is None:
            raise AgentNotFound(address.manager, key)
        parent = self._parent(state, spec)
        if parent is None or spec.manager != address.manager:
            return None
        return parent, spec.on_parent_stop

    def started(self, instance: Instance) -> None:
        """Bring the eager nodes up, and finish what a crash has interrupted."""
        state = self._states[instance]
        if state.stored.purging or any(s.eager for s in state.topology.nodes):
            self._heal(state)
        else:
            state.settled.set()

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
        with self._runtime.telemetry.working(
            "reconcile", state.pod.kind.name, partition
        ):
            report = await self._bring_up(state, wanted)
        if names is None:
            state.report = report
        for name, failure in report.failures.items():
            self._log(state.pod, "pod.node_failed", node=name, error=failure.error)
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
        instance = self._runtime.find(address)
        if instance is not None and self._observe(state, spec) is Observed.ATTACHED:
            return await self._runtime.live(instance)
        errors: dict[str, BaseException] = {}
        await self._bring_up(state, closure(state.topology, (spec.name,)), errors)
        for error in errors.values():
            raise error
        return await self._runtime.live(self._runtime.resolve(address))

    async def mutate(
        self, state: PodState, changes: Sequence[Change]
    ) -> MutationReport:
        """Change a pod's topology; durable before anything is started or stopped.

        It runs in a task of the library: a caller that is cancelled does not stop it.
        """
        done: asyncio.Future[MutationReport] = (
            asyncio.get_running_loop().create_future()
        )
        before, state.queue = state.queue, asyncio.get_running_loop().create_future()
        self._runtime.crew.start(
            functools.partial(
                self._mutate_in_turn, state, changes, done, before, state.queue
            ),
            f"mutate {state.pod.address}",
            state.pod.address.partition,
        )
        return await done

    async def snapshots(self, state: PodState) -> tuple[NodeSnapshot, ...]:
        """Say where every node stands; reads the rows of those that are not live."""
        loads = {
            spec.name: self._runtime.reader.load(self._address(state, spec))
            for spec in state.topology.nodes
            if self._live(state, spec) is None
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

    # Bringing nodes up.

    async def _bring_up(
        self,
        state: PodState,
        wanted: Iterable[str],
        errors: dict[str, BaseException] | None = None,
    ) -> ReconcileReport:
        wanted = tuple(wanted)
        errors = {} if errors is None else errors
        topology = state.topology
        seen = {name: self._observe(state, topology[name]) for name in wanted}
        steps = plan(topology, wanted, seen)
        results: dict[str, Source] = {}
        blocked: set[str] = set()
        for wave in steps.waves:
            begun: dict[str, Instance] = {}
            for name in wave:
                if name in blocked:
                    continue
                try:
                    begun[name] = self._begin(
                        state, topology[name], steps.actions[name]
                    )
                except PodsError as error:
                    errors[name] = error
            for name, instance in begun.items():
                parent = self._parent(state, topology[name])
                try:
                    await self._arrive(instance, parent, topology[name])
                    results[name] = _source(steps.actions[name])
                except Exception as error:  # noqa: BLE001  one node's failure is its own
                    errors[name] = error
            failed = [name for name in wave if name in errors]
            blocked |= blocked_by(topology, failed) if failed else set()
        return ReconcileReport(
            requested=wanted,
            waves=steps.waves,
            nodes=tuple(NodeResult(name, source) for name, source in results.items()),
            failures={name: Failure.of(error) for name, error in errors.items()},
            pending=tuple(
                n for wave in steps.waves for n in wave if n in blocked - errors.keys()
            ),
        )

    def _begin(self, state: PodState, spec: NodeSpec, action: Action) -> Instance:
        """Start, keep or adopt one node; returns at once."""
        address = self._address(state, spec)
        self._check_manager(spec)
        parent = self._parent(state, spec)
        if parent is None:
            raise StartFailed(address, "reconcile", "its parent is not live")
        if action is Action.REFUSE:
            found = self._runtime.find(address)
            other = None if found is None else found.parent_address
            raise NodeMisplaced(spec.name, address, other, parent.address)
        return self._runtime.resolve(address, parent, spec.on_parent_stop)

    async def _arrive(
        self, instance: Instance, parent: Instance | None, spec: NodeSpec
    ) -> None:
        if parent is None:
            await self._runtime.live(instance)
        else:
            await self._runtime.live_child(instance, parent, spec.on_parent_stop)

    def _parent(self, state: PodState, spec: NodeSpec) -> Instance | None:
        """Return the live instance that a node belongs under, if there is one."""
        if spec.owner is None:
            return None if state.pod.phase in _LEAVING else state.pod
        owner = self._live(state, state.topology[spec.owner])
        return None if owner is None or owner.phase in _LEAVING else owner

    def _observe(self, state: PodState, spec: NodeSpec) -> Observed:
        instance = self._live(state, spec)
        if instance is None or instance.phase in _LEAVING:
            return Observed.ABSENT
        if instance.parent is None:
            return Observed.ORPHANED
        if instance.parent is self._parent(state, spec):
            return Observed.ATTACHED
        return Observed.MISPLACED

    def _heal(self, state: PodState) -> None:
        """Reconcile beside everything else, once at a time."""
        if state.healing is not None:
            state.again = True
            return
        state.healing = asyncio.Event()
        self._runtime.crew.start(
            functools.partial(self._healed, state),
            f"reconcile {state.pod.address}",
            state.pod.address.partition,
        )

    async def _healed(self, state: PodState) -> None:
        try:
            if state.stored.purging:
                await self._purge(state, {})
            await self.reconcile(state)
        except PodsError as error:
            self._log(state.pod, "pod.reconcile_failed", error=type(error).__name__)
        finally:
            state.settled.set()
            ended, state.healing = state.healing, None
            if ended is not None:
                ended.set()
        if state.again and self._states.get(state.pod) is state:
            state.again = False
            self._heal(state)

    # Changing the topology.

    async def _mutate_in_turn(
        self,
        state: PodState,
        changes: Sequence[Change],
        done: asyncio.Future[MutationReport],
        before: asyncio.Future[None] | None,
        after: asyncio.Future[None],
    ) -> None:
        try:
            if before is not None:
                await before
            report = await self._mutated(state, changes)
        except Exception as error:  # noqa: BLE001  it belongs to the caller, not to this task
            if not done.done():
                done.set_exception(error)
        else:
            if not done.done():
                done.set_result(report)
        finally:
            after.set_result(None)

    async def _mutated(
        self, state: PodState, changes: Sequence[Change]
    ) -> MutationReport:
        if not changes:
            return MutationReport()
        await state.settled.wait()
        decided = apply_changes(
            state.declared,
            state.stored,
            changes,
            self._agent_of,
            at=state.pod.address,
        )
        self._check_recursion(state, decided)
        await self._save(state, decided.stored)
        state.topology, state.problems = decided.topology, decided.problems
        failures: dict[str, Failure] = {}
        stopped = await self._purge(state, failures)
        wanted = [n for n in decided.added if state.topology[n].eager]
        report = await self.reconcile(state, wanted)
        return MutationReport(
            added=decided.added,
            removed=decided.removed,
            started=tuple(n for n in decided.added if n in set(report.completed)),
            stopped=stopped,
            failures={**failures, **report.failures},
        )

    def _check_recursion(self, state: PodState, decided: MutationPlan) -> None:
        """Refuse a nested pod that may contain one of those it stands in."""
        above: list[type[object]] = []
        pod: Address | None = state.pod.address
        while pod is not None:
            if (agent := self._agent_of(pod.manager)) is not None:
                above.append(agent)
            pod = _pod_of(pod)
        for name in decided.added:
            spec = decided.topology[name]
            if not spec.pod:
                continue
            for inner in (spec.agent, *_nested_in(spec.agent)):
                if any(issubclass(outer, inner) for outer in above):
                    reason = f"it nests {inner.__name__}, in which this pod stands"
                    advice = "Nest a class that does not lead back to this one."
                    raise MutationRefused(state.pod.address, name, reason, advice)

    async def _purge(
        self, state: PodState, failures: dict[str, Failure]
    ) -> tuple[str, ...]:
        """Stop removed nodes without saving, then delete what is stored of them."""
        done: list[Purge] = []
        stopped: list[str] = []
        operations: list[Operation] = []
        for purge in state.stored.purging:
            address = node_address(state.pod.address, purge.manager, purge.name)
            try:
                if await self._discard(address):
                    stopped.append(purge.name)
                operations += await self._deletions(address)
                done.append(purge)
            except PodsError as error:
                failures[purge.name] = Failure.of(error)
        if done:
            await self._save(state, state.stored.without_purges(done), operations)
        return tuple(stopped)

    async def _discard(self, address: Address) -> bool:
        instance = self._runtime.find(address)
        if instance is None or not instance.live:
            return False
        await self._runtime.stopping.stop(instance, discard=True)
        return True

    async def _deletions(self, removed: Address) -> list[Operation]:
        """List the rows of a removed node and, at any depth, of the pods inside it.

        What a pod inside it may have stored follows from its topology; what names it as
        parent is looked up as well, for nodes that the code has forgotten meanwhile.
        """
        gone = {removed: None}
        todo = [removed]
        while todo:
            address = todo.pop()
            stored = await self._runtime.read(functools.partial(_children_of, address))
            nodes = [child for child in stored if _pod_of(child) in gone]
            for node in (*nodes, *await self._nodes_of(address)):
                if node not in gone:
                    gone[node] = None
                    todo.append(node)
        return [Delete(address) for address in gone]

    async def _nodes_of(self, pod: Address) -> list[Address]:
        """List what a pod has, or ever had, as nodes; nothing for another agent."""
        agent = self._agent_of(pod.manager)
        declared = None if agent is None else topology_of(agent)
        if declared is None:
            return []
        named = [(spec.manager, spec.name) for spec in declared.nodes]
        try:
            for record in await self._runtime.reader.load(pod):
                if record.kind is RecordKind.TOPOLOGY:
                    delta = self._read(record)
                    named += [(node.manager, node.name) for node in delta.added]
                    named += [(purge.manager, purge.name) for purge in delta.purging]
        except RecordError as error:  # it goes anyway; what it hid goes by its parent
            log.warning(
                "pod.topology_unreadable",
                extra=partition_extra(pod.partition, reason=error.reason),
            )
        return [node_address(pod, manager, name) for manager, name in named]

    async def _save(
        self,
        state: PodState,
        stored: StoredTopology,
        operations: Iterable[Operation] = (),
    ) -> None:
        pod = state.pod
        if not pod.kind.stored:
            state.stored = stored
            return
        record = Record(
            address=pod.address,
            kind=RecordKind.TOPOLOGY,
            rev=state.rev + 1,
            version=TOPOLOGY_VERSION,
            body=stored.to_json(),
        )
        unit = Unit(
            pod.address.partition, pod.partition.epoch, (*operations, Save(record))
        )
        try:
            await self._runtime.writer.submit(unit)
        except (StaleRevision, StaleOwner) as error:
            self._runtime.departures.stale(pod, error)
            raise
        state.rev += 1
        state.stored = stored

    # Small looks.

    def _address(self, state: PodState, spec: NodeSpec) -> Address:
        return node_address(state.pod.address, spec.manager, spec.name)

    def _live(self, state: PodState, spec: NodeSpec) -> Instance | None:
        instance = self._runtime.find(self._address(state, spec))
        return instance if instance is not None and instance.live else None

    def _is_node(self, state: PodState, instance: Instance) -> bool:
        key = instance.address.key
        return isinstance(key, tuple) and key[:2] == (
            state.pod.address.manager,
            state.pod.address.key,
        )

    def _snapshot(
        self, state: PodState, spec: NodeSpec, stored: bool | RecordError
    ) -> NodeSnapshot:
        address = self._address(state, spec)
        instance = self._live(state, spec)
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
        elif self._observe(state, spec) is Observed.MISPLACED:
            found, reason = (
                NodeState.MISPLACED,
                f"its parent is {instance.parent_address}",
            )
        else:
            found = _STATES[instance.phase]
        born = None if instance is None else instance.incarnation
        return NodeSnapshot.of(spec, address, found, reason, born)

    def _agent_of(self, manager: str) -> type[object] | None:
        found = self._runtime.managers.get(manager)
        return None if found is None else found.kind.spec.agent

    def _check_manager(self, spec: NodeSpec) -> None:
        found = self._runtime.manager(spec.manager).kind.spec.agent
        if not issubclass(found, spec.agent):
            declared = spec.agent.__name__
            raise ManagerMismatch(spec.name, spec.manager, declared, found.__name__)

    def _read(self, record: Record) -> StoredTopology:
        try:
            return StoredTopology.from_json(record.body, version=record.version)
        except UnreadableTopology as error:
            raise CorruptRecord(record.address, f"topology: {error.reason}") from error

    def _log(self, pod: Instance, event: str, **fields: str) -> None:
        address = pod.address
        log.warning(
            event,
            extra=partition_extra(
                address.partition,
                manager=address.manager,
                key=str(address.key),
                **fields,
            ),
        )


def _children_of(parent: Address, store: Store) -> Awaitable[list[Address]]:
    return store.children(parent)


def _declared(instance: Instance) -> Topology:
    topology = topology_of(instance.kind.spec.agent)
    if topology is None:
        msg = f"{instance.kind.spec.agent.__name__} is no pod class"
        raise TypeError(msg)
    return topology


def _nested_in(pod: type[object]) -> list[type[object]]:
    """Return the pod classes that a pod class nests, at any depth."""
    found: list[type[object]] = []
    todo = [pod]
    while todo:
        topology = topology_of(todo.pop())
        for spec in () if topology is None else topology.nodes:
            if spec.pod and spec.agent not in found:
                found.append(spec.agent)
                todo.append(spec.agent)
    return found


def _pod_of(node: Address) -> Address | None:
    """Return the pod that a node's key names; ``None`` for a key of another shape."""
    match node.key:
        case (str(manager), pod_key, str()):
            return Address(node.partition, manager, pod_key)
        case _:
            return None


def _source(action: Action) -> Source:
    match action:
        case Action.KEEP:
            return Source.RUNNING
        case Action.ADOPT:
            return Source.ADOPTED
        case _:
            return Source.STARTED
