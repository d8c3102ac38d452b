"""What a tenant may use and how much of it: one frozen value per partition.

podvisor acts on the fields that concern it, such as weight, caps, burst and response
target. The others are for the application, which reads them as
``self.context.policy``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import TypeAlias, TypeGuard

import attrs

from ..errors import InvalidPolicy
from ..loop import BlockingPolicy

__all__ = ["Setting", "TenantPolicy"]

Setting: TypeAlias = (
    str | int | float | bool | tuple["Setting", ...] | Mapping[str, "Setting"] | None
)
"""A value of a free-form setting: what JSON can express, in immutable types."""

_MAX_TEXT = 255
_MAX_DEPTH = 16


def _check(wanted: str, holds: Callable[[object], bool]) -> Callable[..., None]:
    """Build a validator whose error names the field."""

    def validate(_: object, field: attrs.Attribute[object], value: object) -> None:
        if not holds(value):
            raise InvalidPolicy(f"TenantPolicy.{field.name}", value, wanted)

    return validate


def _optional(holds: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or holds(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_TEXT and "\0" not in value


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 1


def _is_amount(value: object) -> bool:
    return type(value) in (int, float) and 0 <= _number(value) < math.inf


def _is_positive(value: object) -> bool:
    return type(value) in (int, float) and 0 < _number(value) < math.inf


def _number(value: object) -> float:
    number = float(value) if isinstance(value, int | float) else math.nan
    return -1.0 if math.isnan(number) else number  # NaN is in no range


def _is_retention(value: object) -> bool:
    return isinstance(value, timedelta) and value > timedelta(0)


_count = _check("an int above 0, or None", _optional(_is_count))
_text = _check(f"a text of at most {_MAX_TEXT} characters without NUL", _is_text)


def _allowed(names: Collection[str] | None) -> frozenset[str] | None:
    return None if names is None else _tools(names, "allowed_tools")


def _denied(names: Collection[str]) -> frozenset[str]:
    return _tools(names, "denied_tools")


def _tools(names: Collection[str], field: str) -> frozenset[str]:
    """Freeze a collection of tool names; a single text is refused, not split."""
    if not _is_set_like(names) or not all(_is_text(n) and n for n in names):
        raise InvalidPolicy(f"TenantPolicy.{field}", names, "a set of tool names")
    return frozenset(names)


def _is_set_like(value: object) -> bool:
    return isinstance(value, set | frozenset | list | tuple)


def _settings(value: Mapping[str, Setting]) -> Mapping[str, Setting]:
    where = "TenantPolicy.settings"
    if not _is_mapping(value):
        raise InvalidPolicy(where, value, "a mapping with names as keys")
    return _freeze_all(value, where, 0)


def _freeze_all(
    settings: Mapping[object, object], where: str, depth: int
) -> Mapping[str, Setting]:
    if not settings:
        return _NO_SETTINGS  # shared: most tenants have no settings
    frozen: dict[str, Setting] = {}
    for name, item in settings.items():
        if not isinstance(name, str):
            raise InvalidPolicy(where, name, "names of type str")
        frozen[name] = _freeze(item, f"{where}[{name!r}]", depth + 1)
    return MappingProxyType(frozen)


def _freeze(value: object, where: str, depth: int) -> Setting:
    """Copy a setting into immutable values.

    Raises:
        InvalidPolicy: it is of a type that JSON does not know, or nested too deeply.
    """
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if depth < _MAX_DEPTH:
        if _is_mapping(value):
            return _freeze_all(value, where, depth)
        if _is_sequence(value):
            items = enumerate(value)
            return tuple(_freeze(v, f"{where}[{n}]", depth + 1) for n, v in items)
    wanted = f"texts, numbers, lists and mappings, less than {_MAX_DEPTH} deep"
    raise InvalidPolicy(where, value, wanted)


def _is_sequence(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, list | tuple)


def _is_mapping(value: object) -> TypeGuard[Mapping[object, object]]:
    return isinstance(value, Mapping)


_NO_SETTINGS: Mapping[str, Setting] = MappingProxyType({})


@attrs.frozen(kw_only=True)
class TenantPolicy:
    """The policy of one tenant.

    A turn sees, from its first message to its last, the policy that was in force when
    it began. The names of tenant and organisation, and the settings, stay out of the
    repr: they route work, and have no business in a prompt.

    Attributes:
        tenant_id: the tenant; empty: the partition's own id.
        version: the name of this edition of the policy; shown, and part of no key.
        org_id: the organisation that the tenant belongs to.
        tier: the name of the sold product, such as ``"bank"``.
        budget_class: the budget that its work is charged to.
        data_residency: the region that its data may not leave; empty: any region.
        allowed_tools: tools it may use; ``None``: all that are not denied.
        denied_tools: tools it may not use, whatever ``allowed_tools`` says.
        model_tier: the best class of model it may use.
        weight: its part of the host when there are not enough seats for all; above 0;
            ``None``: the host's setting, which is 1.
        concurrency_cap: turns it may run at a time; ``None``: the host's setting.
        hard_cap: turns it may run in a burst, while seats are free; ``None``: as many
            as the cap.
        burst: seat-seconds above the cap that it may use before it must pay them back
            below the cap; ``None``: the host's setting.
        backlog: messages that may wait; ``None``: as many as the host has room for.
        response_target: seconds within which 95 % of its messages should be answered;
            ``None``: the target of the host's ``HealthPolicy``.
        blocking: what follows when its handlers block the loop; ``None``: the setting
            of the manager.
        offload_limit: handlers it may run in threads and processes at a time;
            ``None``: the host's setting.
        reviewer_pool: the group that reviews what its agents propose.
        audit_retention: how long its audit records are kept; ``None``: without limit.
        settings: further values that the application needs; frozen at every depth.

    Raises:
        InvalidPolicy: a field has a value out of its range; the error names the field.
    """

    tenant_id: str = attrs.field(default="", validator=_text, repr=False)
    version: str = attrs.field(
        default="1", validator=[_text, _check("a version that is not empty", bool)]
    )
    org_id: str = attrs.field(default="", validator=_text, repr=False)
    tier: str = attrs.field(default="", validator=_text)
    budget_class: str = attrs.field(default="", validator=_text)
    data_residency: str = attrs.field(default="", validator=_text)
    allowed_tools: frozenset[str] | None = attrs.field(default=None, converter=_allowed)
    denied_tools: frozenset[str] = attrs.field(default=frozenset(), converter=_denied)
    model_tier: str = attrs.field(default="", validator=_text)
    weight: float | None = attrs.field(
        default=None,
        validator=_check("a finite number above 0, or None", _optional(_is_positive)),
    )
    concurrency_cap: int | None = attrs.field(default=None, validator=_count)
    hard_cap: int | None = attrs.field(default=None, validator=_count)
    burst: float | None = attrs.field(
        default=None,
        validator=_check("seat-seconds from 0 up, or None", _optional(_is_amount)),
    )
    backlog: int | None = attrs.field(default=None, validator=_count)
    response_target: float | None = attrs.field(
        default=None,
        validator=_check("seconds above 0, or None", _optional(_is_positive)),
    )
    blocking: BlockingPolicy | None = attrs.field(
        default=None,
        validator=_check(
            "a BlockingPolicy, or None",
            _optional(lambda value: isinstance(value, BlockingPolicy)),
        ),
    )
    offload_limit: int | None = attrs.field(default=None, validator=_count)
    reviewer_pool: str = attrs.field(default="", validator=_text)
    audit_retention: timedelta | None = attrs.field(
        default=None,
        validator=_check("a positive timedelta, or None", _optional(_is_retention)),
    )
    settings: Mapping[str, Setting] = attrs.field(
        default=_NO_SETTINGS,
        converter=_settings,
        hash=False,
        repr=False,
    )

    def __attrs_post_init__(self) -> None:
        cap, hard = self.concurrency_cap, self.hard_cap
        if hard is not None and (cap is None or hard < cap):
            wanted = "a hard cap that is not below concurrency_cap, with one"
            raise InvalidPolicy("TenantPolicy.hard_cap", hard, wanted)

    def allows(self, tool: str) -> bool:
        """Return whether the tenant may use a tool; a denial takes precedence."""
        if tool in self.denied_tools:
            return False
        return self.allowed_tools is None or tool in self.allowed_tools
