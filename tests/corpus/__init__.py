"""Stored rows of every version, and the world that wrote them."""

from __future__ import annotations

__all__: list[str] = []
