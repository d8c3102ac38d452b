"""Errors of the runtime.

```
PodsError
├── HostClosed          PV-E301  RuntimeError  the host is not running
├── UnknownManager      PV-E302  LookupError   no manager of that name on this host
├── DuplicateManager    PV-E303  ValueError    the name is taken
├── UnknownResource     PV-E304  LookupError   a handler needs what the host has not
├── AgentNotFound       PV-E310  LookupError   absent, or not in this partition: same
├── Quarantined         PV-E311  RuntimeError  may not start until someone looks
├── MailboxFull         PV-E312  RuntimeError  nothing was accepted
├── AskTimeout          PV-E313  TimeoutError  no reply in time; the outcome is unknown
├── AskCycle            PV-E314  RuntimeError  the asked one waits for the asker
├── NotHandled          PV-E315  TypeError     no handler for that message type
├── AgentCrashed        PV-E316  RuntimeError  something that is no Exception came out
├── StartFailed         PV-E317  RuntimeError  the instance could not be started
├── StopTimeout         PV-E318  TimeoutError  a stop that did not end in time
├── Overloaded          PV-E319  RuntimeError  too much waits already; try again later
├── PartitionMismatch   PV-E320  ValueError    a bound handle was given another one
├── NotPicklable        PV-E321  TypeError     handles stay in their process
├── OutOfRuntime        PV-E322  RuntimeError  an agent object that no host runs
├── LineageRefused      PV-E323  ValueError    a parent that cannot be
├── InvalidArgument     PV-E324  TypeError     an argument of the wrong kind
├── Unaccounted         PV-E325  ValueError    nobody has decided, or for no reason
├── HandlerError        PV-E330  TypeError     an agent class that cannot work
├── ShutdownIncomplete  PV-E340  RuntimeError  what could not be saved, by address
├── MissingExtra        PV-E341  ImportError   something that an extra brings
├── InvalidPolicy       PV-E350  ValueError    a tenant's policy that cannot be
├── UnknownTenant       PV-E351  LookupError   a partition that is not admitted
└── OffloadFailed       PV-E352  RuntimeError  a child process gave no reply
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import attrs

from persistence import Address, Key, PodsError, key_to_text, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AgentCrashed",
    "AgentNotFound",
    "AskCycle",
    "AskTimeout",
    "DuplicateManager",
    "HandlerError",
    "HostClosed",
    "InvalidArgument",
    "LineageRefused",
    "MailboxFull",
    "MissingExtra",
    "NotHandled",
    "NotPicklable",
    "OutOfRuntime",
    "Overloaded",
    "PartitionMismatch",
    "Quarantined",
    "ShutdownIncomplete",
    "StartFailed",
    "StopTimeout",
    "UnknownManager",
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
    """The instance may not start until someone has looked; its bytes are kept."""

    code: ClassVar[str] = "PV-E311"
    address: Address
    reason: str

    def text(self) -> str:
        return (
            f"{self.address} is in quarantine: {self.reason.rstrip('.')}. Nothing was "
            "lost. When the cause is mended, release it: host.manager_named("
            f"{self.address.manager!r}).release(key, partition=..., actor=..., "
            "reason=...)."
        )


@attrs.define(slots=False, eq=False, repr=False)
class MailboxFull(PodsError, RuntimeError):
    """The mailbox of one instance has no room; the message was not accepted."""

    code: ClassVar[str] = "PV-E312"
    address: Address
    capacity: int

    def text(self) -> str:
        return (
            f"The mailbox of {self.address} is full ({self.capacity} messages). "
            "Nothing was accepted; try again later, or give its manager a larger "
            "mailbox."
        )


@attrs.define(slots=False, eq=False, repr=False)
class AskTimeout(PodsError, TimeoutError):
    """No reply came in time; whether the message was handled is unknown."""

    code: ClassVar[str] = "PV-E313"
    address: Address
    message: str
    seconds: float

    def text(self) -> str:
        return (
            f"{self.address} did not answer {self.message} within {self.seconds:g} s. "
            "The message may still be handled; ask for the state before sending it "
            "again, or pass a longer timeout=."
        )


@attrs.define(slots=False, eq=False, repr=False)
class AskCycle(PodsError, RuntimeError):
    """The asked instance is itself waiting, directly or not, for the asker."""

    code: ClassVar[str] = "PV-E314"
    address: Address
    chain: tuple[Address, ...]

    def text(self) -> str:
        path = " → ".join(str(a) for a in (*self.chain, self.address))
        return f"This ask would wait for itself: {path}. Use tell() on one of the legs."


@attrs.define(slots=False, eq=False, repr=False)
class NotHandled(PodsError, TypeError):
    """The agent has no handler for that type of message."""

    code: ClassVar[str] = "PV-E315"
    address: Address
    agent: str
    message: str
    handled: tuple[str, ...]

    def text(self) -> str:
        handled = ", ".join(self.handled) or "nothing"
        return (
            f"{self.agent} at {self.address} handles {handled}, not {self.message}. "
            "Send a Message instance, and give the agent a @handler for its type."
        )


@attrs.define(slots=False, eq=False, repr=False)
class AgentCrashed(PodsError, RuntimeError):
    """A handler ended with something that is no ``Exception``; the turn was undone.

    It is also the answer to what was not handled, as its instance went down before.
    """

    code: ClassVar[str] = "PV-E316"
    address: Address
    where: str
    cause: str

    def text(self) -> str:
        return (
            f"{self.address} crashed in {self.where}: {self.cause}. The turn was "
            "undone, and the instance comes back under its restart policy."
        )


@attrs.define(slots=False, eq=False, repr=False)
class StartFailed(PodsError, RuntimeError):
    """The instance could not be started; its stored state is as it was."""

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
            "ends; mend the handler so that it lets CancelledError through."
        )


@attrs.define(slots=False, eq=False, repr=False)
class Overloaded(PodsError, RuntimeError):
    """Too many messages wait already; this one was not accepted.

    Attributes:
        scope: ``"partition"``: it has more waiting than its part of the room that is
            left; ``"host"``: nobody finds room.
        retry_after: seconds after which it is worth another try.
    """

    code: ClassVar[str] = "PV-E319"
    address: Address
    scope: Literal["partition", "host"]
    retry_after: float

    def text(self) -> str:
        whose = "its partition has" if self.scope == "partition" else "this host has"
        return (
            f"{self.address} was sent more than can wait: {whose} too many messages "
            f"in mailboxes. Nothing was accepted; try again in {self.retry_after:.2g} "
            "s, or raise DispatchPolicy(backlog=...) or the partition's weight."
        )


@attrs.define(slots=False, eq=False, repr=False)
class PartitionMismatch(PodsError, ValueError):
    """A handle bound to one partition was used for another."""

    code: ClassVar[str] = "PV-E320"
    bound: str
    given: str

    def text(self) -> str:
        return (
            f"This handle is bound to partition {self.bound!r}; partition="
            f"{shorten(self.given)} is refused. Take a handle for that partition from "
            "trusted code: host.partition(...)."
        )


@attrs.define(slots=False, eq=False, repr=False)
class NotPicklable(PodsError, TypeError):
    """Handles, refs and hosts belong to their process and are never serialized."""

    code: ClassVar[str] = "PV-E321"
    what: str

    def text(self) -> str:
        return (
            f"{self.what} does not pickle. Pass manager name and key, and let the "
            "receiver resolve them in its own partition."
        )


@attrs.define(slots=False, eq=False, repr=False)
class OutOfRuntime(PodsError, RuntimeError):
    """``self.context`` of an agent object that no host runs (any more)."""

    code: ClassVar[str] = "PV-E322"
    agent: str

    def text(self) -> str:
        return (
            f"This {self.agent} is not run by a host, so it has no context. Get one "
            "with manager.get(key, partition=...)."
        )


@attrs.define(slots=False, eq=False, repr=False)
class LineageRefused(PodsError, ValueError):
    """The parent or child is not possible."""

    code: ClassVar[str] = "PV-E323"
    parent: Address
    child: Address
    reason: str

    def text(self) -> str:
        return f"{self.parent} cannot be the parent of {self.child}: {self.reason}."


@attrs.define(slots=False, eq=False, repr=False)
class InvalidArgument(PodsError, TypeError):
    """An argument that a type checker would have refused, or out of its range."""

    code: ClassVar[str] = "PV-E324"
    argument: str
    value: object
    wanted: str

    def text(self) -> str:
        return f"{self.argument}={shorten(self.value)} is refused. Give {self.wanted}."


@attrs.define(slots=False, eq=False, repr=False)
class HandlerError(PodsError, TypeError):
    """An agent or message class that cannot work, found when it is declared."""

    code: ClassVar[str] = "PV-E330"
    where: str
    reason: str

    def text(self) -> str:
        return f"{self.where}: {self.reason}."


@attrs.define(slots=False, eq=False, repr=False)
class ShutdownIncomplete(PodsError, RuntimeError):
    """Shutdown ended at its deadline with something left undone.

    Attributes:
        unsaved: address and reason of every instance whose latest state is not stored.
        stuck: address and handler of every turn that did not end when cancelled.
    """

    code: ClassVar[str] = "PV-E340"
    unsaved: tuple[tuple[Address, str], ...]
    stuck: tuple[tuple[Address, str], ...]

    def text(self) -> str:
        lines = [f"  not saved: {a}: {why}" for a, why in self.unsaved]
        lines += [f"  still running: {a} in {where}" for a, where in self.stuck]
        return "Shutdown could not finish everything:\n" + "\n".join(lines)


@attrs.define(slots=False, eq=False, repr=False)
class MissingExtra(PodsError, ImportError):
    """Something was asked for that comes with an extra of the distribution.

    Attributes:
        extra: its name.
        purpose: what it is needed for.
    """

    code: ClassVar[str] = "PV-E341"
    extra: str
    purpose: str

    def text(self) -> str:
        install = f"pip install 'podvisor[{self.extra}]'"
        return f"{self.purpose} is not installed. Run {install}."
