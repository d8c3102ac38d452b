"""The limits of a tenant's policy, applied while its agents run."""

from __future__ import annotations

from .blocked_loop import BlockedLoopResponse
from .partition_shares import PartitionShares
from .policy_updates import PolicyUpdates

__all__ = ["BlockedLoopResponse", "PartitionShares", "PolicyUpdates"]
