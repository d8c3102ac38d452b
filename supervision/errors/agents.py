"""Errors about one instance, or about its host."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from persistence import Address, Key, PodsError, key_to_text, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AgentCrashed",
    "AgentNotFound",
    "DuplicateManager",
    "HostClosed",
    "LineageRefused",
    "OffloadFailed",
    "OutOfRuntime",
    "Quarantined",
    "ShutdownIncomplete",
    "StartFailed",
    "StopTimeout",
    "UnknownManager",
    "UnknownResource",
]


@attrs.define(slots=False, eq=False, repr=False)
class HostClosed(PodsError, RuntimeError):
    """The host is not running, or is shutting down."""

    code: ClassVar[str] = "PV-E301"

    def text(self) -> str:
        return "The host is not running. Use it inside `async with Host(...) as host:`."


@attrs.define(slots=False, eq=False, repr=False)
class UnknownManager(PodsError, LookupError):
    """No manager of that name was declared on this host."""

    code: ClassVar[str] = "PV-E302"
    manager: str
    known: Sequence[str]

    def text(self) -> str:
        known = ", ".join(sorted(self.known)[:20]) or "none yet"
        return (
            f"manager={self.manager!r} is not declared on this host (declared: "
            f"{known}). Call host.manager({self.manager!r}, AgentClass) first."
        )


@attrs.define(slots=False, eq=False, repr=False)
class DuplicateManager(PodsError, ValueError):
    """The name already belongs to a manager of this host."""

    code: ClassVar[str] = "PV-E303"
    manager: str
    agent: str

    def text(self) -> str:
        return (
            f"manager={self.manager!r} already hosts {self.agent}. "
            "Keep the object that host.manager() returned, or choose another name."
        )


@attrs.define(slots=False, eq=False, repr=False)
class AgentNotFound(PodsError, LookupError):
    """No such instance in the caller's partition.

    An instance of another partition gives the same type, arguments and text.
    """

    code: ClassVar[str] = "PV-E310"
    manager: str
    key: Key

    def text(self) -> str:
        return (
            f"{self.manager}/{shorten(key_to_text(self.key))} was not found. "
            "Check the key, or start it with get()."
        )


@attrs.define(slots=False, eq=False, repr=False)
class Quarantined(PodsError, RuntimeError):
    """The instance may not start until a person releases it; its bytes are kept."""

    code: ClassVar[str] = "PV-E311"
    address: Address
    reason: str

    def text(self) -> str:
        return (
            f"{self.address} is in quarantine: {self.reason.rstrip('.')}. Nothing was "
            "lost. When the cause is fixed, release it: host.manager_named("
            f"{self.address.manager!r}).release(key, partition=..., actor=..., "
            "reason=...)."
        )


@attrs.define(slots=False, eq=False, repr=False)
class AgentCrashed(PodsError, RuntimeError):
    """A handler raised something that is no ``Exception``; the turn was undone.

    It is also the reply to a message whose instance crashed before it was handled.
    """

    code: ClassVar[str] = "PV-E316"
    address: Address
    where: str
    cause: str

    def text(self) -> str:
        return (
            f"{self.address} crashed in {self.where}: {self.cause}. The turn was "
            "undone, and the instance restarts under its restart policy."
        )


@attrs.define(slots=False, eq=False, repr=False)
class StartFailed(PodsError, RuntimeError):
    """The instance could not be started; its stored state is unchanged."""

    code: ClassVar[str] = "PV-E317"
    address: Address
    phase: str
    cause: str

    def text(self) -> str:
        return (
            f"{self.address} did not start, in {self.phase}: {self.cause}. Its stored "
            "state is untouched; the restart policy tries again, then quarantines it."
        )


@attrs.define(slots=False, eq=False, repr=False)
class StopTimeout(PodsError, TimeoutError):
    """An instance did not stop in time, even when its turn was cancelled."""

    code: ClassVar[str] = "PV-E318"
    address: Address
    seconds: float
    where: str

    def text(self) -> str:
        return (
            f"{self.address} did not stop within {self.seconds:g} s: it is still in "
            f"{self.where}, which does not end when cancelled. It stops when that "
            "ends; fix the handler so that CancelledError passes through it."
        )


@attrs.define(slots=False, eq=False, repr=False)
class OutOfRuntime(PodsError, RuntimeError):
    """``self.context`` of an agent object that no host runs, or runs no longer."""

    code: ClassVar[str] = "PV-E322"
    agent: str

    def text(self) -> str:
        return (
            f"This {self.agent} is not run by a host, so it has no context. Get one "
            "with manager.get(key, partition=...)."
        )


@attrs.define(slots=False, eq=False, repr=False)
class LineageRefused(PodsError, ValueError):
    """The instance cannot be the parent of that child."""

    code: ClassVar[str] = "PV-E323"
    parent: Address
    child: Address
    reason: str

    def text(self) -> str:
        return f"{self.parent} cannot be the parent of {self.child}: {self.reason}."


@attrs.define(slots=False, eq=False, repr=False)
class ShutdownIncomplete(PodsError, RuntimeError):
    """Shutdown reached its deadline before everything was saved and stopped.

    Attributes:
        unsaved: address and reason of each instance whose latest state is not stored.
        stuck: address and handler of each turn that did not end when cancelled.
    """

    code: ClassVar[str] = "PV-E340"
    unsaved: tuple[tuple[Address, str], ...]
    stuck: tuple[tuple[Address, str], ...]

    def text(self) -> str:
        lines = [f"  not saved: {a}: {why}" for a, why in self.unsaved]
        lines += [f"  still running: {a} in {where}" for a, where in self.stuck]
        return "Shutdown could not finish everything:\n" + "\n".join(lines)


@attrs.define(slots=False, eq=False, repr=False)
class OffloadFailed(PodsError, RuntimeError):
    """A call in a child process gave no reply; the turn was undone.

    Attributes:
        address: the instance.
        handler: its handler that was called.
        cause: what happened to the call.
    """

    code: ClassVar[str] = "PV-E352"
    address: Address
    handler: str
    cause: str

    def text(self) -> str:
        return (
            f"{self.handler} of {self.address} gave no reply from its process: "
            f"{self.cause}. Message and reply must pickle, and the function must leave "
            "its process alive."
        )


@attrs.define(slots=False, eq=False, repr=False)
class UnknownResource(PodsError, LookupError):
    """A handler needs a resource that its host does not have.

    Attributes:
        where: the handler.
        resource: what it needs.
        known: the resources of the host.
    """

    code: ClassVar[str] = "PV-E304"
    where: str
    resource: str
    known: tuple[str, ...]

    def text(self) -> str:
        known = ", ".join(sorted(self.known)) or "none"
        return (
            f"{self.where} has needs={self.resource!r}, which this host does not have "
            f"(it has: {known}). Declare how many there are: HostPolicy(dispatch="
            f"DispatchPolicy(resources={{{self.resource!r}: 1}}))."
        )
