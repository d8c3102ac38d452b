"""Pods: agents with a topology, and the refs they are reached through."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Self, TypeGuard, TypeVar, overload

from persistence import Key, shorten
from supervision import (
    Agent,
    AgentContext,
    AgentRef,
    InstanceManager,
    Referable,
    Traits,
)

from .errors import InvalidNode, NotInPod, PodMismatch
from .reconciliation import Reconciler
from .topology import AddNode, Change, RemoveNode, Topology, read_topology

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .reconciliation import MutationReport, NodeSnapshot, PodState, ReconcileReport
    from .topology import Node, Problem

__all__ = ["Pod", "PodContext", "PodRef"]

P = TypeVar("P", bound="Pod")
P_co = TypeVar("P_co", covariant=True)
Ref_co = TypeVar("Ref_co", covariant=True)


class PodRef(AgentRef[P_co]):
    """A handle to one pod: everything an ``AgentRef`` does, and its nodes."""

    __slots__ = ()

    @overload
    async def ensure_node(self, node: Node[Referable[Ref_co]]) -> Ref_co: ...

    @overload
    async def ensure_node(self, node: str) -> AgentRef[Agent]: ...

    async def ensure_node(
        self, node: Node[Referable[Ref_co]] | str
    ) -> Ref_co | AgentRef[Agent]:
        """Return a ref to a node, started once together with all that it requires.

        Args:
            node: the declared node (``Workspace.reviewer``) or its name.

        Raises:
            UnknownNode: the pod has no such node now.
            NodeMisplaced: it is alive under another parent.
            ManagerMismatch: its manager runs another class.
            Quarantined: it, or what it requires, may not start.
            StartFailed: it, or what it requires, could not be started.
        """
        async with self.attached():  # it must not hibernate half-way
            state = await self._state()
            spec = state.topology.resolve(node, at=self.address)
            instance = await self._reconciler().ensure(state, spec)
        return instance.ref(caller=self.caller, request=self.request)

    @overload
    def lookup_node(self, node: Node[Referable[Ref_co]]) -> Ref_co | None: ...

    @overload
    def lookup_node(self, node: str) -> AgentRef[Agent] | None: ...

    def lookup_node(
        self, node: Node[Referable[Ref_co]] | str
    ) -> Ref_co | AgentRef[Agent] | None:
        """Return a ref to a node if it is live; starts nothing, costs one look.

        While the pod hibernates, only its row knows which nodes were added to it. Then
        a node that a message has woken is found, and of any other name the answer is
        that it is not live.

        Raises:
            UnknownNode: the pod is live, and has no such node now; or it hibernates,
                and there can be none.
        """
        instance = self._reconciler().lookup(self.address, node)
        if instance is None:
            return None
        return instance.ref(caller=self.caller, request=self.request)

    async def nodes(self) -> tuple[NodeSnapshot, ...]:
        """Return the state of every node, in the order of their declaration."""
        async with self.attached():
            return await self._reconciler().snapshots(await self._state())

    async def topology(self) -> Topology:
        """Return the topology as it is now: declared, and changed by ``mutate``."""
        return (await self._state()).topology

    async def reconcile(self) -> ReconcileReport:
        """Bring up every eager node that does not run, and adopt those that survived.

        It never raises for a node: the report names what failed and what waits for it.
        """
        async with self.attached():
            return await self._reconciler().reconcile(await self._state())

    async def mutate(self, changes: Sequence[Change]) -> MutationReport:
        """Add and remove nodes of the running pod, all of it or nothing.

        The new topology is stored before anything starts or stops. A removed node goes
        with all that it owns and with what is stored of it; added again, it begins
        afresh. The pod goes on answering its mail.

        Args:
            changes: ``add_node(...)`` and ``remove_node(...)``, applied in order.

        Raises:
            InvalidNode: not a list of changes.
            MutationRefused: the changes do not fit; nothing was changed.
            UnknownNode: a change names a node that is not there.
            ManagerMismatch: the manager of an added node runs another class.
            StoreError: it could not be stored; nothing was changed.
        """
        wanted = _changes(changes)
        async with self.attached():
            state = await self._state()
            return await self._reconciler().mutate(state, wanted)

    async def _stage(self, changes: Sequence[Change]) -> MutationReport:
        """Change the topology with the turn that goes on; for ``PodContext.mutate``."""
        wanted = _changes(changes)
        return await self._reconciler().stage(await self._state(), wanted)

    async def report(self) -> ReconcileReport:
        """Return what the last reconciliation of the eager nodes did.

        If the pod heals itself just now, it waits until that is over.
        """
        return await self._reconciler().report(await self._state())

    async def problems(self) -> tuple[Problem, ...]:
        """List the nodes that are left out of the topology, each with the reason.

        A node that its class does not declare any more is among them, as long as
        something of it is stored. Every one of them is logged when the pod thaws.

        Raises:
            StoreError: the store could not be read.
        """
        return await self._reconciler().problems(await self._state())

    async def discard_node(self, node: str, *, actor: str, reason: str) -> None:
        """Delete for good what is stored of a node that is not declared any more.

        All that it owned goes with it. A node of the present topology is removed with
        ``mutate`` instead.

        Args:
            node: its name, as ``problems`` gives it.
            actor: the person who decides; goes to the log.
            reason: why; goes to the log.

        Raises:
            UnknownNode: nothing is left over of a node of that name.
            Unaccounted: actor or reason is empty.
            StoreError: nothing was deleted.
        """
        async with self.attached():
            state = await self._state()
            await self._reconciler().discard(state, node, actor=actor, reason=reason)

    async def to_mermaid(self) -> str:
        """Draw the topology as a Mermaid flowchart, with the state of every node."""
        states = {node.name: node.state.value for node in await self.nodes()}
        return (await self.topology()).to_mermaid(states)

    async def stop(self) -> bool:
        """Hibernate the pod, its nodes first; ``False`` if it was not live.

        Raises:
            StoreError: a state could not be saved; that instance is live again.
            StopTimeout: a turn does not end even when it is cancelled.
        """
        return await self._reconciler().stop(self.address)

    def _is_a(self, pod: type[Pod]) -> bool:
        """Return whether the pod is of a class."""
        return self._reconciler().is_a(self.address, pod)

    async def _state(self) -> PodState:
        """Return what the reconciler knows of the pod, thawed if need be."""
        return await self._reconciler().thawed_state(self.address, self.caller)

    def _reconciler(self) -> Reconciler:
        self._here()
        extension = self._port.extension
        if not isinstance(extension, Reconciler):
            msg = f"{self.address.manager!r} hosts no pods"
            raise TypeError(msg)
        return extension


class PodContext(AgentContext):
    """What a pod sees from inside: what an agent sees, and its nodes."""

    __slots__ = ()

    @overload
    async def ensure_node(self, node: Node[Referable[Ref_co]]) -> Ref_co: ...

    @overload
    async def ensure_node(self, node: str) -> AgentRef[Agent]: ...

    async def ensure_node(
        self, node: Node[Referable[Ref_co]] | str
    ) -> Ref_co | AgentRef[Agent]:
        """Return a ref to a node of this pod; see ``PodRef.ensure_node``."""
        return await self._pod().ensure_node(node)

    @overload
    def lookup_node(self, node: Node[Referable[Ref_co]]) -> Ref_co | None: ...

    @overload
    def lookup_node(self, node: str) -> AgentRef[Agent] | None: ...

    def lookup_node(
        self, node: Node[Referable[Ref_co]] | str
    ) -> Ref_co | AgentRef[Agent] | None:
        """Return a ref to a live node of this pod; see ``PodRef.lookup_node``."""
        return self._pod().lookup_node(node)

    async def mutate(self, changes: Sequence[Change]) -> MutationReport:
        """Add and remove nodes of this pod when, and only when, this turn is committed.

        The topology is in the same commit as the state, the sends and the reply. Nodes
        are started and stopped after it, while the pod has its next turns; a node that
        fails to start is healed, and ``report()`` names it. Another mutation that is
        under way is waited for.

        Args:
            changes: ``add_node(...)`` and ``remove_node(...)``, applied in order.

        Returns:
            What was added and removed; nothing has been started or stopped yet.

        Raises:
            InvalidNode: not a list of changes.
            MutationRefused: the changes do not fit; nothing was changed.
            UnknownNode: a change names a node that is not there.
            ManagerMismatch: the manager of an added node runs another class.
        """
        return await self._pod()._stage(changes)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  a neighbour

    def _pod(self) -> PodRef[Agent]:
        made = self.me
        if not isinstance(made, PodRef):
            msg = f"{self.address.manager!r} hosts no pods"
            raise TypeError(msg)
        return made


class Pod(Agent):
    """An agent that owns a topology of other agents, declared as a class.

    ::

        class Workspace(Pod):
            title: str = "untitled"
            coordinator = eager(Reviewer, manager="workers")
            reviewer = lazy(Reviewer, manager="workers", owner=coordinator)

    A topology that cannot be run raises ``TopologyError`` when the class is made.
    """

    __topology__: ClassVar[Topology]

    def __init_subclass__(cls) -> None:
        topology = read_topology(cls)
        super().__init_subclass__()
        cls.__topology__ = topology

    def __ref__(self) -> PodRef[Self]:
        """Return a ref to this very pod."""
        live = self._podvisor_live()
        return PodRef(live.manager.port, live.address, live, caller=live)

    @property
    def context(self) -> PodContext:
        """What this pod may know and do.

        Raises:
            OutOfRuntime: the object was made by hand, or its instance has stopped.
        """
        found = super().context
        if not isinstance(found, PodContext):
            msg = f"{type(self).__name__} runs without a pod's context"
            raise TypeError(msg)
        return found

    @classmethod
    async def get(
        cls, manager: InstanceManager[P], key: Key, *, partition: str
    ) -> PodRef[P]:
        """Return a ref to a pod, started or thawed, with its eager nodes brought up.

        A node that fails does not fail the pod: it is healed, and ``nodes()`` and
        ``report()`` name it.

        Args:
            manager: the manager of the pod's class.
            key: a ``str``, or a tuple of keys.
            partition: the tenant; never taken from anywhere else.

        Raises:
            InvalidKey: not a valid key.
            InvalidPartition: not a valid partition id.
            PodMismatch: the manager hosts another class than this one.
            Quarantined: the pod may not start.
            StartFailed: it could not be started.
            HostClosed: the host is not running.
        """
        _check_hosts(cls, manager)
        # A type variable's __ref__ is known only as Pod's; the class was checked above.
        return await manager.get(key, partition=partition)  # type: ignore[return-value]

    @classmethod
    def of(cls, context: AgentContext) -> PodRef[Self]:
        """Return a ref to the nearest pod of this class that an agent stands in.

        ::

            workspace = Workspace.of(self.context)

        Raises:
            NotInPod: the agent stands in no pod of this class.
        """
        for ref in context.ancestors:
            if isinstance(ref, PodRef) and ref._is_a(cls):  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  a neighbour
                return ref  # pyright: ignore[reportReturnType]  checked in the line above
        raise NotInPod(context.address, cls.__name__)


def _changes(changes: object) -> tuple[Change, ...]:
    # Takes an object: it is for callers without a type checker.
    wanted: list[Change] = []
    given: Iterable[object] = changes if _is_iterable(changes) else (changes,)
    for change in given:
        if not isinstance(change, AddNode | RemoveNode):
            wish = "a list of add_node(...) and remove_node(...)"
            raise InvalidNode("changes", change, wish)
        wanted.append(change)
    return tuple(wanted)


def _is_iterable(value: object) -> TypeGuard[Iterable[object]]:
    return isinstance(value, Iterable)


def _check_hosts(pod: type[Pod], manager: object) -> None:
    # Takes an object: it is for callers without a type checker.
    if not isinstance(manager, InstanceManager):
        raise PodMismatch(pod.__name__, f"{shorten(manager)}, which is no manager")
    found = manager.info.spec.agent
    if not issubclass(found, pod):
        given = f"manager {manager.name!r}, which hosts {found.__name__}"
        raise PodMismatch(pod.__name__, given)


Pod.__topology__ = read_topology(Pod)
Pod.__traits__ = Traits(ref=PodRef, view=PodContext, extension=Reconciler)
