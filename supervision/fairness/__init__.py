"""supervision/fairness."""

from __future__ import annotations
