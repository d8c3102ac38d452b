"""persistence/sqlite."""

from __future__ import annotations
