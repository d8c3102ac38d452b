"""State as JSON, at exactly the types that a class declares."""

from __future__ import annotations

from .codec import Codec, build_codec
from .sameness import is_same

__all__ = ["Codec", "build_codec", "is_same"]
