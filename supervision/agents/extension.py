"""What a family of agent classes may add to the life of its instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persistence import Address, Record

    from .agent import Agent
    from .context import AgentContext
    from .instance import Instance
    from .phases import OnParentStop
    from .ref import AgentRef
    from .services import HostServices

__all__ = ["Extension", "Traits"]


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
        """Return the parent of an address that is named after a node of a live pod.

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
        """Return the parent of an instance that starts without one, by the pod's rows.

        Args:
            pod: the pod that the address is named after; it need not be live.
            rows: what is stored of it; they do not matter if it is live.
            address: the instance that starts.
            parent: its parent as its own row has it.

        Raises:
            AgentNotFound: it was a node of the pod, and is none any more.
        """
        ...

    def busy(self, instance: Instance) -> bool:
        """Return whether work is under way that hibernation would undo."""
        ...

    def started(self, instance: Instance) -> None:
        """Go on with an instance that is live now."""
        ...

    async def ready(self, instance: Instance) -> None:
        """Wait for what ``get`` promises beyond a live instance."""
        ...

    def arrived(self, ancestor: Instance, live: Instance) -> None:
        """Go on after a descendant became live, for the first time or again."""
        ...

    def departed(self, ancestor: Instance, gone: Instance) -> None:
        """Go on after a descendant ended without having been asked to stop."""
        ...

    def stopped(self, instance: Instance) -> None:
        """Forget an instance that has stopped."""
        ...


@attrs.frozen(kw_only=True)
class Traits:
    """What a family of agent classes brings with it; pods have their own.

    Attributes:
        ref: the kind of ref its instances are reached through.
        view: makes the context that an agent sees.
        extension: makes what it adds to the life of its instances, once per host.
    """

    ref: type[AgentRef[Agent]]
    view: Callable[[HostServices, Instance], AgentContext]
    extension: Callable[[HostServices], Extension] | None = None
