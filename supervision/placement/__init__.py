"""The ownership of partitions by hosts."""

from __future__ import annotations

from .ownership import Ownership

__all__ = ["Ownership"]
