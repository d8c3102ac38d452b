"""Enforces the policy of a tenant while its agents run."""

from __future__ import annotations

from .blocked_loop import Offences
from .policy_updates import Pinning

__all__ = ["Offences", "Pinning"]
