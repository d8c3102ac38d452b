"""persistence/postgres."""

from __future__ import annotations
