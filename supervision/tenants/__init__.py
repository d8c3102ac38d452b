"""The tenants of a host, what each may use, and the request that a call is part of."""

from __future__ import annotations

from .directory import PolicyChange, TenantDirectory, Unknown
from .policy import Setting, TenantPolicy
from .request import RequestContext

__all__ = [
    "PolicyChange",
    "RequestContext",
    "Setting",
    "TenantDirectory",
    "TenantPolicy",
    "Unknown",
]
