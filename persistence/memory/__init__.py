"""The store that keeps rows in memory, for tests and short-lived hosts."""

from __future__ import annotations

from .store import MemoryStore

__all__ = ["MemoryStore"]
