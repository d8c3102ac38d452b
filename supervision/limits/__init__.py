"""supervision/limits."""

from __future__ import annotations
