"""The fields of an agent as the runtime sees them: taken, put back, compared, saved.

Of an agent whose fields hold immutable values only, a snapshot keeps references. Of any
other it keeps the encoded form, the only copy that user code cannot have changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from persistence import Operation, Record, RecordKind, Save, Unit, is_same

from ..errors import OutOfRuntime

if TYPE_CHECKING:
    from ..agents import Instance

__all__ = [
    "Snapshot",
    "capture_changes",
    "is_stored",
    "record_stored",
    "restore",
    "save_unit",
    "stored_revision",
    "take_snapshot",
    "unsaved",
]

_STATE = RecordKind.STATE  # a look-up in an enum is slow before Python 3.12

_PLAIN = frozenset({bool, bytes, int, str, type(None)})
"""Types whose equal values have one stored form."""

Snapshot: TypeAlias = object
"""What ``AgentSpec.field_values`` returned, or the encoded form of all fields."""


def take_snapshot(instance: Instance) -> Snapshot:
    """Return what the fields hold, to compare with and to put back."""
    spec, agent = instance.manager.spec, instance.agent
    if agent is None:
        raise OutOfRuntime(spec.agent.__qualname__)
    if spec.codec.simple:
        return spec.field_values(agent)
    if instance.body is None:
        instance.body = spec.codec.encode(agent)
    return instance.body


def restore(instance: Instance, before: Snapshot) -> BaseException | None:
    """Put back what the fields held.

    Returns:
        What the agent's class raised as it was asked to build the values; its object
        cannot be used any more then, while ``instance.body`` is what is put back.
    """
    spec = instance.manager.spec
    if not spec.codec.simple and isinstance(before, bytes):
        instance.body = before
        try:
            values = spec.fields_from(before, instance.address)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: ASYNC103, BLE001  a user's class may raise anything
            return error  # noqa: ASYNC104  no coroutine
    else:
        values = spec.glanced(before)
        instance.body = None
    vars(instance.the_agent()).update(values)
    return None


def capture_changes(instance: Instance, before: Snapshot) -> bool:
    """Make what the fields hold now the new state; return whether it changed.

    Raises:
        UnstorableState: a field is no longer of its declared type.
    """
    spec, agent = instance.manager.spec, instance.agent
    if agent is None:
        raise OutOfRuntime(spec.agent.__qualname__)
    if not spec.codec.simple:
        instance.body = spec.codec.encode(agent)
        return instance.body != before
    now = spec.field_values(agent)
    # == alone would call 1 and True equal, and a class compares what it likes. A field
    # that is the only one, of a plain type, is the common case: it costs no call.
    if type(now) is type(before) and type(now) in _PLAIN:
        if now == before:
            return False
    elif is_same(now, before):
        return False
    if instance.manager.stored:
        instance.body = spec.codec.encode(agent)
    return True


def save_unit(instance: Instance, *others: Operation) -> Unit:
    """Build the unit that stores an instance's present state, and what goes with it.

    Raises:
        UnstorableState: a field is not of its declared type.
    """
    spec = instance.manager.spec
    body = instance.body
    if body is None:
        body = spec.codec.encode(instance.the_agent())
    family = instance.family
    record = Record(
        instance.address,
        _STATE,
        instance.rev + 1,
        spec.codec.version,
        body,
        None if family is None else instance.parent_address,
        "" if family is None else family.on_parent_stop.value,
    )
    operations = (Save(record), *others)
    return Unit(instance.address.partition, instance.partition.epoch, operations)


def record_stored(instance: Instance) -> None:
    """Count a save: the present state is durable."""
    instance.rev += 1
    instance.dirty = False
    instance.partition.counters.saves += 1
    if instance.manager.spec.codec.simple:
        instance.body = None


def is_stored(unit: Unit, rows: tuple[Record, ...]) -> bool:
    """Return whether the record that a unit was to save is stored."""
    return any(
        isinstance(operation, Save) and operation.record in rows
        for operation in unit.operations
    )


def stored_revision(rows: tuple[Record, ...]) -> int:
    """Return the revision at which a loaded state stands; 0: there is none."""
    return next((row.rev for row in rows if row.kind is RecordKind.STATE), 0)


def unsaved(instance: Instance) -> bool:
    """Return whether hibernating an instance has to write anything."""
    if instance.discard or instance.agent is None or not instance.manager.stored:
        return False
    return instance.dirty or instance.rev == 0
