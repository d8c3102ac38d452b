"""supervision/errors."""

from __future__ import annotations
