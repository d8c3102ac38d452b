"""State as JSON: exactly the declared fields, at exactly their declared types.

A codec belongs to one agent class. A state that it encodes is decoded to an equal
object. A value that does not fit is an error in both directions: no value is coerced.
An unknown field is an error and is not dropped, because the next save would erase it.

Bodies of older versions are lifted by *upcasts*, one per version. An upcast turns the
JSON object of version ``n`` into that of version ``n + 1``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar

import attrs

from ..errors import NewerRecord, UndecodableState, UnstorableState
from .classes import object_form, shape_of
from .containers import field_forms
from .scalars import Form, Misfit, Site, is_dict

if TYPE_CHECKING:
    from ..identity import Address

__all__ = ["Codec", "Upcast", "build_codec"]

T = TypeVar("T")

Upcast: TypeAlias = Callable[[dict[str, object]], dict[str, object]]
"""Turns the JSON object of one version into that of the next, also in place."""

_NO_UPCASTS: Final[Mapping[int, Upcast]] = MappingProxyType({})


@attrs.frozen(eq=False)
class Codec(Generic[T]):
    """Turns the state of one agent class into bytes and back.

    ``build_codec`` makes it; it never changes afterwards. The runtime has one for each
    agent class.

    Attributes:
        cls: the agent class.
        version: schema version of the bodies that ``encode`` makes, from 1 up.
        simple: whether every field holds immutable values only. References to such
            values are a snapshot of the state.
    """

    cls: type[T]
    version: int
    simple: bool
    _upcasts: Mapping[int, Upcast] = attrs.field(alias="upcasts", repr=False)
    _form: Form[T] = attrs.field(alias="form", repr=False)
    _write: Callable[[object], bytes] = attrs.field(alias="write", repr=False)
    _parse: Callable[[bytes], object] = attrs.field(alias="parse", repr=False)

    def encode(self, state: T) -> bytes:
        """Return the canonical body: one JSON object in UTF-8, fields as declared.

        Raises:
            UnstorableState: a field does not hold its declared type, or holds a value
                that JSON cannot carry (NaN, a lone surrogate, a number too long).
        """
        try:
            return self._write(self._form.dump(state))
        except (Misfit, ValueError) as error:
            reason = str(error)
        # Raised outside the handler, so that no traceback keeps the state alive.
        raise UnstorableState(self.cls.__name__, reason)

    def decode(self, body: bytes, *, address: Address, version: int) -> T:
        """Return the state that a body holds, built by the constructor of the class.

        A field that the body lacks takes its default, if it has one.

        Args:
            body: what ``encode`` made, of this version or an older one.
            address: address of the instance; only errors use it.
            version: schema version of the body.

        Raises:
            NewerRecord: ``version`` is newer than this code.
            UndecodableState: the body is not JSON, cannot be lifted to this version,
                or does not fit the declared fields.
        """
        if version > self.version:
            reason = f"it has version {version}, this code knows {self.version}"
            raise NewerRecord(address, reason)
        try:
            raw = self._parse(body)
            if version != self.version:
                raw = self._lift(raw, version)
            return self._form.load(raw)
        except Misfit as misfit:
            reason = str(misfit)
        raise UndecodableState(address, reason)

    def _lift(self, raw: object, version: int) -> object:
        """Apply the upcasts from a version to the current one."""
        for old in range(version, self.version):
            if not is_dict(raw):
                raise Misfit(f"version {old} is {type(raw).__name__}, not dict")
            if (upcast := self._upcasts.get(old)) is None:
                raise Misfit(f"no upcast leads from version {old} to {old + 1}")
            try:
                raw = upcast(raw)
            except Exception as error:
                name = type(error).__name__
                msg = f"the upcast from version {old} raised {name}"
                raise Misfit(msg) from error
        return raw


def build_codec(
    cls: type[T], *, version: int = 1, upcasts: Mapping[int, Upcast] = _NO_UPCASTS
) -> Codec[T]:
    """Build the codec of an attrs class.

    The first codec of a process imports the JSON libraries, which takes 0.1 s. Build
    codecs before turns run, not inside of one.

    Args:
        cls: the class; its constructor takes exactly its fields.
        version: current schema version of its state, from 1 up.
        upcasts: for each older version that may still be stored, the function that
            lifts it by one.

    Raises:
        UnsupportedField: a field whose declared type has no JSON form.
        ValueError: ``version`` is less than 1, or an upcast starts at no older version.
    """
    if version < 1 or not upcasts.keys() <= set(range(1, version)):
        msg = (
            f"{cls.__name__} has version {version} and upcasts from {sorted(upcasts)}; "
            f"versions start at 1, and an upcast starts below the current one"
        )
        raise ValueError(msg)
    root = Site(cls.__name__)
    if (shape := shape_of(cls, root)) is None:
        raise root.unsupported(f"{cls.__name__} is no attrs class")
    forms = field_forms(cls, shape, root)
    write, parse = _json()
    return Codec(
        cls=cls,
        version=version,
        simple=all(form.immutable for form in forms.values()),
        upcasts=MappingProxyType(dict(upcasts)),
        form=object_form(cls, shape, forms, root),
        write=write,
        parse=parse,
    )


def _json() -> tuple[Callable[[object], bytes], Callable[[bytes], object]]:
    """Return a JSON writer and a JSON parser that no other codec uses.

    msgspec and not orjson: msgspec carries integers of any size, and refuses a number
    outside the range of a float.
    """
    import msgspec  # noqa: PLC0415  so that importing podvisor does not wait for it

    parse = msgspec.json.Decoder[object]().decode

    def guarded(body: bytes) -> object:
        try:
            return parse(body)
        except msgspec.MsgspecError as error:
            reason = str(error)  # it has position and kind, and none of the content
        except (UnicodeDecodeError, RecursionError) as error:
            reason = type(error).__name__
        raise Misfit(f"it is not JSON: {reason}")

    return msgspec.json.Encoder().encode, guarded
