"""JSON forms of containers and unions, and the form of each declared type.

The list of supported types is closed. A declared type without a form is refused when
the codec is built, before a value of it is stored that could not be read back.
"""

from __future__ import annotations

import enum
from functools import partial
from types import MappingProxyType, NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Final,
    Literal,
    NewType,
    TypeAlias,
    TypeGuard,
    Union,
    get_args,
    get_origin,
)

from .classes import Shape, object_form, shape_of
from .scalars import SCALARS, Form, Site, enum_form, is_dict, is_list, literal_form

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from ..errors import UnsupportedField

__all__ = ["field_forms", "form_of"]

_Many: TypeAlias = (
    type[list[object]]
    | type[tuple[object, ...]]
    | type[set[object]]
    | type[frozenset[object]]
)


def form_of(declared: object, at: Site) -> Form[object]:
    """Return the form of a declared type.

    Args:
        declared: a type from an annotation, resolved.
        at: its place in the state of the agent.

    Raises:
        UnsupportedField: the type has no form.
    """
    # `typing.List` without brackets has an origin too, but no type for its items.
    origin = get_origin(declared) if hasattr(declared, "__args__") else None
    arguments: tuple[object, ...] = get_args(declared)
    if origin is None:
        return _plain_form(declared, at)
    if origin is Annotated:
        return form_of(arguments[0], at)
    if origin is Literal:
        return literal_form(arguments, at)
    if origin is Union or origin is UnionType:
        return _union([form_of(argument, at) for argument in arguments], at)
    if (make := _CONTAINERS.get(origin)) is not None:
        return make(arguments, at)
    raise _no_form(declared, at)


def _plain_form(declared: object, at: Site) -> Form[object]:
    """Return the form of a type without arguments."""
    if declared is None:
        return SCALARS[NoneType](at)
    if isinstance(declared, NewType):
        return form_of(declared.__supertype__, at)
    if type(declared).__name__ == "TypeAliasType":  # `type X = ...`, from 3.12 on
        value: object = getattr(declared, "__value__")  # noqa: B009  unknown to 3.11
        return form_of(value, at.enter(declared))
    if isinstance(declared, type):
        return _class_form(declared, at)
    raise _no_form(declared, at)


def _class_form(cls: type[object], at: Site) -> Form[object]:
    if (make := SCALARS.get(cls)) is not None:
        return make(at)
    if issubclass(cls, enum.Enum):
        return enum_form(cls, at)
    if (shape := shape_of(cls, at)) is not None:
        return object_form(cls, shape, field_forms(cls, shape, at), at)
    raise _no_form(cls, at)


def _no_form(declared: object, at: Site) -> UnsupportedField:
    if isinstance(declared, type) and declared in _CONTAINERS:
        shown = declared.__name__
        return at.unsupported(f"{shown} needs the type of its items: {shown}[str]")
    return at.unsupported(f"{declared!r} has no JSON form")


def _union(members: Sequence[Form[object]], at: Site) -> Form[object]:
    """Return the form of a union; the class of a value selects the alternative."""
    by_class = _forms_by_class([(form, form.classes) for form in members], at)
    by_kind = _forms_by_class([(form, form.kinds) for form in members], at)
    classes = frozenset[type]().union(*(form.classes for form in members))
    expected = " or ".join(sorted(cls.__name__ for cls in classes))

    def dump(value: object) -> object:
        if (form := by_class.get(type(value))) is None:
            raise at.misfit(expected, value)
        return form.dump(value)

    def load(raw: object, _declared: object = None, /) -> object:
        if (form := by_kind.get(type(raw))) is None:
            raise at.misfit(expected, raw)
        return form.load(raw)

    return Form(
        classes=classes,
        kinds=frozenset[type]().union(*(form.kinds for form in members)),
        immutable=all(form.immutable for form in members),
        dump=dump,
        load=load,
    )


def _forms_by_class(
    alternatives: Iterable[tuple[Form[object], frozenset[type]]], at: Site
) -> dict[type, Form[object]]:
    """Return which alternative each class belongs to.

    Raises:
        UnsupportedField: two alternatives have one class.
    """
    table: dict[type, Form[object]] = {}
    for form, classes in alternatives:
        if shared := classes & table.keys():
            names = ", ".join(sorted(cls.__name__ for cls in shared))
            raise at.unsupported(f"two of its alternatives are {names} in JSON")
        table.update(dict.fromkeys(classes, form))
    if float in table:
        table.setdefault(int, table[float])  # if int is no alternative, 5 means 5.0
    return table


def _items(cls: _Many, arguments: Sequence[object], at: Site) -> Form[object]:
    """Return the form of a container of any number of items of one type."""
    item = form_of(arguments[0], at.items())
    build: Callable[[list[object]], Collection[object]] = cls
    unordered = cls in {set, frozenset}
    if unordered and not item.immutable:
        raise at.unsupported(f"the items of a {cls.__name__} have to be immutable")

    def is_one(value: object) -> TypeGuard[Collection[object]]:
        return type(value) is cls

    def dump(value: object) -> object:
        if not is_one(value):
            raise at.misfit(cls.__name__, value)
        raws = [item.dump(inner) for inner in value]
        return sorted(raws, key=repr) if unordered else raws

    def load(raw: object, _declared: object = None, /) -> object:
        if not is_list(raw):
            raise at.misfit(cls.__name__, raw)
        value = build([item.load(inner) for inner in raw])
        if len(value) != len(raw):
            raise at.misfit(f"{cls.__name__} of distinct items", raw)
        return value

    return Form(
        classes=frozenset([cls]),
        kinds=frozenset([list]),
        immutable=cls in {tuple, frozenset} and item.immutable,
        dump=dump,
        load=load,
    )


def _tuple(arguments: Sequence[object], at: Site) -> Form[object]:
    """Return the form of ``tuple[X, ...]`` or of a tuple of fixed length."""
    if len(arguments) == 2 and arguments[1] is Ellipsis:  # noqa: PLR2004  X and the dots
        return _items(tuple, arguments, at)
    forms = [form_of(argument, at.items()) for argument in arguments]
    expected = f"tuple of {len(forms)}"

    def dump(value: object) -> object:
        if not _is_tuple(value) or len(value) != len(forms):
            raise at.misfit(expected, value)
        return [form.dump(inner) for form, inner in zip(forms, value, strict=True)]

    def load(raw: object, _declared: object = None, /) -> object:
        if not is_list(raw) or len(raw) != len(forms):
            raise at.misfit(expected, raw)
        return tuple([form.load(inner) for form, inner in zip(forms, raw, strict=True)])

    return Form(
        classes=frozenset([tuple]),
        kinds=frozenset([list]),
        immutable=all(form.immutable for form in forms),
        dump=dump,
        load=load,
    )


def _is_tuple(value: object) -> TypeGuard[tuple[object, ...]]:
    return type(value) is tuple


def _dict(arguments: Sequence[object], at: Site) -> Form[object]:
    """Return the form of a dict; the order of its items is kept.

    Raises:
        UnsupportedField: the keys are not ``str``.
    """
    key, item = (form_of(argument, at.items()) for argument in arguments)
    if key.classes != frozenset([str]):
        raise at.unsupported("the keys of a dict have to be str")

    def dump(value: object) -> object:
        if not is_dict(value):
            raise at.misfit("dict", value)
        return {key.dump(name): item.dump(inner) for name, inner in value.items()}

    def load(raw: object, _declared: object = None, /) -> object:
        if not is_dict(raw):
            raise at.misfit("dict", raw)
        return {key.load(name): item.load(inner) for name, inner in raw.items()}

    return Form(frozenset([dict]), frozenset([dict]), False, dump, load)


_CONTAINERS: Final[
    Mapping[object, Callable[[Sequence[object], Site], Form[object]]]
] = MappingProxyType(
    {
        list: partial(_items, list),
        set: partial(_items, set),
        frozenset: partial(_items, frozenset),
        tuple: _tuple,
        dict: _dict,
    }
)


def field_forms(cls: type, shape: Shape, at: Site) -> dict[str, Form[object]]:
    """Return the forms of the fields of a class, by name, in the order of the fields.

    Raises:
        UnsupportedField: a field has no form, or the class contains itself.
    """
    inside = at.enter(cls)
    return {
        field.name: form_of(field.type, inside.field(field.name))
        for field in shape.fields
    }
