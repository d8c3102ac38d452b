"""Which host owns a partition."""

from __future__ import annotations

from .ownership import Claims

__all__ = ["Claims"]
