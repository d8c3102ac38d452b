"""Errors of durable messages, timers and idempotent requests.

```
PodsError
├── UnstorableMessage    PV-E370  TypeError    a message or reply with no stored form
├── MailroomFull         PV-E371  RuntimeError the partition has too many letters
├── InvalidSchedule      PV-E372  ValueError   a timer that says no time
├── IdempotencyMismatch  PV-E373  ValueError   another request under the same key
├── LetterNotFound       PV-E374  LookupError  absent, or not in this partition: same
└── NotServed            PV-E375  RuntimeError a partition that another host serves
```
"""

from __future__ import annotations

import attrs

from persistence import Address, PodsError, shorten

__all__ = [
    "IdempotencyMismatch",
    "InvalidSchedule",
    "LetterNotFound",
    "MailroomFull",
    "NotServed",
    "UnstorableMessage",
]


@attrs.define(slots=False, eq=False, repr=False)
class UnstorableMessage(PodsError, TypeError):
    """A message or a reply that cannot be stored was to be durable."""

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
    """A partition has as many letters as it may have."""

    code = "PV-E371"
    address: Address
    limit: int

    def text(self) -> str:
        return (
            f"{self.address} cannot be sent another letter: its partition has "
            f"{self.limit} that wait. Nothing was sent; let them be handled first, or "
            "raise MailPolicy(max_letters=...)."
        )


@attrs.define(slots=False, eq=False, repr=False)
class InvalidSchedule(PodsError, ValueError):
    """A timer whose time cannot be told."""

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
    """An idempotency key was used for another request before."""

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
    """The host was told to leave this partition to others."""

    code = "PV-E375"
    partition: str

    def text(self) -> str:
        return (
            f"This host does not serve partition {self.partition!r}. Nothing was done; "
            "send its traffic to the host that does, or change HostPolicy(serves=...)."
        )
