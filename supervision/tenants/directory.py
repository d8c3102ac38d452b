"""The policies of the tenants of a host, and the history of their changes."""

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
"""Partitions whose history is kept; of more, those that changed last."""

Watcher = Callable[["PolicyChange"], None]


class Unknown(enum.Enum):
    """What a host does with a partition that its directory does not know.

    ``ADMIT``: it runs under the default policy. ``REFUSE``: it gets ``UnknownTenant``.
    """

    ADMIT = "admit"
    REFUSE = "refuse"


@attrs.frozen(kw_only=True)
class PolicyChange:
    """One change of one partition's policy.

    Attributes:
        partition: its id.
        number: 1 for its first change, one more for each further one.
        at: seconds since the Unix epoch.
        actor: the person who made it.
        reason: why it was made.
        before: the policy before it; ``None``: the partition had none of its own.
        after: the policy after it; ``None``: it was removed.
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

    It owns the policies and their histories. A change is in force at once for what
    begins after it, and for what waits. A turn that runs goes on under the policy that
    it began with. Call it on the loop of the host.

    Args:
        policies: the policies at the start, by partition.
        default: the policy of a partition that is not known.
        unknown: whether such a partition is admitted.
        history: changes of one partition that are kept; from 1.
        clock: gives the times of changes.

    Raises:
        InvalidPartition: a partition id is not valid.
        InvalidArgument: ``history`` is below 1.
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
            UnknownTenant: it is not known, and unknown partitions are refused.
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
            partition: its id.
            policy: the policy from now on.
            actor: the person who decides; kept and logged.
            reason: why; kept and logged.

        Raises:
            InvalidPartition: not a valid partition id.
            InvalidArgument: actor or reason is empty, or no policy was given.
        """
        check_partition(partition)
        _check_policy(policy)
        return self._change(partition, _named(policy, partition), actor, reason)

    def remove(self, partition: str, *, actor: str, reason: str) -> PolicyChange:
        """Remove the policy of a partition; from now on the partition is unknown.

        Its rows stay. Its live instances go on until they stop.

        Raises:
            UnknownTenant: it has no policy of its own.
            InvalidArgument: actor or reason is empty.
        """
        if check_partition(partition) not in self._policies:
            raise UnknownTenant(partition)
        return self._change(partition, None, actor, reason)

    def history(self, partition: str) -> tuple[PolicyChange, ...]:
        """Return the latest changes of a partition's policy, the oldest first.

        Raises:
            InvalidPartition: not a valid partition id.
        """
        return tuple(self._histories.get(check_partition(partition), ()))

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Call a function after every change; the result ends that."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def _change(
        self, partition: str, policy: TenantPolicy | None, actor: str, reason: str
    ) -> PolicyChange:
        for name, text in (("actor", actor), ("reason", reason)):
            if not text or not text.strip():
                wanted = "a text: the person who changes the policy, and why"
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
        self._histories[partition] = past  # in order of the last change
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
    """Return a policy whose tenant is filled in."""
    if policy.tenant_id:
        return policy
    return attrs.evolve(policy, tenant_id=partition)


def _check_policy(policy: object) -> None:
    # Typed as object, for callers without a type checker.
    if not isinstance(policy, TenantPolicy):
        raise InvalidArgument("policy", policy, "a TenantPolicy")
