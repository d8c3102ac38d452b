"""Other systems, each behind the same few calls; imported only where they are measured.

An adapter module has ``open_system`` or ``open_steps``. What it does is what
that system's own documentation shows.
"""

from __future__ import annotations
