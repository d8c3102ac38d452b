"""The stored form of durable messages and replies, and back.

A stored message names its class by a name that the class chooses. Only classes that the
target has a handler for are built from it: nothing is imported by a stored name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import attrs

from persistence import (
    Address,
    Codec,
    CorruptRecord,
    UnstorableState,
    UnsupportedField,
    build_codec,
)

from ..errors import UnstorableMessage
from .messages import HandlerSpec, Message
from .upcasts import Upcast, read_upcasts

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EncodedMessage", "MessageCodec"]

T = TypeVar("T")


@attrs.frozen
class EncodedMessage:
    """A message in its stored form.

    Attributes:
        message: the stored name of its class.
        version: schema version of the body.
        body: JSON text in UTF-8.
    """

    message: str
    version: int
    body: bytes


@attrs.define(eq=False)
class _Box:
    """A reply as the one field of a class, since a codec takes a class."""

    value: object


class MessageCodec:
    """Encodes and decodes the durable messages of one agent class, and their replies.

    Codecs are built on first use. ``execution`` and ``messaging`` use it.
    """

    def __init__(self, handlers: Mapping[type[object], HandlerSpec]) -> None:
        names: dict[str, list[type[object]]] = {}
        for kind in handlers:
            names.setdefault(_name_of(kind), []).append(kind)
        self._handlers = dict(handlers)
        self._names = names
        self._codecs: dict[type[object], Codec[object]] = {}
        self._replies: dict[str, Codec[_Box]] = {}

    def __repr__(self) -> str:
        return f"<MessageCodec {', '.join(sorted(self._names))}>"

    def pack(self, message: object, target: Address) -> EncodedMessage:
        """Return the stored form of a message.

        Raises:
            UnstorableMessage: it has none, or two messages share its stored name.
        """
        kind = type(message)
        name = _name_of(kind)
        if self._names.get(name) != [kind]:
            raise UnstorableMessage(target, kind.__qualname__, self._why_not(kind))
        codec = self._codec(kind, target)
        try:
            return EncodedMessage(name, codec.version, codec.encode(message))
        except UnstorableState as error:
            raise UnstorableMessage(target, kind.__qualname__, error.reason) from error

    def unpack(self, packed: EncodedMessage, target: Address) -> object:
        """Return the message of a stored form.

        Raises:
            RecordError: it is damaged, newer than this code, or has no handler.
        """
        kinds = self._names.get(packed.message, [])
        if len(kinds) != 1:
            raise CorruptRecord(target, f"no handler takes a {packed.message}")
        try:
            codec = self._codec(kinds[0], target)
        except UnstorableMessage as error:
            raise CorruptRecord(target, error.reason) from error
        return codec.decode(packed.body, address=target, version=packed.version)

    def pack_reply(self, message: object, value: object, target: Address) -> bytes:
        """Return the stored form of the reply to a message.

        Raises:
            UnstorableMessage: it has none.
        """
        name = f"the reply to {type(message).__qualname__}"
        codec = self.reply_codec(message, target)
        try:
            return codec.encode(codec.cls(value))
        except UnstorableState as error:
            raise UnstorableMessage(target, name, error.reason) from error

    def unpack_reply(self, message: object, body: bytes, target: Address) -> object:
        """Return the reply to a message from its stored form.

        Raises:
            RecordError: it does not fit what the handler returns now.
        """
        codec = self.reply_codec(message, target)
        return codec.decode(body, address=target, version=1).value

    def reply_codec(self, message: object, target: Address) -> Codec[_Box]:
        """Return the codec of what the handler of a message returns.

        Raises:
            UnstorableMessage: its type has no stored form, or is not annotated.
        """
        spec = self._handlers.get(type(message))
        if spec is None:
            kind = type(message)
            raise UnstorableMessage(target, kind.__qualname__, self._why_not(kind))
        if (found := self._replies.get(spec.name)) is None:
            name = f"the reply of {spec.name}"
            if not spec.annotated:
                reason = "its handler has no annotation of what it returns"
                raise UnstorableMessage(target, name, reason)
            found = self._replies[spec.name] = _build(
                _box_of(spec.reply), 1, {}, target, name
            )
        return found

    def _codec(self, kind: type[object], target: Address) -> Codec[object]:
        if (found := self._codecs.get(kind)) is None:
            version = getattr(kind, "message_version", 1)
            found = self._codecs[kind] = _build(
                kind, version, read_upcasts(kind, version), target, kind.__qualname__
            )
        return found

    def _why_not(self, kind: type[object]) -> str:
        if kind not in self._handlers:
            return "no handler is declared for exactly this class"
        return (
            f"two messages of this agent are called {_name_of(kind)}; give one of them "
            "a message_name"
        )


def _build(
    cls: type[T],
    version: int,
    upcasts: Mapping[int, Upcast],
    target: Address,
    name: str,
) -> Codec[T]:
    try:
        return build_codec(cls, version=version, upcasts=upcasts)
    except (UnsupportedField, ValueError) as error:
        raise UnstorableMessage(target, name, str(error)) from error


def _box_of(reply: object) -> type[_Box]:
    """Build a class with one field of the type that a handler returns."""
    return attrs.define(type("Reply", (_Box,), {"__annotations__": {"value": reply}}))


def _name_of(kind: type[object]) -> str:
    if issubclass(kind, Message):
        return kind.message_name or kind.__name__
    return kind.__name__
