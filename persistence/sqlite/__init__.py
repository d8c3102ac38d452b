"""The store in one SQLite file. Import its files by name; this one loads no driver."""

from __future__ import annotations
