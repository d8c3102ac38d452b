"""Brings the nodes of a pod up, as a plan says: wave by wave, each node once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persistence import PodsError
from supervision import StartFailed

from ..errors import ManagerMismatch, NodeMisplaced
from ..topology import Action, blocked_by, plan
from .reports import Failure, NodeResult, ReconcileReport, Source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from supervision.extending import HostServices, Instance

    from ..topology import NodeSpec
    from .live import NodeLookup, PodState

__all__ = ["Startup"]


class Startup:
    """Starts, keeps and adopts the nodes of one host's pods."""

    def __init__(self, services: HostServices, nodes: NodeLookup) -> None:
        self._services = services
        self._nodes = nodes

    async def bring_up(
        self,
        state: PodState,
        wanted: Iterable[str],
        errors: dict[str, BaseException] | None = None,
    ) -> ReconcileReport:
        """Bring nodes up, wave by wave; what fails leaves its dependents pending.

        Args:
            state: the pod.
            wanted: names of nodes, closed under what they require.
            errors: gets the exception of each node that failed.
        """
        wanted = tuple(wanted)
        errors = {} if errors is None else errors
        topology = state.topology
        seen = {name: self._nodes.observe(state, topology[name]) for name in wanted}
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
                try:
                    await self._arrive(state, instance, topology[name])
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
        address = self._nodes.address(state, spec)
        self._check_manager(spec)
        parent = self._nodes.parent(state, spec)
        if parent is None:
            raise StartFailed(address, "reconcile", "its parent is not live")
        if action is Action.REFUSE:
            found = self._services.find(address)
            other = None if found is None else found.parent_address
            raise NodeMisplaced(spec.name, address, other, parent.address)
        return self._services.resolve(address, parent, spec.on_parent_stop)

    async def _arrive(
        self, state: PodState, instance: Instance, spec: NodeSpec
    ) -> None:
        parent, policy = self._nodes.parent(state, spec), spec.on_parent_stop
        if not instance.live:
            # A survivor may hibernate by itself while a node before it is waited for.
            if parent is None or state.topology.get(spec.name) != spec:
                raise StartFailed(instance.address, "reconcile", "it was stopped again")
            instance = self._services.resolve(instance.address, parent, policy)
        if parent is None:
            await self._services.live(instance)
        else:
            await self._services.live_child(instance, parent, policy)

    def _check_manager(self, spec: NodeSpec) -> None:
        found = self._services.manager(spec.manager).spec.agent
        if not issubclass(found, spec.agent):
            declared = spec.agent.__name__
            raise ManagerMismatch(spec.name, spec.manager, declared, found.__name__)


def _source(action: Action) -> Source:
    match action:
        case Action.KEEP:
            return Source.RUNNING
        case Action.ADOPT:
            return Source.ADOPTED
        case _:
            return Source.STARTED
