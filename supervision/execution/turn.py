"""What one turn has gathered so far, and the hooks of its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

from persistence import Address, Claim, Operation, Unit

from .snapshot import Snapshot, save_unit

if TYPE_CHECKING:
    import asyncio

    from ..agents import Envelope, Instance, Partition, Staged

__all__ = ["Hooks", "Turn"]


class Hooks(Protocol):
    """What follows a turn; ``lifecycle.TurnHooks`` provides it.

    The arguments are positional, so that plain attributes can provide the hooks.
    """

    def settled(self, instance: Instance, /) -> None:
        """Go on with an instance whose turn is over."""
        ...

    def crashed(self, instance: Instance, error: BaseException, where: str, /) -> None:
        """Decide what follows a crash; the state is already what it was before."""
        ...

    def fenced(self, instance: Instance, error: BaseException, /) -> None:
        """End an instance whose row or mail was changed by another host."""
        ...

    def reload(self, instance: Instance, /) -> None:
        """Start an instance again from what is stored, whatever that is."""
        ...

    def deliver(self, target: Address, envelope: Envelope, /) -> None:
        """Hand a message to its target; the turn that sent it is committed."""
        ...

    def withdraw(self, target: Address, /) -> None:
        """Give back the place that a message had taken; its turn was undone."""
        ...

    def claim(self, partition: Partition, /) -> asyncio.Future[Claim]:
        """Take a partition over for an instance that has nothing stored itself."""
        ...


def _nothing() -> list[tuple[Envelope, object]]:
    return []  # to call a list with its type of items takes ten times as long


@attrs.define(eq=False)
class Turn:
    """One turn of one instance, while it lasts.

    Attributes:
        instance: whose it is.
        start: what the fields held when it began.
        start_dirty: whether that was stored already.
        answers: messages that were handled, and their replies.
        outbox: what leaves with the commit.
        staged: what is committed together with the state.
        changed: the state is another one now.
        saving: the state is part of what was submitted.
        crash: the exception that ended it, and where.
    """

    instance: Instance
    start: Snapshot
    start_dirty: bool
    answers: list[tuple[Envelope, object]] = attrs.field(factory=_nothing)
    outbox: list[tuple[Address, Envelope]] | None = None
    staged: list[Staged] | None = None
    changed: bool = False
    saving: bool = False
    crash: tuple[BaseException, str] | None = None

    @property
    def must_commit(self) -> bool:
        """Whether nothing may leave before a commit."""
        if self.staged:
            return True
        return (self.changed or self.start_dirty) and self.instance.manager.each_turn

    def take(self) -> None:
        """Keep what the message that was just handled wants sent and committed."""
        instance = self.instance
        if instance.outbox:
            self.outbox = [*(self.outbox or ()), *instance.outbox]
            instance.outbox = None
        if instance.staged:
            self.staged = [*(self.staged or ()), *instance.staged]
            instance.staged = None

    def unit(self) -> Unit:
        """Build what is to be saved, all of it or nothing.

        Raises:
            UnstorableState: a field is not of its declared type.
        """
        instance = self.instance
        operations: list[Operation] = []
        if self.staged:
            for staged in self.staged:
                operations += staged.operations()
        if instance.dirty:
            return save_unit(instance, *operations)
        partition = instance.partition
        return Unit(partition.name, partition.epoch, tuple(operations))

    def committed(self) -> None:
        """Report to all that was staged that it is durable."""
        for staged in self.staged or ():
            staged.committed()

    def undone(self) -> None:
        """Report to all that was staged that nothing of it was saved."""
        for staged in self.staged or ():
            staged.undone()
