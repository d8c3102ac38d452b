"""Messages, and the handlers that an agent class declares for them."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Awaitable, Callable, Mapping
from typing import ClassVar, Generic, TypeVar, dataclass_transform, overload

import attrs

from persistence import Key  # noqa: TC001  annotates a field of a message

from ..errors import HandlerError
from ..fairness import Priority
from .fields import check_class, check_fields
from .offload import Offload, check_importable, check_offload

__all__ = ["HandlerSpec", "Message", "ParentStopped", "handler", "read_handlers"]

R_co = TypeVar("R_co", covariant=True)
F = TypeVar("F", bound=Callable[..., object])

_MARK = "__podvisor_handler__"


@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field,))
class Message(Generic[R_co]):
    """What is sent to an agent; the type argument is the type of the reply.

    A subclass becomes a frozen attrs class when it is declared::

        class Review(Message[int]):
            text: str

    Messages and replies are passed on as they are, not copied. Build them of values
    that do not change (a ``tuple`` and not a ``list``), or copy before you change.

    A message that is sent with ``durable=True``, scheduled, or asked with an
    idempotency key is stored. Its fields then need types that can be stored.

    Attributes:
        priority: how urgent messages of this class are among the others of their
            partition; ``priority = Priority.URGENT`` in a subclass changes it, and
            ``priority=`` of ``ask`` and ``tell`` changes it for one message.
        message_name: the name of the class in stored messages; by default its own.
            Set it before the class is renamed.
        message_version: schema version of the fields; raise it together with an
            ``@upcast`` when they change their meaning.
    """

    priority: ClassVar[Priority] = Priority.NORMAL
    message_name: ClassVar[str | None] = None
    message_version: ClassVar[int] = 1

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        check_class(cls, Message)
        attrs.define(cls, slots=False, frozen=True)
        check_fields(cls)


class ParentStopped(Message[None]):
    """Sent to a child declared with ``OnParentStop.NOTIFY`` when its parent stopped.

    Attributes:
        manager: name of the parent's manager.
        key: the parent's key.
    """

    manager: str
    key: Key


def _is_direct(spec: HandlerSpec) -> bool:
    return spec.coroutine is None and spec.needs is None


@attrs.frozen
class HandlerSpec:
    """One way an agent class handles a message type.

    Attributes:
        name: ``Class.method``, for errors and telemetry.
        function: the plain function, called with the agent and the message.
        coroutine: the same function if it is a coroutine function.
        raises: exceptions that are replies and no crash.
        reply: the annotated type of what it returns.
        annotated: whether there is such an annotation.
        offload: where it runs; ``None``: on the event loop.
        needs: the resource of the host that a turn has while it runs.
        direct: whether it needs neither a task nor a resource.
    """

    name: str
    function: Callable[..., object]
    coroutine: Callable[..., Awaitable[object]] | None
    raises: tuple[type[Exception], ...]
    reply: object = None
    annotated: bool = False
    offload: Offload | None = None
    needs: str | None = None
    direct: bool = attrs.field(
        init=False, default=attrs.Factory(_is_direct, takes_self=True)
    )


@attrs.frozen
class _Mark:
    raises: tuple[type[Exception], ...]
    offload: Offload | None
    needs: str | None


@overload
def handler(function: F, /) -> F: ...


@overload
def handler(
    *,
    raises: tuple[type[Exception], ...] = (),
    offload: Offload | None = None,
    needs: str | None = None,
) -> Callable[[F], F]: ...


def handler(
    function: F | None = None,
    /,
    *,
    raises: tuple[type[Exception], ...] = (),
    offload: Offload | None = None,
    needs: str | None = None,
) -> F | Callable[[F], F]:
    """Mark a method as the handler of the message type that annotates its parameter.

    An exception undoes the turn and reaches the caller of the ask. One that is listed
    in ``raises`` is a reply and nothing more. Any other is a crash: the instance is
    rebuilt from its last turn under the ``RestartPolicy`` of its manager.

    A ``def`` handler that takes long blocks the whole host; ``offload`` moves it out of
    the event loop. In a thread it is a handler like any other. In a process it is a
    pure function::

        class Reader(Agent):
            @handler(offload="thread")
            def parse(self, message: Parse) -> int: ...

            @staticmethod
            @handler(offload="process")
            def score(message: Score) -> float: ...

    There it has no ``self``; it, its message and its reply must pickle.

    Args:
        function: the method, ``def`` or ``async def``, with one parameter.
        raises: exception types that are replies.
        offload: ``"thread"`` or ``"process"``; by default it runs on the event loop.
        needs: a resource of ``DispatchPolicy(resources=...)``. A turn begins when it
            can have one unit, holds no seat until then, and gives the unit back when
            it ends.
    """

    def mark(f: F) -> F:
        setattr(f, _MARK, _Mark(raises, offload, needs))
        return f

    return mark if function is None else mark(function)


def read_handlers(
    cls: type[object], names: Mapping[str, object]
) -> dict[type[object], HandlerSpec]:
    """Build the routing table of an agent class, nearest class first.

    Args:
        cls: the agent class.
        names: names that annotations may use in addition to those of their module.

    Raises:
        HandlerError: one message has two handlers, or the annotation of a parameter is
            not a message type.
        NameError: an annotation cannot be resolved yet.
    """
    table: dict[type[object], HandlerSpec] = {}
    seen: set[str] = set()
    for base in cls.__mro__:
        own: dict[type[object], str] = {}
        for name, value in vars(base).items():
            static = isinstance(value, staticmethod)
            function = value.__func__ if static else value
            mark = getattr(function, _MARK, getattr(value, _MARK, None))
            if name in seen or not isinstance(mark, _Mark):
                continue
            where = f"{base.__qualname__}.{name}"
            check_offload(where, function, mark.offload, static=static)
            _check_need(where, mark.needs)
            coroutine = function if inspect.iscoroutinefunction(function) else None
            hints = typing.get_type_hints(function, localns=dict(names))
            spec = HandlerSpec(
                where,
                function,
                coroutine,
                mark.raises,
                reply=hints.get("return"),
                annotated="return" in hints,
                offload=mark.offload,
                needs=mark.needs,
            )
            for message in _message_types(where, function, hints, static=static):
                if mark.offload == "process":
                    check_importable(where, message)
                if message in own:
                    raise HandlerError(
                        where, f"{own[message]} handles {message.__qualname__} already"
                    )
                own[message] = where
                table.setdefault(message, spec)
        seen.update(vars(base))
    return table


def _check_need(where: str, needs: object) -> None:
    # Typed as object, for callers without a type checker.
    if needs is not None and type(needs) is not str:
        raise HandlerError(where, f"needs={needs!r} is not the name of a resource")


def _message_types(
    where: str,
    function: Callable[..., object],
    hints: Mapping[str, object],
    *,
    static: bool,
) -> list[type[object]]:
    parameters = list(inspect.signature(function).parameters)
    if len(parameters) != (1 if static else 2):
        wanted = "one message" if static else "self and one message"
        raise HandlerError(where, f"a handler takes {wanted}")
    annotation = hints.get(parameters[-1])
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    members: tuple[object, ...] = (
        typing.get_args(annotation) if union else (annotation,)
    )
    found: list[type[object]] = []
    for message in members:
        if not (isinstance(message, type) and Message in message.__mro__):
            raise HandlerError(
                where, f"annotate {parameters[-1]!r} with a subclass of Message"
            )
        _check_reply(where, message, hints.get("return"))
        found.append(message)
    return found


def _check_reply(where: str, message: type[object], reply: object) -> None:
    for base in message.__mro__:
        for generic in getattr(base, "__orig_bases__", ()):
            if typing.get_origin(generic) is not Message:
                continue
            promised: object = typing.get_args(generic)[0]
            if not isinstance(promised, type) or not isinstance(reply, type):
                return
            if not issubclass(reply, promised):
                raise HandlerError(
                    where,
                    f"it returns {reply.__name__}, but {message.__qualname__} "
                    f"promises {promised.__name__}",
                )
            return
