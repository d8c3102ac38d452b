"""What is read from an agent class, once, when a manager is declared."""

from __future__ import annotations

from operator import attrgetter, is_
from typing import TYPE_CHECKING, TypeGuard

import attrs

from persistence import Address, Codec, Record, build_codec

from ..declaration import (
    HandlerSpec,
    Message,
    MessageCodec,
    decorated,
    read_handlers,
    read_upcasts,
)
from ..errors import HandlerError, NotHandled
from .agent import Agent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..declaration import Offload
    from .instance import Instance

__all__ = [
    "AgentSpec",
    "offloaded",
]


@attrs.frozen(eq=False)
class AgentSpec:
    """What a manager reads from an agent class, once.

    Attributes:
        agent: the class.
        codec: its state to JSON and back.
        attributes: its declared fields as attrs describes them, types resolved.
        fields: the names of its declared fields, in order.
        read: takes an agent, returns its field values as a tuple.
        field_values: the values of all fields, or that of the only one; to compare.
        handlers: routing table by exact message type; grows by subclasses seen.
        wire: its durable messages to JSON and back.
        fitting: the defaults that were found to fit the declared types.
        has_on_start: whether the class overrides ``on_start``.
        has_on_stop: whether the class overrides ``on_stop``.
    """

    agent: type[Agent]
    codec: Codec[Agent]
    attributes: tuple[attrs.Attribute[object], ...]
    fields: tuple[str, ...]
    read: Callable[[Agent], tuple[object, ...]]
    field_values: Callable[[Agent], object]
    handlers: dict[type[object], HandlerSpec]
    wire: MessageCodec
    has_on_start: bool
    has_on_stop: bool
    fitting: list[object]

    @classmethod
    def of(cls, agent: type[Agent]) -> AgentSpec:
        """Read an agent class.

        Raises:
            HandlerError: an annotation that names nothing, or a bad handler.
            UnsupportedField: a field whose type cannot be stored.
        """
        names = {k: v for c in reversed(agent.__mro__) for k, v in _local_names(c)}
        try:
            fields = _attributes(agent, names)
            handlers = {
                message: spec if spec.offload is None else offloaded(spec, spec.offload)
                for message, spec in read_handlers(agent, names).items()
            }
        except NameError as error:
            raise HandlerError(
                agent.__qualname__,
                f"an annotation uses {error.name!r}, which is not defined where the "
                "class is declared; import it there, outside TYPE_CHECKING",
            ) from error
        return cls(
            agent=agent,
            attributes=fields,
            codec=build_codec(
                agent,
                version=agent.state_version,
                upcasts=read_upcasts(agent, agent.state_version),
            ),
            fields=tuple(a.name for a in fields),
            read=_reader(tuple(a.name for a in fields)),
            field_values=attrgetter(*(a.name for a in fields)) if fields else _nothing,
            handlers=handlers,
            wire=MessageCodec(handlers),
            has_on_start=agent.on_start is not Agent.on_start,
            has_on_stop=agent.on_stop is not Agent.on_stop,
            fitting=[attrs.NOTHING] * len(fields),
        )

    def fresh(self) -> Agent:
        """Make an agent that holds its defaults.

        Raises:
            UnstorableState: a default is not of its field's declared type.
            Exception: whatever the class raises, such as a missing default.
        """
        agent = self.agent()
        values = self.read(agent)
        if not self.codec.simple:
            self.codec.encode(agent)
        elif not all(map(is_, values, self.fitting)):
            self.codec.encode(agent)
            self.fitting[:] = values  # these cannot change, so no instance owns them
        return agent

    def build(self, values: Mapping[str, object]) -> Agent:
        """Make an agent that holds these values; fields not named get their default.

        Raises:
            Exception: whatever the class raises, such as a missing default.
        """
        attributes = self.attributes
        given = {
            a.alias or a.name: values[a.name]
            for a in attributes
            if a.init and a.name in values
        }
        agent = self.agent(**given)
        rest = {
            a.name: values[a.name]
            for a in attributes
            if not a.init and a.name in values
        }
        vars(agent).update(rest)
        return agent

    def fields_from(self, body: bytes, address: Address) -> dict[str, object]:
        """Decode a state of the present version into fresh field values."""
        agent = self.codec.decode(body, address=address, version=self.codec.version)
        return dict(zip(self.fields, self.read(agent), strict=True))

    def glanced(self, seen: object) -> dict[str, object]:
        """Return the field values that ``glance`` saw, by name."""
        if not _are_several(seen, self.fields):
            return {self.fields[0]: seen}
        return dict(zip(self.fields, seen, strict=True))

    def thaw(self, record: Record) -> Agent:
        """Make the agent that a stored record describes.

        Raises:
            RecordError: the record does not fit the class.
        """
        return self.codec.decode(
            record.body, address=record.address, version=record.version
        )

    def values_of(
        self, agent: Agent, body: bytes | None, address: Address
    ) -> dict[str, object]:
        """Return an agent's field values, free of anything it shares by reference."""
        if self.codec.simple or body is None:
            return dict(zip(self.fields, self.read(agent), strict=True))
        return self.fields_from(body, address)

    def handler_for(self, message: object, instance: Instance) -> HandlerSpec:
        """Find the handler of a message, by its class or its nearest base class.

        Raises:
            NotHandled: no handler takes it.
        """
        kind = type(message)
        for base in kind.__mro__:
            if (found := self.handlers.get(base)) is not None:
                if base is not kind:
                    self.handlers[kind] = found
                if (moved := instance.partition.moved) is not None:
                    return moved.get((instance.manager.name, found.name), found)
                return found
        raise NotHandled(
            instance.address,
            self.agent.__qualname__,
            kind.__qualname__ if isinstance(message, Message) else f"a {kind.__name__}",
            tuple(sorted(m.__qualname__ for m in self.handlers)),
        )


def offloaded(spec: HandlerSpec, offload: Offload) -> HandlerSpec:
    """Return a handler that runs in a thread or a process of the host it runs on."""

    async def run(agent: Agent, message: object) -> object:
        live = agent._podvisor_live()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  the class above
        return await live.manager.offloader.run(live, agent, moved, message)

    moved = attrs.evolve(spec, coroutine=run, offload=offload)
    return moved


def _local_names(cls: type[object]) -> list[tuple[str, object]]:
    names = vars(cls).get("_podvisor_names", {})
    return list(names.items())


def _attributes(
    agent: type[Agent], names: dict[str, object]
) -> tuple[attrs.Attribute[object], ...]:
    cls, made = agent, agent._podvisor_fields  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  the class above
    if not attrs.has(agent):
        return ()
    attrs.resolve_types(agent, localns=names)
    found: tuple[attrs.Attribute[object], ...] = attrs.fields(agent)
    if found is not made or "__dataclass_fields__" in vars(agent):
        raise decorated(cls, Agent)  # a second making has lost the defaults
    return found


def _are_several(
    seen: object, fields: tuple[str, ...]
) -> TypeGuard[tuple[object, ...]]:
    return isinstance(seen, tuple) and len(fields) != 1


def _nothing(_: Agent) -> tuple[object, ...]:
    return ()


def _reader(fields: tuple[str, ...]) -> Callable[[Agent], tuple[object, ...]]:
    match fields:
        case ():
            return _nothing
        case (only,):
            one = attrgetter(only)
            return lambda agent: (one(agent),)
        case _:
            return attrgetter(*fields)
