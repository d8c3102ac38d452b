"""Agents: the classes that users write.

An agent class is made an attrs class as it is declared, in place: its fields are its
durable state. Nothing is registered anywhere; a manager reads the class when it is
declared on a host.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self, dataclass_transform

import attrs

from ..declaration import check_class, check_fields
from ..errors import OutOfRuntime
from .ref import AgentRef

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

    from .context import AgentContext
    from .extension import Traits
    from .instance import Instance

__all__ = ["Agent"]


@dataclass_transform(kw_only_default=True, field_specifiers=(attrs.field,))
class Agent:
    """Base of everything that is addressed, has state and handles messages.

    Declare fields with types and defaults; they are stored. Handle messages with
    methods marked ``@handler``. An attribute that is not declared is not stored and is
    gone after a crash or a hibernation: set it up in ``on_start``.

    Attributes:
        state_version: schema version of the fields; raise it together with an
            ``@upcast`` when they change their meaning.
    """

    state_version: ClassVar[int] = 1
    if TYPE_CHECKING:  # their types are not importable when annotations are resolved
        _podvisor_instance: ClassVar[Instance | None]
        _podvisor_fields: ClassVar[object]
        _podvisor_names: ClassVar[Mapping[str, object]]
        __traits__: ClassVar[Traits | None]
    else:
        _podvisor_instance = None
        _podvisor_fields = None
        _podvisor_names = {}
        __traits__ = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        check_class(cls, Agent)
        attrs.define(cls, slots=False, kw_only=True, eq=False)
        cls._podvisor_fields = check_fields(cls)
        cls._podvisor_names = _names_for(cls)

    def __ref__(self) -> AgentRef[Self]:
        """Return a ref to this very instance."""
        live = self._podvisor_live()
        return AgentRef(live.manager.port, live.address, live, caller=live)

    @property
    def context(self) -> AgentContext:
        """What this instance may know and do: address, family, messages.

        Raises:
            OutOfRuntime: the object was made by hand, or its instance has stopped.
        """
        return self._podvisor_live().context()

    async def on_start(self) -> None:
        """Prepare what is not stored, before the first message of an activation."""

    async def on_stop(self) -> None:
        """Release what is not stored, after the last message of an activation."""

    def _podvisor_live(self) -> Instance:
        if self._podvisor_instance is None:
            raise OutOfRuntime(type(self).__qualname__)
        return self._podvisor_instance


_PACKAGES = tuple(
    str(Path(__file__).parents[2] / name) for name in ("supervision", "pods")
)


def _names_for(cls: type[object]) -> dict[str, object]:
    """Find the names that annotations of a class declared inside a function use.

    Only strings that name something outside the module are looked up, and only those
    are kept, so that no frame is held alive.
    """
    wanted = _names_in_annotations(cls)
    found: dict[str, object] = {cls.__name__: cls}
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  the declaring scope
    while frame is not None and wanted and frame.f_code.co_name != "<module>":
        if not frame.f_code.co_filename.startswith(_PACKAGES):
            for name in list(wanted):
                if name in frame.f_locals:
                    found.setdefault(name, frame.f_locals[name])
                    wanted.discard(name)
        frame = frame.f_back
    return found


def _names_in_annotations(cls: type[object]) -> set[str]:
    texts: set[str] = set()
    for value in (cls, *vars(cls).values()):
        annotations: Mapping[str, object] = (
            inspect.get_annotations(value)
            if (inspect.isfunction(value) or value is cls)
            else {}
        )
        texts.update(a for a in annotations.values() if isinstance(a, str))
    names: set[str] = set()
    for text in texts:
        names.update(compile(text, "<annotation>", "eval").co_names)
    return names
