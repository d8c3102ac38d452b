"""What a class declares, checked once when the class is read."""

from __future__ import annotations

from .fields import check_class, check_fields, decorated
from .message_codec import Packed, Wire
from .messages import HandlerSpec, Message, ParentStopped, handler, read_handlers
from .offload import Offload
from .resources import check_needs
from .upcasts import read_upcasts, upcast

__all__ = [
    "HandlerSpec",
    "Message",
    "Offload",
    "Packed",
    "ParentStopped",
    "Wire",
    "check_class",
    "check_fields",
    "check_needs",
    "decorated",
    "handler",
    "read_handlers",
    "read_upcasts",
    "upcast",
]
