"""Partition ids, keys, names, and the address made of them.

An address is three fields and never one joined text, so no key can be chosen that leads
into another partition. Keys are ``str`` or tuples of keys. Numbers are refused because
``1``, ``True`` and ``1.0`` are one dictionary key in Python and three in a database.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import TypeAlias, TypeGuard

import attrs

from .errors import InvalidKey, InvalidName, InvalidPartition

__all__ = [
    "MAX_KEY_CHARS",
    "Address",
    "Key",
    "check_key",
    "check_name",
    "check_partition",
    "key_from_text",
    "key_to_text",
]

Key: TypeAlias = str | tuple["Key", ...]

MAX_KEY_CHARS = 2_048
"""Longest canonical form of a key, in characters; each index row holds it."""

_PARTITION = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_MAX_DEPTH = 32
# ``json.dumps`` makes an encoder per call, which takes five times as long as encoding.
_to_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@attrs.frozen
class Address:
    """The identity of an instance: partition, manager name and key.

    The values must have passed ``check_partition``, ``check_name`` and ``check_key``.
    The class does not check them itself, because it is built on the hot path.
    """

    partition: str
    manager: str
    key: Key

    def __str__(self) -> str:
        return f"{self.partition}/{self.manager}/{key_to_text(self.key)}"


def check_partition(value: object) -> str:
    """Return a valid partition id unchanged.

    Raises:
        InvalidPartition: not a ``str``, empty, too long, or outside the charset
            ``[a-z0-9][a-z0-9_.-]{0,62}`` without ``..``.
    """
    if type(value) is not str:
        raise InvalidPartition(value, f"it is {type(value).__name__}, not str")
    if _PARTITION.fullmatch(value) is None:
        raise InvalidPartition(value, _why_not_a_partition(value))
    if ".." in value:
        raise InvalidPartition(value, "it contains '..'")
    return value


def _why_not_a_partition(value: str) -> str:
    if not value:
        return "it is empty"
    if len(value) > 63:  # noqa: PLR2004  the limit in the pattern
        return f"it has {len(value)} characters"
    return "it has a character outside the set, or begins with punctuation"


def check_name(value: object, what: str) -> str:
    """Return a valid manager or node name unchanged.

    Args:
        value: the name.
        what: the word for the error, ``"manager"`` or ``"node"``.

    Raises:
        InvalidName: not a ``str`` that matches ``[a-z][a-z0-9_]{0,62}``.
    """
    if type(value) is not str or _NAME.fullmatch(value) is None:
        raise InvalidName(what, value)
    return value


def check_key(value: object) -> Key:
    """Return a valid key unchanged.

    Raises:
        InvalidKey: a part is not a ``str``, is empty, is not in Unicode normal form C,
            has a surrogate or a NUL; a tuple is empty or nested deeper than 32; or the
            canonical form is longer than ``MAX_KEY_CHARS``.
    """
    if type(value) is str and value.isascii() and 0 < len(value) <= 256:  # noqa: PLR2004  a fast path, not a limit
        if "\0" not in value:
            return value
        raise InvalidKey(value, "it contains NUL")
    if type(value) not in (str, tuple):
        raise InvalidKey(value, f"it is {type(value).__name__}, not str or a tuple")
    key = _check_part(value, value, 0)
    if len(key_to_text(key)) > MAX_KEY_CHARS:
        raise InvalidKey(value, f"its form is longer than {MAX_KEY_CHARS} characters")
    return key


def _check_part(part: object, whole: object, depth: int) -> Key:
    if depth > _MAX_DEPTH:
        raise InvalidKey("(…)", f"it is nested deeper than {_MAX_DEPTH}")
    if _is_tuple(part):
        if not part:
            raise InvalidKey(whole, "it has an empty tuple")
        return tuple(_check_part(inner, whole, depth + 1) for inner in part)
    if type(part) is not str:
        raise InvalidKey(whole, f"it has a part of type {type(part).__name__}")
    if (why := _why_not_a_text(part)) is not None:
        raise InvalidKey(whole, why)
    return part


def _why_not_a_text(text: str) -> str | None:
    if not text:
        return "it is empty or has an empty part"
    if len(text) > MAX_KEY_CHARS:
        return f"it is longer than {MAX_KEY_CHARS} characters"
    if "\0" in text:
        return "it contains NUL"
    if any("\ud800" <= c <= "\udfff" for c in text):
        return "it contains a surrogate"
    if not unicodedata.is_normalized("NFC", text):
        return "it is not in Unicode normal form C, so a second key looks the same"
    return None


def key_to_text(key: Key) -> str:
    """Return the canonical JSON text of a key: a string, or arrays of strings."""
    return _to_text(key)


def key_from_text(text: str) -> Key:
    """Return the key of a canonical JSON text.

    Raises:
        InvalidKey: the text is not the canonical form of any key.
    """
    try:
        key = check_key(_freeze(json.loads(text)))
    except (ValueError, RecursionError) as error:
        raise InvalidKey(text, "the stored text is not a key") from error
    if key_to_text(key) != text:
        raise InvalidKey(text, "the stored text is not in canonical form")
    return key


def _freeze(value: object) -> object:
    return tuple(_freeze(inner) for inner in value) if _is_list(value) else value


def _is_tuple(value: object) -> TypeGuard[tuple[object, ...]]:
    return type(value) is tuple


def _is_list(value: object) -> TypeGuard[list[object]]:
    return type(value) is list
