"""What a host does for agents and for packages that extend it.

This is the only way from an agent's context, or from an extension such as pods, into
the host: neither knows the parts that the host is made of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Coroutine, Mapping
    from contextlib import AbstractContextManager

    from persistence import Address, Record, Store, Unit

    from ..declaration import HandlerSpec, Message
    from ..fairness import Priority
    from .agent import Agent
    from .instance import Instance
    from .manager_info import ManagerInfo
    from .phases import OnParentStop
    from .ref import AgentRef
    from .timers import Schedule, Timing

__all__ = ["HostServices", "Offloads"]

T = TypeVar("T")


class Offloads(Protocol):
    """Runs handlers outside the event loop."""

    async def run(
        self, instance: Instance, agent: Agent, spec: HandlerSpec, message: object
    ) -> object:
        """Run a handler in a thread or a process, and return its reply."""
        ...


class HostServices(Protocol):
    """The services of one host; ``host.Services`` provides them.

    Every call that takes an address works in the partition of that address.
    """

    # Finding.

    @property
    def managers(self) -> Mapping[str, ManagerInfo]:
        """What the instances of each manager share, by its name."""
        ...

    def manager(self, name: str) -> ManagerInfo:
        """Return what the instances of a manager share.

        Raises:
            UnknownManager: none of that name on this host.
        """
        ...

    def name_of(self, manager: object) -> str:
        """Return the name of a manager of this host, given by itself or by its name.

        Raises:
            UnknownManager: none of that name on this host.
            InvalidArgument: no manager, or one of another host.
        """
        ...

    def find(self, address: Address) -> Instance | None:
        """Return the instance that stands at an address, in whatever phase."""
        ...

    def ref(
        self, address: Address, *, caller: Instance | None = None
    ) -> AgentRef[Agent]:
        """Make a ref to an address, for the use of a handler if ``caller`` is given."""
        ...

    async def exists(self, address: Address) -> bool:
        """Return whether anything of an address is live or stored."""
        ...

    # Starting and stopping.

    def resolve(
        self,
        address: Address,
        parent: Instance | None = None,
        on_parent_stop: OnParentStop = ...,
    ) -> Instance:
        """Find the instance at an address, or begin to start it as a child."""
        ...

    async def ready(self, address: Address) -> Instance:
        """Return the live instance of an address, started or thawed if need be."""
        ...

    async def live(self, instance: Instance) -> Instance:
        """Wait until an instance is live and has all that ``get`` promises."""
        ...

    async def live_child(
        self, instance: Instance, parent: Instance, on_parent_stop: OnParentStop
    ) -> Instance:
        """Wait until a resolved child is live, and attach it to its parent."""
        ...

    async def start_child(
        self, parent: Instance, address: Address, on_parent_stop: OnParentStop
    ) -> Instance:
        """Start an instance as the child of another, or attach it."""
        ...

    def stop(
        self, instance: Instance, *, discard: bool = False
    ) -> asyncio.Future[None]:
        """Ask an instance to hibernate, or to go without being saved (``discard``)."""
        ...

    def fence(self, instance: Instance, error: BaseException) -> None:
        """End an instance whose row was changed by another host; save nothing."""
        ...

    # Sending.

    def send(
        self,
        sender: Instance,
        address: Address,
        message: Message[object],
        priority: Priority | None,
    ) -> None:
        """Send a message with the sender's turn."""
        ...

    def post(
        self,
        sender: Instance,
        address: Address,
        message: Message[object],
        *,
        timing: Timing | None = None,
        name: str = "",
    ) -> None:
        """Send a letter with the sender's turn, at once or when it is due."""
        ...

    def cancel_timer(self, sender: Instance, address: Address, name: str) -> None:
        """Remove a timer with the sender's turn."""
        ...

    async def schedules(self, address: Address) -> tuple[Schedule, ...]:
        """List the stored timers of an instance, the next one first."""
        ...

    def now(self) -> float:
        """Return Unix seconds."""
        ...

    # Seats.

    def park(self, instance: Instance) -> bool:
        """Give the seat of a running turn to others; return whether it had one."""
        ...

    async def unpark(self, instance: Instance) -> None:
        """Wait for a seat again."""
        ...

    # Storage.

    async def read(self, call: Callable[[Store], Awaitable[T]], *, partition: str) -> T:
        """Ask the store something on behalf of a partition.

        Raises:
            HostClosed: the host is not running.
        """
        ...

    def load(self, address: Address) -> asyncio.Future[tuple[Record, ...]]:
        """Read the rows of one instance."""
        ...

    def submit(self, unit: Unit) -> asyncio.Future[None]:
        """Save operations of one partition, all of them or none."""
        ...

    # Work that no turn does.

    def run_beside(
        self, work: Callable[[], Coroutine[object, object, None]], name: str, of: str
    ) -> asyncio.Task[None]:
        """Run a coroutine in a task of the host; ``of`` is the partition it is for."""
        ...

    def span(
        self, what: str, manager: str, partition: str
    ) -> AbstractContextManager[None]:
        """Hold a span while such work goes on."""
        ...
