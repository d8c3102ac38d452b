"""The tenants of a host, what each may use, and the context of a request."""

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
