"""The command ``podvisor``."""

from __future__ import annotations
