"""Changes of the topology of a live pod: decided, stored, then carried out.

A change of one node is a change of what the pod requires, so it can start, stop and
delete many instances. The order of the steps is what a crash cannot take away:

1. The change waits in the line of the pod. Changes of one pod run one after the other,
   in tasks of the host: the pod's mailbox goes on, and a caller that is cancelled
   leaves a change that ends by itself. Changes of two pods do not wait for each other.
2. ``apply_changes`` decides, without I/O, whether the change fits and which nodes come
   and go. A change that does not fit is refused here, and nothing has happened.
3. The new topology is saved under its revision and the owner epoch. Until this save is
   durable, nothing starts or stops. If the commit fails, the stored row decides, as it
   does for a turn.
4. Removed nodes are stopped without being saved, children first, and their rows are
   deleted. Added eager nodes are started. A node that fails to start is in the report,
   and healing goes on with it.

A crash after step 3 leaves work behind: the nodes to delete are in the stored topology
(``purging``), and the next thaw of the pod finishes them before it starts any node. So
a removed node never comes back with its old rows, and its rows are not lost from sight.

A handler of the pod may change the topology within its own turn (``stage``). The change
then is part of the turn's commit, with the state, the sends and the reply. It holds its
place in the line until the turn ends, and gives the seat of the turn back while it
waits for that place: the change ahead of it may need the seat. Steps 3 and 4 follow the
commit, and an undone turn leaves no trace.

A host that shuts down fails the changes that have not begun with ``HostClosed``.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from persistence import (
    Address,
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
    StoreUnavailable,
    Unit,
)
from supervision import HostClosed

from ..errors import MutationRefused
from ..topology import Change, MutationPlan, apply_changes, topology_of
from .live import NodeLookup, PodState, log_of, node_address, pod_of, read_stored
from .reports import Failure, MutationReport, ReconcileReport
from .staged_mutation import StagedMutation, adopt, topology_record

if TYPE_CHECKING:
    from supervision.extending import HostServices

    from ..topology import Purge, StoredTopology

__all__ = ["Mutations"]

T = TypeVar("T")

Reconcile: TypeAlias = Callable[[PodState, Iterable[str]], Awaitable[ReconcileReport]]


class Mutations:
    """Adds and removes the nodes of one host's pods; ``reconcile`` starts new ones."""

    def __init__(
        self, services: HostServices, nodes: NodeLookup, reconcile: Reconcile
    ) -> None:
        self._services = services
        self._nodes = nodes
        self._reconcile = reconcile

    async def mutate(
        self, state: PodState, changes: Sequence[Change]
    ) -> MutationReport:
        """Change a pod's topology; durable before anything is started or stopped.

        It runs in a task of the library: a caller that is cancelled does not stop it.
        """
        return await self._lined_up(state, self._mutated(state, changes))

    async def discard(self, state: PodState, nodes: Iterable[Address]) -> None:
        """Delete what is stored of nodes that stand in no topology any more."""
        await self._lined_up(state, self._deleted(state, tuple(nodes)))

    async def _lined_up(self, state: PodState, work: Coroutine[object, object, T]) -> T:
        """Do something to a pod when everything of the kind before it is done."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        before, state.queue = state.queue, asyncio.get_running_loop().create_future()
        task = self._services.run_beside(
            functools.partial(_in_turn, work, done, before),
            f"mutate {state.pod.address}",
            state.pod.address.partition,
        )
        task.add_done_callback(functools.partial(_over, work, done, state.queue))
        return await done

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
            self._nodes.agent_of,
            at=state.pod.address,
        )
        self._check_recursion(state, decided)
        await self._save(state, decided.stored)
        adopt(state, decided, self._nodes)
        failures: dict[str, Failure] = {}
        stopped = await self.purge(state, failures)
        wanted = [n for n in decided.added if state.topology[n].eager]
        report = await self._reconcile(state, wanted)
        return MutationReport(
            added=decided.added,
            removed=decided.removed,
            started=tuple(n for n in decided.added if n in set(report.completed)),
            stopped=stopped,
            failures={**failures, **report.failures},
        )

    async def stage(self, state: PodState, changes: Sequence[Change]) -> MutationReport:
        """Decide a change that takes effect with the pod's own turn, in its handler.

        It waits in the line of mutations, without the turn's seat, and holds the line
        until the turn has ended.
        """
        if not changes:
            return MutationReport()
        place = state.staged[-1].place if state.staged else await self._line_up(state)
        base = state.staged[-1].plan.stored if state.staged else state.stored
        try:
            decided = apply_changes(
                state.declared,
                base,
                changes,
                self._nodes.agent_of,
                at=state.pod.address,
            )
            self._check_recursion(state, decided)
        except BaseException:
            if not state.staged:
                place.set_result(None)
            raise
        staged = StagedMutation(state, decided, place, self._nodes, self._carry_out)
        state.staged.append(staged)
        state.pod.staged = [*(state.pod.staged or ()), staged]
        return MutationReport(added=decided.added, removed=decided.removed)

    async def _line_up(self, state: PodState) -> asyncio.Future[None]:
        """Take a place in the line, and wait until it is at its head."""
        before, place = state.queue, asyncio.get_running_loop().create_future()
        state.queue = place
        if before is None or before.done():
            return place
        parked = self._services.park(state.pod)
        try:
            await asyncio.wait([before])
        except BaseException:
            before.add_done_callback(lambda _: place.set_result(None))
            raise
        finally:
            if parked:
                await self._services.unpark(state.pod)  # noqa: ASYNC102  the turn goes on, and needs its seat
        return place

    def _carry_out(self, state: PodState, place: asyncio.Future[None]) -> None:
        """Start and stop what the mutations of a turn decided."""
        added = [name for one in state.done for name in one.plan.added]
        state.staged, state.done = [], []
        _ = self._services.run_beside(
            functools.partial(self._carried_out, state, added, place),
            f"mutate {state.pod.address}",
            state.pod.address.partition,
        )

    async def _carried_out(
        self, state: PodState, added: list[str], place: asyncio.Future[None]
    ) -> None:
        try:
            failures: dict[str, Failure] = {}
            await self.purge(state, failures)
            topology = state.topology
            wanted = [n for n in added if n in topology and topology[n].eager]
            report = await self._reconcile(state, wanted)
            for name, failure in {**failures, **report.failures}.items():
                log_of(
                    state.pod.address, "pod.node_failed", node=name, error=failure.error
                )
        finally:
            place.set_result(None)

    def _check_recursion(self, state: PodState, decided: MutationPlan) -> None:
        """Refuse a nested pod that may contain one of those it stands in."""
        above: list[type[object]] = []
        pod: Address | None = state.pod.address
        while pod is not None:
            if (agent := self._nodes.agent_of(pod.manager)) is not None:
                above.append(agent)
            pod = pod_of(pod)
        for name in decided.added:
            spec = decided.topology[name]
            if not spec.pod:
                continue
            for inner in (spec.agent, *_nested_in(spec.agent)):
                if any(issubclass(outer, inner) for outer in above):
                    reason = f"it nests {inner.__name__}, in which this pod stands"
                    advice = "Nest a class that does not lead back to this one."
                    raise MutationRefused(state.pod.address, name, reason, advice)

    async def purge(
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
        instance = self._services.find(address)
        if instance is None or not instance.live:
            return False
        await self._services.stop(instance, discard=True)
        return True

    async def _deleted(self, state: PodState, nodes: Sequence[Address]) -> None:
        operations: list[Operation] = []
        for node in nodes:
            await self._discard(node)
            operations += await self._deletions(node)
        pod = state.pod
        unit = Unit(pod.address.partition, pod.partition.epoch, tuple(operations))
        await self._services.submit(unit)

    async def _deletions(self, removed: Address) -> list[Operation]:
        """List the rows of a removed node and, at any depth, of the pods inside it.

        What a pod inside it may have stored follows from its topology; what names it as
        parent is looked up as well, for nodes that the code does not declare any more.
        """
        gone = {removed: None}
        todo = [removed]
        while todo:
            address = todo.pop()
            stored = await self._services.read(
                functools.partial(_children_of, address), partition=address.partition
            )
            nodes = [child for child in stored if pod_of(child) in gone]
            for node in (*nodes, *await self._nodes_of(address)):
                if node not in gone:
                    gone[node] = None
                    todo.append(node)
        return [Delete(address) for address in gone]

    async def _nodes_of(self, pod: Address) -> list[Address]:
        """List what a pod has, or ever had, as nodes; nothing for another agent."""
        agent = self._nodes.agent_of(pod.manager)
        declared = None if agent is None else topology_of(agent)
        if declared is None:
            return []
        named = [(spec.manager, spec.name) for spec in declared.nodes]
        try:
            for record in await self._services.load(pod):
                if record.kind is RecordKind.TOPOLOGY:
                    delta = read_stored(record)
                    named += [(node.manager, node.name) for node in delta.added]
                    named += [(purge.manager, purge.name) for purge in delta.purging]
        except RecordError as error:  # it goes anyway; what it hid goes by its parent
            log_of(pod, "pod.topology_unreadable", reason=error.reason)
        return [node_address(pod, manager, name) for manager, name in named]

    async def _save(
        self,
        state: PodState,
        stored: StoredTopology,
        operations: Iterable[Operation] = (),
    ) -> None:
        pod = state.pod
        if not pod.manager.stored:
            state.stored = stored
            return
        record = topology_record(state, stored, state.rev + 1)
        unit = Unit(
            pod.address.partition, pod.partition.epoch, (*operations, Save(record))
        )
        lost: StoreUnavailable | None = None
        try:
            await self._services.submit(unit)
        except (StaleRevision, StaleOwner) as error:
            self._services.fence(pod, error)
            raise
        except StoreUnavailable as error:
            lost = error
        if lost is not None and not await self._landed(record):
            raise lost
        state.rev += 1
        state.stored = stored

    async def _landed(self, record: Record) -> bool:
        """Return whether a topology was stored although its commit has failed."""
        try:
            return record in await self._services.load(record.address)
        except PodsError:
            return False


async def _in_turn(
    work: Coroutine[object, object, T],
    done: asyncio.Future[T],
    before: asyncio.Future[None] | None,
) -> None:
    try:
        if before is not None:
            await before
        result = await work
    except Exception as error:  # noqa: BLE001  it belongs to the caller, not to this task
        if not done.done():
            done.set_exception(error)
    else:
        if not done.done():
            done.set_result(result)


def _over(
    work: Coroutine[object, object, T],
    done: asyncio.Future[T],
    after: asyncio.Future[None],
    _: asyncio.Task[None],
) -> None:
    """Start the next mutation; fail one that a shutdown has cut off."""
    work.close()  # one that was never begun would warn of it
    after.set_result(None)
    if not done.done():
        done.set_exception(HostClosed())


def _children_of(parent: Address, store: Store) -> Awaitable[list[Address]]:
    return store.children(parent)


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
