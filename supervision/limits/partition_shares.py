"""The share of a host that each partition gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from ..fairness import Share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..agents import Partition
    from ..tenants import TenantDirectory, TenantPolicy

__all__ = ["PartitionShares"]


@attrs.frozen(eq=False)
class PartitionShares:
    """Reads the share of each partition of one host from its tenant's policy.

    It keeps no shares. The dispatcher and ``PolicyUpdates`` ask it.

    Attributes:
        directory: the policies of the tenants.
        partitions: each partition from its first use on the host, by id.
        default: used for each setting that a policy leaves at ``None``.
    """

    directory: TenantDirectory
    partitions: Mapping[str, Partition]
    default: Share

    def share_of(self, name: str) -> Share:
        """Return the share of a partition, with its weight as lowered now.

        Raises:
            UnknownTenant: the directory does not admit the partition.
        """
        partition = self.partitions.get(name)
        if partition is None:
            return self._share(self.directory.policy(name), 0)
        return self._share(partition.policy, partition.halvings)

    def _share(self, policy: TenantPolicy, halvings: int) -> Share:
        default = self.default
        weight = default.weight if policy.weight is None else policy.weight
        cap, hard_cap = policy.concurrency_cap, policy.hard_cap
        if cap is None:
            cap, hard_cap = default.cap, default.hard_cap
        return Share(
            weight=weight / 2**halvings,
            cap=cap,
            hard_cap=cap if hard_cap is None else hard_cap,
            burst=default.burst if policy.burst is None else policy.burst,
            backlog=default.backlog if policy.backlog is None else policy.backlog,
        )
