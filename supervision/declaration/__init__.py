"""supervision/declaration."""

from __future__ import annotations
