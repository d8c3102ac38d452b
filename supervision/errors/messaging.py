"""Errors about one message, letter or timer."""

from __future__ import annotations

from typing import ClassVar, Literal

import attrs

from persistence import Address, PodsError, shorten

__all__ = [
    "AskCycle",
    "AskTimeout",
    "IdempotencyMismatch",
    "InvalidSchedule",
    "LetterNotFound",
    "MailboxFull",
    "MailroomFull",
    "NotHandled",
    "NotServed",
    "Overloaded",
    "UnstorableMessage",
]


@attrs.define(slots=False, eq=False, repr=False)
class UnstorableMessage(PodsError, TypeError):
    """A message or a reply that should be durable has no stored form."""

    code = "PV-E370"
    address: Address
    message: str
    reason: str

    def text(self) -> str:
        return (
            f"{self.message} cannot be durable at {self.address}: {self.reason}. "
            "Nothing was sent; change the class, or send it without durability."
        )


@attrs.define(slots=False, eq=False, repr=False)
class MailroomFull(PodsError, RuntimeError):
    """The partition has as many letters as it may have; nothing was sent."""

    code = "PV-E371"
    address: Address
    limit: int

    def text(self) -> str:
        return (
            f"{self.address} cannot be sent another letter: its partition has "
            f"{self.limit} that wait. Nothing was sent; wait until some are gone, or "
            "raise MailPolicy(max_letters=...)."
        )


@attrs.define(slots=False, eq=False, repr=False)
class InvalidSchedule(PodsError, ValueError):
    """A timer without a valid time, or a rule without a name."""

    code = "PV-E372"
    argument: str
    value: object
    reason: str

    def text(self) -> str:
        return (
            f"schedule({self.argument}={shorten(repr(self.value))}) is refused: "
            f"{self.reason}. Nothing was scheduled."
        )


@attrs.define(slots=False, eq=False, repr=False)
class IdempotencyMismatch(PodsError, ValueError):
    """The idempotency key was used for another message before."""

    code = "PV-E373"
    address: Address
    request: str

    def text(self) -> str:
        return (
            f"The idempotency key {shorten(repr(self.request))} was used at "
            f"{self.address} for another message. Nothing was done; use a new key for "
            "a new request."
        )


@attrs.define(slots=False, eq=False, repr=False)
class LetterNotFound(PodsError, LookupError):
    """No such dead letter in this partition."""

    code = "PV-E374"
    stamp: str

    def text(self) -> str:
        return (
            f"There is no dead letter {shorten(repr(self.stamp))} in this partition. "
            "List what there is with dead_letters()."
        )


@attrs.define(slots=False, eq=False, repr=False)
class NotServed(PodsError, RuntimeError):
    """``HostPolicy(serves=...)`` leaves this partition to another host."""

    code = "PV-E375"
    partition: str

    def text(self) -> str:
        return (
            f"This host does not serve partition {self.partition!r}. Nothing was done; "
            "send its traffic to the host that does, or change HostPolicy(serves=...)."
        )


@attrs.define(slots=False, eq=False, repr=False)
class MailboxFull(PodsError, RuntimeError):
    """The mailbox of the instance is full; the message was not accepted."""

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
    """The target of the ask waits, through asks of its own, for the asking agent."""

    code: ClassVar[str] = "PV-E314"
    address: Address
    chain: tuple[Address, ...]

    def text(self) -> str:
        path = " → ".join(str(a) for a in (*self.chain, self.address))
        return f"This ask would wait for itself: {path}. Use tell() for one of these."


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
class Overloaded(PodsError, RuntimeError):
    """Too many messages wait already; this one was not accepted.

    Attributes:
        scope: ``"partition"``: it has more waiting than its part of the free places;
            ``"host"``: no place is free.
        retry_after: seconds after which a new attempt makes sense.
    """

    code: ClassVar[str] = "PV-E319"
    address: Address
    scope: Literal["partition", "host"]
    retry_after: float

    def text(self) -> str:
        full = "its partition has" if self.scope == "partition" else "this host has"
        return (
            f"{self.address} was sent more than can wait: {full} too many messages "
            f"in mailboxes. Nothing was accepted; try again in {self.retry_after:.2g} "
            "s, or raise DispatchPolicy(backlog=...) or the partition's weight."
        )
