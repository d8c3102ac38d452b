"""The store with an SQLite file per partition. Import its files by name."""

from __future__ import annotations
