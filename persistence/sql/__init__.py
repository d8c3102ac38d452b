"""persistence/sql."""

from __future__ import annotations
