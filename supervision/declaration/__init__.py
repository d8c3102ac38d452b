"""What a class declares, checked once when the class is read."""

from __future__ import annotations

from .fields import check_class, check_fields, decorated
from .message_codec import EncodedMessage, MessageCodec
from .messages import HandlerSpec, Message, ParentStopped, handler, read_handlers
from .offload import Offload
from .resources import check_needs
from .upcasts import read_upcasts, upcast

__all__ = [
    "EncodedMessage",
    "HandlerSpec",
    "Message",
    "MessageCodec",
    "Offload",
    "ParentStopped",
    "check_class",
    "check_fields",
    "check_needs",
    "decorated",
    "handler",
    "read_handlers",
    "read_upcasts",
    "upcast",
]
