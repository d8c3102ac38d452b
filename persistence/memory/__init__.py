"""The store that keeps rows in memory, for tests and throw-away hosts."""

from __future__ import annotations

from .store import MemoryStore

__all__ = ["MemoryStore"]
