"""Stored nodes that the code of their pod has forgotten: reported, kept, discarded.

A release may declare one node less. What is stored of that node stays where it is, so
that the release can be taken back; nothing starts it, until an operator decides.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from persistence import Address, Key, PodsError, RecordError, RecordKind, Store
from supervision.extending import HostServices, check_account

from ..errors import UnknownNode
from ..topology import Problem, ProblemKind
from .live import PodState, log_of, name_of, pod_of, stands_in

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from .mutations import Mutations

__all__ = ["UndeclaredNodes"]

_PAGE = 1_000
_SEEN = 10_000
"""Pods that are not looked at again when they thaw again: the code is the same."""
_FIRST = "0"
"""Sorts before the name of every node, which begins with a letter."""


class UndeclaredNodes:
    """Finds what the pods of one host have stored outside of their topologies."""

    def __init__(self, services: HostServices, mutations: Mutations) -> None:
        self._services = services
        self._mutations = mutations
        self._seen: dict[Address, None] = {}

    async def report(self, state: PodState) -> None:
        """Check a pod after its first thaw on this host, and log what is found.

        It waits until the nodes are up, and no caller that wants the pod waits for it.
        """
        if state.pod.address in self._seen:
            return
        await state.settled.wait()
        try:
            found = await self.problems(state)
        except PodsError as error:
            log_of(state.pod.address, "pod.nodes_unread", error=type(error).__name__)
            return
        self._seen[state.pod.address] = None
        if len(self._seen) > _SEEN:
            del self._seen[next(iter(self._seen))]
        for problem in found[len(state.problems) :]:
            log_of(
                state.pod.address,
                "pod.node_left_out",
                node=problem.node,
                why=str(problem),
            )

    async def problems(self, state: PodState) -> tuple[Problem, ...]:
        """List what is left out of a pod: what does not fit, then what is undeclared.

        Raises:
            StoreError: the store could not be read.
        """
        found = await self._find(state)
        forgotten = [
            Problem(name_of(node), ProblemKind.UNDECLARED, node.manager)
            for node in found
        ]
        return (*state.problems, *forgotten)

    async def discard(
        self, state: PodState, name: str, *, actor: str, reason: str
    ) -> None:
        """Delete a forgotten node with all that it owns.

        Raises:
            UnknownNode: nothing of that name is left over.
            Unaccounted: actor or reason is empty.
            StoreError: nothing was deleted.
        """
        check_account(actor=actor, reason=reason)
        found = await self._find(state)
        named = [node for node in found if name_of(node) == name]
        if not named:
            known = tuple(sorted({name_of(node) for node in found}))
            raise UnknownNode(state.pod.address, name, known, len(known))
        below = await self._below(state, named)
        await self._mutations.discard(state, (*named, *below))
        log_of(
            state.pod.address,
            "pod.node_discarded",
            node=name,
            actor=actor,
            reason=reason,
        )

    async def _find(self, state: PodState) -> tuple[Address, ...]:
        """List the stored nodes of a pod that stand nowhere, in a lasting order.

        A node's row names the pod, or another of its nodes, as its parent. What has a
        key like a node's and no such parent is the user's own, and stays out of this.
        """
        pod = state.pod.address
        stored = await self._services.read(
            functools.partial(_nodes_of, pod, tuple(self._services.managers)),
            partition=pod.partition,
        )
        named = sorted((a for a in stored if _is_forgotten(state, a)), key=str)
        return tuple([node for node in named if await self._was_node(pod, node)])

    async def _was_node(self, pod: Address, address: Address) -> bool:
        try:
            rows = await self._services.load(address)
        except RecordError:  # its owner is unknown: an operator has to look
            return True
        return any(
            row.kind is RecordKind.STATE and stands_in(pod, row.parent) for row in rows
        )

    async def _below(
        self, state: PodState, above: Sequence[Address]
    ) -> tuple[Address, ...]:
        """List the forgotten nodes that others own, at any depth."""
        found: dict[Address, None] = {}
        todo = list(above)
        while todo:
            children = await self._services.read(
                functools.partial(_children_of, todo.pop()),
                partition=state.pod.address.partition,
            )
            for child in children:
                if child not in (*found, *above) and _is_forgotten(state, child):
                    found[child] = None
                    todo.append(child)
        return tuple(found)


async def _nodes_of(
    pod: Address, managers: Sequence[str], store: Store
) -> set[Address]:
    """List what is stored under names of a pod's nodes.

    The keys of its nodes begin alike, so that they stand together in each manager; a
    manager that is not declared any more is found by what names the pod as its parent.
    """
    found = set(await store.children(pod))
    for manager in managers:
        after: Key = (pod.manager, pod.key, _FIRST)
        while True:
            keys = await store.keys(
                manager, partition=pod.partition, after=after, limit=_PAGE
            )
            page = [Address(pod.partition, manager, key) for key in keys]
            nodes = [address for address in page if pod_of(address) == pod]
            found.update(nodes)
            if len(nodes) < _PAGE:
                break
            after = keys[-1]
    return found


def _is_forgotten(state: PodState, address: Address) -> bool:
    """Return whether an address is that of a node that the pod does not know."""
    if pod_of(address) != state.pod.address:
        return False
    name = name_of(address)
    spec = state.topology.get(name)
    if spec is not None and spec.manager == address.manager:
        return False
    if any(problem.node == name for problem in state.problems):
        return False
    going = {(purge.name, purge.manager) for purge in state.stored.purging}
    return (name, address.manager) not in going


def _children_of(parent: Address, store: Store) -> Awaitable[list[Address]]:
    return store.children(parent)
