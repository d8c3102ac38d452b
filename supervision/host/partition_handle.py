"""A handle bound to one partition: what an edge gives to code for one tenant."""

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
    """Every call goes to the one partition the handle was made for.

    ``partition=`` may be repeated for emphasis; another one is refused. Only trusted
    code makes handles, with ``host.partition``: nothing in a message can.
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
        # The partition stays out: what is printed into a prompt must not name a tenant.
        return "<PartitionHandle>"

    def __reduce__(self) -> NoReturn:
        raise NotPicklable("PartitionHandle")

    @property
    def id(self) -> str:
        """The partition it is bound to."""
        return self._partition

    @property
    def request(self) -> RequestContext | None:
        """The request it was made for, if the edge stamped one."""
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
        """Count what a manager has here; see ``InstanceManager.stats``.

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
        """List the durable messages that nobody could handle, with the reason.

        Args:
            after: the stamp of the last one of the page before.
            limit: letters in one page, from 1 to 10,000.
            partition: may be repeated for emphasis.

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
        """Send a dead letter again, as if it had just been posted.

        Args:
            stamp: which of ``dead_letters()``.
            actor: who decides; goes to the log.
            reason: why; goes to the log.
            partition: may be repeated for emphasis.

        Raises:
            LetterNotFound: no such dead letter in this partition.
            RecordError: its bytes cannot be read; it stays where it is.
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
        """Remove a dead letter for good; arguments and errors as for ``redeliver``."""
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
    """Let the messages that are sent through a ref carry a request's context."""
    if request is not None:
        _carry(ref, request)
    return ref


def _carry(ref: object, request: RequestContext) -> None:
    if isinstance(ref, AgentRef):
        ref.request = request
