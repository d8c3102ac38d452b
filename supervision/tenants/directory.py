"""Who the tenants of a host are, and what changed about them, when, by whom and why."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Mapping

import attrs

from persistence import Clock, SystemClock, check_partition

from ..errors import InvalidArgument, UnknownTenant
from .policy import TenantPolicy

__all__ = ["PolicyChange", "TenantDirectory", "Unknown"]

_MAX_HISTORIES = 10_000
"""Partitions whose past is remembered; of more, those that changed last."""

Watcher = Callable[["PolicyChange"], None]


class Unknown(enum.Enum):
    """What a host does with a partition that its directory does not know.

    ``ADMIT``: it runs under the default policy. ``REFUSE``: it is an ``UnknownTenant``.
    """

    ADMIT = "admit"
    REFUSE = "refuse"


@attrs.frozen(kw_only=True)
class PolicyChange:
    """One change of one partition's policy.

    Attributes:
        partition: whose.
        number: 1 for its first change, and so on.
        at: seconds since the Unix epoch.
        actor: who made it.
        reason: why.
        before: the policy until then; ``None``: it had none of its own.
        after: the policy since; ``None``: it was removed.
    """

    partition: str
    number: int
    at: float
    actor: str
    reason: str
    before: TenantPolicy | None
    after: TenantPolicy | None


class TenantDirectory:
    """The policies of a host's partitions, each found in one look-up.

    ::

        tenants = TenantDirectory(
            {"acme": TenantPolicy(tier="bank", weight=8, concurrency_cap=50)},
            unknown=Unknown.REFUSE,
        )
        async with Host(url, tenants=tenants) as host:
            host.tenants.put("beta", policy, actor="ops@example", reason="signed up")

    A change is in force at once for what begins after it, and for what waits; what runs
    goes on under the policy that it began with. Call it on the loop of the host.

    Args:
        policies: what is known at the start, by partition.
        default: the policy of a partition that is not known.
        unknown: whether such a partition is admitted.
        history: changes of one partition that are remembered.
        clock: where the times of changes come from.

    Raises:
        InvalidPartition: a partition id that cannot be.
    """

    def __init__(
        self,
        policies: Mapping[str, TenantPolicy] | None = None,
        *,
        default: TenantPolicy | None = None,
        unknown: Unknown = Unknown.ADMIT,
        history: int = 32,
        clock: Clock | None = None,
    ) -> None:
        if history < 1:
            raise InvalidArgument("history", history, "an int above 0")
        self._policies = {
            check_partition(partition): _named(policy, partition)
            for partition, policy in (policies or {}).items()
        }
        self._default = default or TenantPolicy()
        self._unknown = unknown
        self._length = history
        self._clock = clock or SystemClock()
        self._histories: dict[str, deque[PolicyChange]] = {}
        self._watchers: list[Watcher] = []

    def __len__(self) -> int:
        return len(self._policies)

    def __contains__(self, partition: object) -> bool:
        return partition in self._policies

    def __repr__(self) -> str:
        return f"<TenantDirectory tenants={len(self)} unknown={self._unknown.value}>"

    def policy(self, partition: str) -> TenantPolicy:
        """Return the policy that a partition is admitted with now.

        Raises:
            InvalidPartition: not a valid partition id.
            UnknownTenant: it is not known, and unknown ones are refused.
        """
        found = self._policies.get(check_partition(partition))
        if found is not None:
            return found
        if self._unknown is Unknown.REFUSE:
            raise UnknownTenant(partition)
        return _named(self._default, partition)

    def put(
        self, partition: str, policy: TenantPolicy, *, actor: str, reason: str
    ) -> PolicyChange:
        """Give a partition a policy, its first or another one.

        Args:
            partition: whose.
            policy: what holds from now on.
            actor: who decides; kept and logged.
            reason: why; kept and logged.

        Raises:
            InvalidPartition: not a valid partition id.
            InvalidArgument: actor or reason is empty, or no policy was given.
        """
        check_partition(partition)
        _check_policy(policy)
        return self._change(partition, _named(policy, partition), actor, reason)

    def remove(self, partition: str, *, actor: str, reason: str) -> PolicyChange:
        """Take a partition's policy away; from now on it is an unknown one.

        Its rows stay, and what is live goes on until it stops.

        Raises:
            UnknownTenant: it has no policy of its own.
            InvalidArgument: actor or reason is empty.
        """
        if check_partition(partition) not in self._policies:
            raise UnknownTenant(partition)
        return self._change(partition, None, actor, reason)

    def history(self, partition: str) -> tuple[PolicyChange, ...]:
        """Return the latest changes of a partition's policy, the oldest of them first.

        Raises:
            InvalidPartition: not a valid partition id.
        """
        return tuple(self._histories.get(check_partition(partition), ()))

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Be told of every change once it is made; call the result to hear no more."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def _change(
        self, partition: str, policy: TenantPolicy | None, actor: str, reason: str
    ) -> PolicyChange:
        for name, text in (("actor", actor), ("reason", reason)):
            if not text or not text.strip():
                wanted = "a text: who changes the policy, and why"
                raise InvalidArgument(name, text, wanted)
        past = self._histories.pop(partition, None) or deque(maxlen=self._length)
        change = PolicyChange(
            partition=partition,
            number=past[-1].number + 1 if past else 1,
            at=self._clock.wall(),
            actor=actor,
            reason=reason,
            before=self._policies.get(partition),
            after=policy,
        )
        past.append(change)
        self._histories[partition] = past  # the last changed stands last
        if len(self._histories) > _MAX_HISTORIES:
            del self._histories[next(iter(self._histories))]
        if policy is None:
            del self._policies[partition]
        else:
            self._policies[partition] = policy
        for watcher in tuple(self._watchers):
            watcher(change)
        return change


def _named(policy: TenantPolicy, partition: str) -> TenantPolicy:
    """Return a policy that knows its tenant."""
    if policy.tenant_id:
        return policy
    return attrs.evolve(policy, tenant_id=partition)


def _check_policy(policy: object) -> None:
    # Takes an object: it is for callers without a type checker.
    if not isinstance(policy, TenantPolicy):
        raise InvalidArgument("policy", policy, "a TenantPolicy")
