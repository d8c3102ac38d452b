"""One running object of an agent class, and what the runtime knows of it.

An idle instance is this object, the agent and nothing else: no task, no queue. It has
no behaviour of its own: ``execution`` runs its turns, ``lifecycle`` starts, stops and
restarts it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

from persistence import Address, Handle

from ..errors import OutOfRuntime
from .mailbox import Envelope, Mailbox
from .phases import STOPPED, OnParentStop, Phase

if TYPE_CHECKING:
    import asyncio

    from ..fairness import Priority, Ticket
    from ..tenants import RequestContext, TenantPolicy
    from .agent import Agent
    from .context import AgentContext
    from .manager_info import ManagerInfo
    from .partition import Partition
    from .ref import AgentRef
    from .staging import Staged

__all__ = ["Family", "Instance", "Seeker"]

Seeker: TypeAlias = "Instance | asyncio.Future[None]"
"""What waits for a seat: an instance with mail, or a parked turn that comes back."""


@attrs.define(eq=False)
class Family:
    """The parent and the children of an instance.

    Attributes:
        parent: the live parent.
        lost_parent: identity of a parent that is not live (any more).
        above: that parent, its parent and so on: as they stood when the parent was
            lost, or as the store has them if the instance started without it.
        on_parent_stop: what becomes of this instance when the parent stops.
        children: live children by address.
    """

    parent: Instance | None = None
    lost_parent: Address | None = None
    above: tuple[Address, ...] = ()
    on_parent_stop: OnParentStop = OnParentStop.STOP
    children: dict[Address, Instance] = attrs.field(factory=dict[Address, "Instance"])


@attrs.define(eq=False)
class Instance:
    """An instance and where it stands.

    Attributes:
        address: its identity.
        manager: what it shares with the others of its manager.
        partition: what it shares with the others of its partition.
        phase: where it stands; ``phases.NEXT_PHASES`` has the changes that may be.
        agent: the user's object; ``None`` while there is none.
        rev: revision of the stored state; 0: nothing is stored.
        body: the encoded state after the last turn, kept only for agents whose fields
            can be changed in place.
        dirty: the state after the last turn is not stored yet.
        mail: messages that wait.
        current: the message that is being handled.
        outbox: what the current turn wants sent.
        staged: what the current turn wants committed beside the state.
        used: monotonic seconds of the last traffic.
        watched: it has an idle timer.
        stays_until: monotonic seconds before which it is not idle, as it could not be
            saved.
        incarnation: number of its agent object, unique in its partition on this host.
        waiters: futures of callers that wait until it is live (``get``).
        stoppers: futures of callers that wait until it has stopped.
        draining: messages that a requested stop still lets it handle; ``None``: none
            was requested.
        discard: stop without saving.
        crashes: monotonic times of its crashes.
        timer: the pending restart or interval save.
        stop_timer: the deadline of a requested stop.
        family: parent and children; ``None`` for most.
        running: the handler that holds it now, for reports.
        ticket: its place in the dispatcher's queue.
        policy: the policy that its turn began under.
        condemned: why it goes into quarantine when its turn is over.
    """

    address: Address
    manager: ManagerInfo
    partition: Partition
    phase: Phase = Phase.STARTING
    agent: Agent | None = None
    rev: int = 0
    body: bytes | None = None
    dirty: bool = False
    mail: Mailbox | None = None
    current: Envelope | None = None
    outbox: list[tuple[Address, Envelope]] | None = None
    staged: list[Staged] | None = None
    used: float = 0.0
    watched: bool = False
    stays_until: float = 0.0
    incarnation: int = 0
    waiters: list[asyncio.Future[None]] | None = None
    stoppers: list[asyncio.Future[None]] | None = None
    draining: int | None = None
    discard: bool = False
    crashes: list[float] | None = None
    timer: Handle | None = None
    stop_timer: Handle | None = None
    family: Family | None = None
    running: str | None = None
    ticket: Ticket[Seeker] | None = None
    policy: TenantPolicy | None = None
    condemned: str | None = None

    def __repr__(self) -> str:
        return f"<Instance {self.address} {self.phase.value} mail={self.queued}>"

    @property
    def queued(self) -> int:
        """How many messages wait."""
        return 0 if self.mail is None else len(self.mail)

    @property
    def agent_name(self) -> str:
        """Qualified name of its agent class, for logs and errors."""
        return self.manager.spec.agent.__qualname__

    @property
    def live(self) -> bool:
        """Whether it is in memory, and answers without being thawed again."""
        return self.phase is not STOPPED

    @property
    def children(self) -> tuple[Instance, ...]:
        """Its live children."""
        return () if self.family is None else tuple(self.family.children.values())

    @property
    def parent(self) -> Instance | None:
        """Its live parent."""
        return None if self.family is None else self.family.parent

    @property
    def parent_address(self) -> Address | None:
        """Its parent's identity, live or not."""
        if self.family is None:
            return None
        if self.family.parent is not None:
            return self.family.parent.address
        return self.family.lost_parent

    def policy_in_force(self) -> TenantPolicy:
        """Return the policy of the turn that runs, or the present one between turns."""
        if self.running is not None and self.policy is not None:
            return self.policy
        return self.partition.policy

    def ensure_family(self) -> Family:
        """Return the family, made on first use."""
        if self.family is None:
            self.family = Family()
        return self.family

    def enqueue(self, envelope: Envelope) -> Priority:
        """Put a message behind the others of its priority, and return the priority.

        The sender has checked the bound.
        """
        if self.mail is None:
            self.mail = Mailbox(self.partition.backlog)
        return self.mail.put(envelope)

    def the_agent(self) -> Agent:
        """Return the agent of an instance that has one.

        Raises:
            OutOfRuntime: it has none; a bug in the runtime.
        """
        if self.agent is None:
            raise OutOfRuntime(self.manager.spec.agent.__qualname__)
        return self.agent

    def bind_agent(self, agent: Agent) -> None:
        """Take an agent object as this instance's own."""
        object.__setattr__(agent, "_podvisor_instance", self)
        self.agent = agent
        self.partition.births += 1
        self.incarnation = self.partition.births

    def unbind_agent(self) -> None:
        """Part from the agent object; its context ends."""
        if self.agent is not None:
            object.__setattr__(self.agent, "_podvisor_instance", None)
            self.agent = None

    def replace_agent(self) -> None:
        """Continue with a copy of the agent object that no thread holds.

        The fields are still the same objects; the turn that is undone replaces them.
        """
        old = self.the_agent()
        fresh = object.__new__(type(old))
        vars(fresh).update(vars(old))
        self.unbind_agent()
        self.bind_agent(fresh)

    def ref(
        self,
        *,
        caller: Instance | None = None,
        request: RequestContext | None = None,
    ) -> AgentRef[Agent]:
        """Make a ref to this instance, for the handlers of ``caller`` if given."""
        if request is None and caller is not None and caller.current is not None:
            request = caller.current.request
        return self.manager.ref(
            self.manager.port, self.address, self, caller=caller, request=request
        )

    def context(self) -> AgentContext:
        """Make the view that the agent has of itself."""
        return self.manager.view(self)
