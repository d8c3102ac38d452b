"""Durability on the real product and the real operating system.

``python -m tests.crash --help`` runs the large sizes; the tests run the small ones.
"""

from __future__ import annotations

__all__: list[str] = []
