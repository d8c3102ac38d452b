"""JSON forms of classes with fields: attrs classes and dataclasses."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from typing import Annotated, TypeVar

import attrs

from ..identity import shorten
from .scalars import Form, Load, Misfit, Site, is_dict

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from collections.abc import Set as AbstractSet

__all__ = ["Shape", "object_form", "shape_of"]

T = TypeVar("T")

_SHOWN = 3


@attrs.frozen
class Shape:
    """The fields of a class, and whether its objects can change.

    Attributes:
        fields: the fields in the order of declaration, with resolved types.
        frozen: whether the class is a frozen attrs class.
    """

    fields: tuple[attrs.Attribute[object], ...]
    frozen: bool


def shape_of(cls: type, at: Site) -> Shape | None:
    """Return the shape of an attrs class or dataclass; ``None`` for any other class.

    Raises:
        UnsupportedField: an annotation names nothing, or objects of the class cannot be
            built from its fields alone.
    """
    name = cls.__name__
    try:
        if attrs.has(cls):
            fields = attrs.fields(attrs.resolve_types(cls))
            shape = Shape(fields, attrs.inspect(cls).is_frozen)
        elif dataclasses.is_dataclass(cls):
            shape = _shape_of_dataclass(cls)
        else:
            return None
    except NameError as error:
        raise at.unsupported(f"in {name}, {error}") from error
    taken = set(inspect.signature(cls).parameters)
    if taken != {field.alias for field in shape.fields}:
        raise at.unsupported(
            f"the constructor of {name} has to take exactly its fields"
        )
    return shape


def _shape_of_dataclass(cls: type) -> Shape:
    hints = typing.get_type_hints(cls, include_extras=True)
    same_fields = attrs.make_class(
        cls.__name__,
        {
            field.name: attrs.field(
                default=None if _has_default(field) else attrs.NOTHING,
                type=hints[field.name],
                alias=field.name,
                kw_only=True,
            )
            for field in dataclasses.fields(cls)
        },
    )
    return Shape(attrs.fields(same_fields), frozen=False)


def _has_default(field: dataclasses.Field[object]) -> bool:
    missing = dataclasses.MISSING
    return field.default is not missing or field.default_factory is not missing


def object_form(
    cls: type[T], shape: Shape, forms: Mapping[str, Form[object]], at: Site
) -> Form[T]:
    """Return the form of a class with fields: a JSON object of them, in their order.

    Args:
        cls: the class.
        shape: its fields.
        forms: the forms of its fields, by name.
        at: its place in the state of the agent.
    """
    unstructure, structure = _compile(cls, shape, forms)

    def dump(value: object) -> object:
        if type(value) is not cls:
            raise at.misfit(cls.__name__, value)
        try:
            return unstructure(value)
        except AttributeError as error:
            lost = error.name
        raise Misfit(f"{at} has lost its attribute {lost!r}")

    return Form(
        classes=frozenset([cls]),
        kinds=frozenset([dict]),
        immutable=shape.frozen and all(form.immutable for form in forms.values()),
        dump=dump,
        load=_loader(cls, structure, shape, forms, at),
    )


def _loader(
    cls: type[T],
    structure: Callable[[dict[str, object], type[T]], T],
    shape: Shape,
    forms: Mapping[str, Form[object]],
    at: Site,
) -> Load[T]:
    required = {field.name for field in shape.fields if field.default is attrs.NOTHING}
    declares_all = frozenset(forms).issuperset

    def load(raw: object, _declared: object = None, /) -> T:
        if not is_dict(raw):
            raise at.misfit(cls.__name__, raw)
        reason = "it has other fields"
        try:
            if declares_all(raw):
                return structure(raw, cls)
        except Misfit:
            raise
        except Exception as error:  # noqa: BLE001  whatever a user's constructor raises
            reason = f"its constructor raised {type(error).__name__}"
        reason = _mismatch(raw.keys(), forms.keys(), required, at) or reason
        raise Misfit(f"{at} holds no {cls.__name__}: {reason}")

    return load


def _compile(
    cls: type[T], shape: Shape, forms: Mapping[str, Form[object]]
) -> tuple[Callable[[T], object], Callable[[dict[str, object], type[T]], T]]:
    """Return functions made by cattrs: object to dict, and dict to object."""
    from cattrs import Converter, gen  # noqa: PLC0415  takes 0.1 s; importing podvisor need not

    def hook(field: attrs.Attribute[object]) -> attrs.Attribute[object]:
        # The hooks are part of the type. As keyword arguments, which cattrs takes too,
        # a field named `cl` or `converter` would collide with a parameter.
        form = forms[field.name]
        hooks = gen.override(struct_hook=form.load, unstruct_hook=form.dump)
        return field.evolve(type=Annotated[object, hooks])

    # The loader checks for unknown fields before; cattrs takes longer for that check.
    converter = Converter(detailed_validation=False)
    fields = [hook(field) for field in shape.fields]
    return (
        gen.make_dict_unstructure_fn_from_attrs(  # pyright: ignore[reportUnknownMemberType]  Attribute is open there
            fields, cls, converter, _cattrs_use_linecache=False
        ),
        gen.make_dict_structure_fn_from_attrs(  # pyright: ignore[reportUnknownMemberType]  same reason
            fields, cls, converter, _cattrs_use_linecache=False
        ),
    )


def _mismatch(
    found: AbstractSet[str],
    declared: AbstractSet[str],
    required: AbstractSet[str],
    at: Site,
) -> str | None:
    """Return which fields are unknown or missing; ``None`` if they are right.

    Unknown names are shown for the state as a whole only. An object inside of it may
    have been a dict in an older version. The keys of a dict are data, and errors show
    no data.
    """
    if unknown := sorted(found - declared):
        names = f" ({', '.join(map(shorten, unknown[:_SHOWN]))})" if not at.path else ""
        return f"it has {len(unknown)} unknown field(s){names}"
    if missing := sorted(required - found):
        return f"it lacks {', '.join(missing)}"
    return None
