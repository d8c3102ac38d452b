"""Reattachment: finds the parent of an instance that starts without one.

An instance that is started by a live parent needs no search. Any other instance may be
a node of a pod, which its key shows. Only the pod knows whether the node still exists:
a live pod answers from memory, and the rows of a hibernated pod are read. If the parent
hibernates, the addresses of its ancestors are read too, so that a handler gets its
ancestors without waiting.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

from persistence import Address, Record, RecordError, RecordKind

from ..agents import SETTLED, OnParentStop, attach_child
from ..errors import HostClosed
from .ancestry import ancestry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persistence import Reader

    from ..agents import Extension, Instance, ManagerInfo
    from ..loop import BackgroundTasks
    from .registry import Registries

__all__ = ["Reattachment"]

_STATE = RecordKind.STATE  # a look-up in an enum is slow before Python 3.12


class Reattachment:
    """Finds the parents of one host's instances, for ``Catalog`` and ``Activation``.

    It holds no state of its own.

    Args:
        registries: the instances in memory.
        managers: what the instances of each manager share, by manager name.
        reader: reads the rows of a hibernated pod or parent.
        background: runs the searches that read.
    """

    def __init__(
        self,
        registries: Registries,
        managers: Mapping[str, ManagerInfo],
        reader: Reader,
        background: BackgroundTasks,
    ) -> None:
        self._find_instance = registries.find
        self._managers = managers
        self._reader = reader
        self._background = background

    def parent_in_memory(
        self, address: Address
    ) -> tuple[Instance, OnParentStop] | None:
        """Return the parent of a live pod's node; ``None`` for any other address.

        Raises:
            AgentNotFound: the address was a node of the pod, and was removed.
        """
        if (found := self._pod_of(address)) is None:
            return None
        pod, extension = found
        instance = self._find_instance(pod)
        if instance is None or instance.phase not in SETTLED:
            return None
        return extension.home(instance, address)

    def find_parent(
        self, instance: Instance, rows: Sequence[Record]
    ) -> asyncio.Future[None] | None:
        """Start a search for the parent of an instance, if its rows or key name one.

        Args:
            instance: an instance that is starting; it has no agent yet.
            rows: its stored rows.

        Returns:
            ``None``: no search is needed. Else a future that is done when the parent is
            found. It fails with ``AgentNotFound`` if the instance was a node of a pod
            and was removed, and with ``StoreError`` if the store could not be read.
        """
        if instance.parent is not None:
            return None
        parent = _parent(rows)
        # Most keys are str, and a str key names no pod; this check is the cheap one.
        if parent is None and type(instance.address.key) is str:
            return None
        pod = self._pod_of(instance.address)
        if pod is None and (parent is None or self._is_up(parent)):
            return None
        found: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = self._background.hold(
            functools.partial(self._find_stored, instance, parent, found),
            f"home of {instance.address}",
            instance.address.partition,
        )
        task.add_done_callback(functools.partial(_over, found))
        return found

    async def _find_stored(
        self, instance: Instance, parent: Address | None, found: asyncio.Future[None]
    ) -> None:
        try:
            parent = await self._admitted(instance, parent)
            if parent is not None and not self._is_up(parent):
                above = await ancestry(self._find_instance, self._reader, parent)
                if instance.parent is None:  # a parent may have adopted it by now
                    instance.ensure_family().above = above
        except Exception as error:  # noqa: BLE001  the error belongs to the waiting activation
            found.set_exception(error)
        else:
            found.set_result(None)

    async def _admitted(
        self, instance: Instance, parent: Address | None
    ) -> Address | None:
        """Return the parent of an instance, as the pod named by its key knows it.

        Raises:
            AgentNotFound: it was a node of the pod, and was removed.
            StoreError: the pod's rows could not be read.
        """
        if (named := self._pod_of(instance.address)) is None:
            return parent
        pod, extension = named
        rows: Sequence[Record] = ()
        try:
            if not self._is_up(pod):
                rows = await self._reader.load(pod)
            if instance.parent is not None:  # a parent adopted it during the read
                return None
            place = extension.place(pod, rows, instance.address, parent)
        except RecordError:  # a damaged row of the pod must not quarantine the node
            return parent
        if parent is not None or place is None:
            return parent
        family = instance.ensure_family()
        family.lost_parent, family.on_parent_stop = place
        self.rejoin_parent(instance)
        return place[0]

    def rejoin_parent(self, instance: Instance) -> None:
        """Attach a thawed child to its stored parent, if the parent is live."""
        family = instance.family
        if family is None or family.lost_parent is None:
            return
        parent = self._find_instance(family.lost_parent)
        if parent is not None and parent.phase in SETTLED:
            attach_child(instance, parent, family.on_parent_stop)

    def _pod_of(self, address: Address) -> tuple[Address, Extension] | None:
        """Return the pod named by a node's key, with the extension of its manager."""
        if type(address.key) is str:  # true of most keys, and cheap to check
            return None
        match address.key:
            case (str(manager), pod_key, str()) if manager in self._managers:
                extension = self._managers[manager].extension
            case _:
                return None
        if extension is None:
            return None
        return Address(address.partition, manager, pod_key), extension

    def _is_up(self, address: Address) -> bool:
        instance = self._find_instance(address)
        return instance is not None and instance.phase in SETTLED


def _parent(rows: Sequence[Record]) -> Address | None:
    for row in rows:
        if row.kind is _STATE:
            return row.parent
    return None


def _over(found: asyncio.Future[None], _: asyncio.Task[None]) -> None:
    if not found.done():  # the host has cancelled the search
        found.set_exception(HostClosed())
