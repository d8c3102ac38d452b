"""Every case there is, in the order of the table."""

from __future__ import annotations

from .cases import (
    activation,
    asks,
    dispatching,
    durable,
    memory,
    oversight,
    peers,
    pods,
)
from .harness import Case

__all__ = ["CASES"]

CASES: tuple[Case, ...] = (
    *asks.CASES,
    *activation.CASES,
    *memory.CASES,
    *durable.CASES,
    *pods.CASES,
    *dispatching.CASES,
    *oversight.CASES,
    *peers.CASES,
)
