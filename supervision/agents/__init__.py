"""supervision/agents."""

from __future__ import annotations
