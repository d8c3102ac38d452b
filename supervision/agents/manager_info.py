"""What all instances of one manager have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

    from .agent import Agent
    from .context import AgentContext
    from .extension import Extension
    from .instance import Instance
    from .policy import ManagerPolicy
    from .ref import AgentRef, Port
    from .services import Offloads
    from .spec import AgentSpec

__all__ = ["ManagerInfo"]


@attrs.frozen(eq=False)
class ManagerInfo:
    """A manager as its instances see it.

    Attributes:
        name: the manager's name.
        spec: what was read from the agent class.
        policy: how its instances are treated.
        port: the way to an instance, for refs.
        ref: the kind of ref its instances are reached through.
        view: makes the context that an agent sees.
        stored: whether its instances have rows.
        each_turn: whether every turn that changed something is saved by itself.
        extension: what its agent class adds to their life.
        offloader: runs handlers outside the event loop.
    """

    name: str
    spec: AgentSpec
    policy: ManagerPolicy
    port: Port
    ref: type[AgentRef[Agent]]
    view: Callable[[Instance], AgentContext]
    stored: bool
    each_turn: bool
    extension: Extension | None
    offloader: Offloads
