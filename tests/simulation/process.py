"""A host that runs, and what its clients may be told when it does not."""

from __future__ import annotations

import attrs

from pods import (
    AgentCrashed,
    AgentNotFound,
    AskCycle,
    AskTimeout,
    Durability,
    Host,
    HostClosed,
    InstanceManager,
    MailboxFull,
    ManagerPolicy,
    MutationRefused,
    NodeMisplaced,
    Quarantined,
    RecordError,
    StaleOwner,
    StaleRevision,
    StartFailed,
    StopTimeout,
    StoreError,
    UnknownNode,
)

from .agents import Ledger, Refused, Squad, Team
from .plan import Plan

__all__ = ["LEFT_OPEN", "PATIENCE", "REFUSED", "Process"]

LEFT_OPEN = (
    AskTimeout,
    TimeoutError,
    HostClosed,
    StoreError,
    RecordError,
    Quarantined,
    StartFailed,
    StopTimeout,
    AgentNotFound,
    UnknownNode,
    NodeMisplaced,
)
"""Errors after which the caller does not know whether the operation was done."""
REFUSED = (
    AgentCrashed,
    Refused,
    MailboxFull,
    AskCycle,
    StaleRevision,
    StaleOwner,
    MutationRefused,
)
PATIENCE = 300.0
"""Virtual seconds in which everything answers when nothing fails."""


@attrs.frozen(eq=False)
class Process:
    """A host that runs, and the managers of it that clients use."""

    host: Host
    ledgers: InstanceManager[Ledger]
    drafts: InstanceManager[Ledger]
    squads: InstanceManager[Squad]
    teams: InstanceManager[Team]

    @classmethod
    def of(cls, host: Host, plan: Plan) -> Process:
        """Declare the managers on a host."""
        policy = ManagerPolicy(
            durability=Durability.TURN, idle_timeout=plan.idle, mailbox=plan.mailbox
        )
        return cls(
            host,
            host.manager("ledgers", Ledger, policy=policy),
            host.manager(
                "drafts", Ledger, policy=attrs.evolve(policy, durability=plan.late)
            ),
            host.manager("squads", Squad, policy=policy),
            host.manager("teams", Team, policy=policy),
        )
