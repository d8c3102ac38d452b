"""Which host owns a partition."""

from __future__ import annotations

from .ownership import Ownership

__all__ = ["Ownership"]
