"""A handle bound to one partition, which an edge gives to code for one tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, TypeVar

from persistence import DeadLetter, Key, check_partition

from ..agents import AgentRef, Referable
from ..errors import (
    InvalidArgument,
    NotPicklable,
    PartitionMismatch,
    check_limit,
    check_stamp,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..tenants import RequestContext
    from .manager import InstanceManager, ManagerStatistics
    from .operator import OperatorActions

__all__ = ["PartitionHandle"]

Ref_co = TypeVar("Ref_co", covariant=True)
T = TypeVar("T")


class PartitionHandle:
    """A handle whose calls all go to the one partition it was made for.

    ``partition=`` may be repeated; another partition is refused. Only trusted code
    makes handles, with ``host.partition``: no message can make one. It holds the
    partition id and the request context, and no instance.
    """

    __slots__ = ("_name_of", "_operator", "_partition", "_request")

    def __init__(
        self,
        operator: OperatorActions,
        name_of: Callable[[object], str],
        partition: str,
        request: RequestContext | None = None,
    ) -> None:
        self._operator = operator
        self._name_of = name_of
        self._partition = check_partition(partition)
        self._request = request

    def __repr__(self) -> str:
        # Without the partition: a repr may end up in a prompt, and must name no tenant.
        return "<PartitionHandle>"

    def __reduce__(self) -> NoReturn:
        raise NotPicklable("PartitionHandle")

    @property
    def id(self) -> str:
        """The partition id of the handle."""
        return self._partition

    @property
    def request(self) -> RequestContext | None:
        """The request context that the handle was made with; ``None``: none."""
        return self._request

    async def get(
        self,
        manager: InstanceManager[Referable[Ref_co]],
        key: Key,
        *,
        partition: str | None = None,
    ) -> Ref_co:
        """Return a ref to an instance; see ``InstanceManager.get``.

        Raises:
            PartitionMismatch: another partition was given.
            InvalidArgument: not a manager of this host.
        """
        checked = self._check(partition, manager)
        ref = await manager.get(key, partition=checked)
        return _stamp(ref, self._request)

    def lookup(
        self,
        manager: InstanceManager[Referable[Ref_co]],
        key: Key,
        *,
        partition: str | None = None,
    ) -> Ref_co | None:
        """Return a ref if the key is live; see ``InstanceManager.lookup``.

        Raises:
            PartitionMismatch: another partition was given.
            InvalidArgument: not a manager of this host.
        """
        checked = self._check(partition, manager)
        ref = manager.lookup(key, partition=checked)
        return None if ref is None else _stamp(ref, self._request)

    async def stop(
        self,
        manager: InstanceManager[object],
        key: Key,
        *,
        partition: str | None = None,
    ) -> bool:
        """Hibernate an instance; see ``InstanceManager.stop``.

        Raises:
            PartitionMismatch: another partition was given.
            InvalidArgument: not a manager of this host.
        """
        checked = self._check(partition, manager)
        return await manager.stop(key, partition=checked)

    async def stats(
        self, manager: InstanceManager[object], *, partition: str | None = None
    ) -> ManagerStatistics:
        """Count a manager's instances here; see ``InstanceManager.stats``.

        Raises:
            PartitionMismatch: another partition was given.
            InvalidArgument: not a manager of this host.
        """
        checked = self._check(partition, manager)
        return await manager.stats(partition=checked)

    async def keys(
        self,
        manager: InstanceManager[object],
        *,
        after: Key | None = None,
        limit: int = 1_000,
        partition: str | None = None,
    ) -> tuple[Key, ...]:
        """List the keys a manager has here; see ``InstanceManager.keys``.

        Raises:
            PartitionMismatch: another partition was given.
            InvalidArgument: not a manager of this host.
        """
        checked = self._check(partition, manager)
        return await manager.keys(partition=checked, after=after, limit=limit)

    async def dead_letters(
        self,
        *,
        after: str = "",
        limit: int = 1_000,
        partition: str | None = None,
    ) -> tuple[DeadLetter, ...]:
        """Return one page of the dead letters, with reasons, the oldest first.

        Args:
            after: the stamp of the last letter of the page before; ``""``: the first
                page.
            limit: letters in one page, from 1 to 10,000.
            partition: the partition of the handle, or ``None``.

        Raises:
            PartitionMismatch: another partition was given.
            InvalidArgument: ``after`` is no text, or ``limit`` is out of range.
        """
        self._same(partition)
        check_limit(limit)
        return await self._operator.dead_letters(
            self._partition, after=check_stamp("after", after), limit=limit
        )

    async def redeliver(
        self, stamp: str, *, actor: str, reason: str, partition: str | None = None
    ) -> None:
        """Post a dead letter again, with a new stamp, as if it were a new letter.

        Args:
            stamp: the stamp of the dead letter, from ``dead_letters()``.
            actor: the person or system that decides; logged.
            reason: the reason for it; logged.
            partition: the partition of the handle, or ``None``.

        Raises:
            LetterNotFound: this partition has no such dead letter.
            RecordError: its bytes cannot be decoded; it stays a dead letter.
            UnknownManager: its manager is not declared on this host.
            PartitionMismatch: another partition was given.
            Unaccounted: actor or reason is empty.
        """
        self._same(partition)
        await self._operator.redeliver(
            self._partition, stamp, actor=actor, reason=reason
        )

    async def drop(
        self, stamp: str, *, actor: str, reason: str, partition: str | None = None
    ) -> None:
        """Delete a dead letter for good.

        Args:
            stamp: the stamp of the dead letter, from ``dead_letters()``.
            actor: the person or system that decides; logged.
            reason: the reason for it; logged.
            partition: the partition of the handle, or ``None``.

        Raises:
            LetterNotFound: this partition has no such dead letter.
            PartitionMismatch: another partition was given.
            Unaccounted: actor or reason is empty.
        """
        self._same(partition)
        await self._operator.drop(self._partition, stamp, actor=actor, reason=reason)

    def _check(self, partition: str | None, manager: object) -> str:
        if isinstance(manager, str):
            raise InvalidArgument(
                "manager", manager, "the manager itself, not its name"
            )
        self._name_of(manager)
        return self._same(partition)

    def _same(self, partition: str | None) -> str:
        if partition is not None and partition != self._partition:
            raise PartitionMismatch(self._partition, partition)
        return self._partition


def _stamp(ref: T, request: RequestContext | None) -> T:
    """Set the request context that messages sent through a ref carry; return it."""
    if request is not None:
        _carry(ref, request)
    return ref


def _carry(ref: object, request: RequestContext) -> None:
    if isinstance(ref, AgentRef):
        ref.request = request
