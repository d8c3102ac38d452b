"""supervision/tenants."""

from __future__ import annotations
