"""The store in PostgreSQL. Import its files by name: this loads no driver."""

from __future__ import annotations
