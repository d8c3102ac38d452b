"""supervision/telemetry."""

from __future__ import annotations
