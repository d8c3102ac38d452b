"""pods/reconciliation."""

from __future__ import annotations
