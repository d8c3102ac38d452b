"""What all instances of one manager have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs
from attrs import validators

from .phases import Durability, OnParentStop
from .policy import RestartPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persistence import Address, Record

    from ..execution.offload import Offloader
    from ..loop.blocking import BlockingPolicy
    from .agent import Agent, AgentSpec
    from .context import AgentContext
    from .instance import Instance
    from .ref import AgentRef, Port

__all__ = ["Extension", "Kind", "ManagerPolicy"]


@attrs.frozen(kw_only=True)
class ManagerPolicy:
    """How a manager treats its instances.

    Attributes:
        durability: when state is written.
        idle_timeout: seconds without traffic or attachments after which an instance
            hibernates; ``None``: only when stopped.
        interval: seconds between writes with ``Durability.INTERVAL``.
        mailbox: messages that may wait for one instance.
        ask_timeout: seconds an ask waits unless it says otherwise.
        start_timeout: seconds that ``on_start`` may take.
        stop_timeout: seconds that a stop may take before it cancels the running turn.
        batch: messages that one turn handles at most.
        restart: what follows a crash.
        blocking: what follows when a handler blocks the loop; ``None``: what
            ``WatchdogPolicy`` says.
    """

    durability: Durability = Durability.TURN
    idle_timeout: float | None = attrs.field(
        default=None, validator=validators.optional(validators.ge(0))
    )
    interval: float = attrs.field(default=5.0, validator=validators.gt(0))
    mailbox: int = attrs.field(default=1_000, validator=validators.ge(1))
    ask_timeout: float = attrs.field(default=30.0, validator=validators.gt(0))
    start_timeout: float = attrs.field(default=30.0, validator=validators.gt(0))
    stop_timeout: float = attrs.field(default=30.0, validator=validators.gt(0))
    batch: int = attrs.field(default=8, validator=validators.ge(1))
    restart: RestartPolicy = attrs.field(factory=RestartPolicy)
    blocking: BlockingPolicy | None = None


class Extension(Protocol):
    """What a family of agent classes adds to the life of its instances (pods do)."""

    def thawed(self, instance: Instance, record: Record | None) -> None:
        """Take the topology record, before the agent starts.

        Raises:
            RecordError: it cannot be used; the instance is quarantined.
        """
        ...

    def home(
        self, pod: Instance, address: Address
    ) -> tuple[Instance, OnParentStop] | None:
        """Say whose child an address that is named after a live pod's node becomes.

        Raises:
            AgentNotFound: it was a node of the pod, and was removed.
        """
        ...

    def place(
        self,
        pod: Address,
        rows: Sequence[Record],
        address: Address,
        parent: Address | None,
    ) -> tuple[Address, OnParentStop] | None:
        """Say likewise of what becomes live without a parent, by the pod's rows.

        Args:
            pod: the pod that the address is named after; it need not be live.
            rows: what is stored of it; they do not matter if it is live.
            address: who becomes live.
            parent: whose child it is by its own row.

        Raises:
            AgentNotFound: it was a node of the pod, and is none any more.
        """
        ...

    def busy(self, instance: Instance) -> bool:
        """Say whether it has something under way that hibernation would undo."""
        ...

    def started(self, instance: Instance) -> None:
        """Note that it is live."""
        ...

    async def ready(self, instance: Instance) -> None:
        """Wait for what ``get`` promises beyond being live."""
        ...

    def arrived(self, ancestor: Instance, live: Instance) -> None:
        """Note that a descendant is live, for the first time or again."""
        ...

    def departed(self, ancestor: Instance, gone: Instance) -> None:
        """Note that a descendant is gone without having been asked to stop."""
        ...

    def stopped(self, instance: Instance) -> None:
        """Forget it."""
        ...


@attrs.frozen(eq=False)
class Kind:
    """A manager as its instances see it.

    Attributes:
        name: the manager's name.
        spec: what was read from the agent class.
        policy: how its instances are treated.
        port: the way to an instance, for refs.
        ref: the kind of ref its instances are reached through.
        view: makes the context that an agent sees.
        stored: whether its instances have rows.
        each_turn: whether every turn that changed something is saved by itself.
        extension: what its agent class adds to their life.
        offloader: runs handlers outside the event loop.
    """

    name: str
    spec: AgentSpec
    policy: ManagerPolicy
    port: Port
    ref: type[AgentRef[Agent]]
    view: Callable[[Instance], AgentContext]
    stored: bool
    each_turn: bool
    extension: Extension | None
    offloader: Offloader
