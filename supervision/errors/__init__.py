"""Every error of the runtime in one tree, and the checks that raise them.

```
PodsError
├── HostClosed          PV-E301 RuntimeError the host is not running
├── UnknownManager      PV-E302 LookupError  no manager of that name on this host
├── DuplicateManager    PV-E303 ValueError   the name is taken
├── UnknownResource     PV-E304 LookupError  a resource that the host does not have
├── AgentNotFound       PV-E310 LookupError  absent, or not in this partition: same
├── Quarantined         PV-E311 RuntimeError may not start until it is released
├── MailboxFull         PV-E312 RuntimeError nothing was accepted
├── AskTimeout          PV-E313 TimeoutError no reply in time; the outcome is unknown
├── AskCycle            PV-E314 RuntimeError the target waits for the asking agent
├── NotHandled          PV-E315 TypeError    no handler for that message type
├── AgentCrashed        PV-E316 RuntimeError a handler raised what is no Exception
├── StartFailed         PV-E317 RuntimeError the instance could not be started
├── StopTimeout         PV-E318 TimeoutError a stop that did not end in time
├── Overloaded          PV-E319 RuntimeError too much waits already; try again later
├── PartitionMismatch   PV-E320 ValueError   a bound handle, another partition
├── NotPicklable        PV-E321 TypeError    handles stay in their process
├── OutOfRuntime        PV-E322 RuntimeError an agent object that no host runs
├── LineageRefused      PV-E323 ValueError   an agent that cannot be the parent
├── InvalidArgument     PV-E324 TypeError    an argument of the wrong kind
├── Unaccounted         PV-E325 ValueError   an action without actor or reason
├── HandlerError        PV-E330 TypeError    an agent class that cannot work
├── ShutdownIncomplete  PV-E340 RuntimeError what could not be saved, by address
├── MissingExtra        PV-E341 ImportError  an extra that is not installed
├── InvalidPolicy       PV-E350 ValueError   a field of a policy, out of its range
├── UnknownTenant       PV-E351 LookupError  a partition that is not admitted
├── OffloadFailed       PV-E352 RuntimeError a child process gave no reply
├── UnstorableMessage   PV-E370 TypeError    a message or reply with no stored form
├── MailroomFull        PV-E371 RuntimeError the partition has too many letters
├── InvalidSchedule     PV-E372 ValueError   a timer without a valid time
├── IdempotencyMismatch PV-E373 ValueError   another message under the same key
├── LetterNotFound      PV-E374 LookupError  absent, or not in this partition: same
└── NotServed           PV-E375 RuntimeError a partition of another host
```

The classes stand by subject: ``agents`` (an instance or its host), ``messaging`` (a
message, a letter or a timer), ``tenants`` (a partition and its policy) and ``usage`` (a
call that is wrong in itself). ``arguments`` holds the checks of arguments. ``describe``
makes the text that is kept of an error that user code has raised.
"""

from __future__ import annotations

from .agents import (
    AgentCrashed,
    AgentNotFound,
    DuplicateManager,
    HostClosed,
    LineageRefused,
    OffloadFailed,
    OutOfRuntime,
    Quarantined,
    ShutdownIncomplete,
    StartFailed,
    StopTimeout,
    UnknownManager,
    UnknownResource,
)
from .arguments import check_account, check_limit, check_seconds, check_stamp
from .describe import as_told, describe_error
from .messaging import (
    AskCycle,
    AskTimeout,
    IdempotencyMismatch,
    InvalidSchedule,
    LetterNotFound,
    MailboxFull,
    MailroomFull,
    NotHandled,
    NotServed,
    Overloaded,
    UnstorableMessage,
)
from .tenants import InvalidPolicy, Unaccounted, UnknownTenant
from .usage import (
    HandlerError,
    InvalidArgument,
    MissingExtra,
    NotPicklable,
    PartitionMismatch,
)

__all__ = [
    "AgentCrashed",
    "AgentNotFound",
    "AskCycle",
    "AskTimeout",
    "DuplicateManager",
    "HandlerError",
    "HostClosed",
    "IdempotencyMismatch",
    "InvalidArgument",
    "InvalidPolicy",
    "InvalidSchedule",
    "LetterNotFound",
    "LineageRefused",
    "MailboxFull",
    "MailroomFull",
    "MissingExtra",
    "NotHandled",
    "NotPicklable",
    "NotServed",
    "OffloadFailed",
    "OutOfRuntime",
    "Overloaded",
    "PartitionMismatch",
    "Quarantined",
    "ShutdownIncomplete",
    "StartFailed",
    "StopTimeout",
    "Unaccounted",
    "UnknownManager",
    "UnknownResource",
    "UnknownTenant",
    "UnstorableMessage",
    "as_told",
    "check_account",
    "check_limit",
    "check_seconds",
    "check_stamp",
    "describe_error",
]
