"""Partition ids, keys, names, addresses, and the root of all errors."""

from __future__ import annotations

from .address import (
    MAX_KEY_CHARS,
    Address,
    Key,
    check_key,
    check_name,
    check_partition,
    key_from_text,
    key_to_text,
)
from .errors import InvalidKey, InvalidName, InvalidPartition, PodsError, shorten

__all__ = [
    "MAX_KEY_CHARS",
    "Address",
    "InvalidKey",
    "InvalidName",
    "InvalidPartition",
    "Key",
    "PodsError",
    "check_key",
    "check_name",
    "check_partition",
    "key_from_text",
    "key_to_text",
    "shorten",
]
