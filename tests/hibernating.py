"""The suite once more, with instances that hibernate between every two messages.

``PODVISOR_TEST_IDLE=0 pytest tests`` gives every manager that sets no idle timeout one
of 0, unless nothing of its instances is ever stored, and asks before every message
whether the family of its target is idle; the product answers, as it does when a timer
of its own asks. So every message meets an instance that was stored and thawed since the
one before. ``tests.stays_live`` lists the tests that presume a live instance. Tests of
other processes (``tests/crash``) are what they are without it.
"""

from __future__ import annotations

import os
from weakref import WeakKeyDictionary

import attrs
import pytest

from supervision import (
    AgentRef,
    Durability,
    ManagerPolicy,
    Message,
    Priority,
)
from supervision.agents.spec import AgentSpec
from supervision.agents.staging import Acknowledgement
from supervision.extending import Instance, ManagerInfo, Traits
from supervision.host.runtime import Runtime
from supervision.lifecycle.catalog import Catalog
from supervision.lifecycle.idle import Idle
from supervision.messaging.calls import Calls
from tests.stays_live import STAYS_LIVE

__all__ = ["always_hibernate", "hibernates"]


_IDLE: WeakKeyDictionary[Catalog, Idle] = WeakKeyDictionary()
"""The idle timers of each host, by its catalog."""


class Restless(Idle):
    """Lets a family hibernate when it is told to, if it may by then."""

    def ask(self, instance: Instance) -> None:
        """Let the family of an instance hibernate now if it may."""
        while instance.parent is not None:
            instance = instance.parent
        if instance.manager.policy.idle_timeout == 0:
            self._next_look(instance, self._clock.monotonic())


def hibernates(node: pytest.Item) -> bool:
    """Say whether the instances of a test hibernate in this run."""
    if os.environ.get("PODVISOR_TEST_IDLE") != "0":
        return False
    file, _, name = node.nodeid.partition("::")
    return name.rpartition("::")[2].partition("[")[0] not in STAYS_LIVE.get(file, {})


def always_hibernate(patch: pytest.MonkeyPatch) -> None:
    """Make hosts whose instances hibernate whenever they may, until it is undone."""
    declare = Runtime.declare
    ask, tell = Calls.ask, Calls.tell

    def restless(
        self: Runtime, name: str, spec: AgentSpec, policy: ManagerPolicy, traits: Traits
    ) -> ManagerInfo:
        if policy.idle_timeout is None and policy.durability is not Durability.NONE:
            policy = attrs.evolve(policy, idle_timeout=0)
        _IDLE[self.catalog] = self.idle
        return declare(self, name, spec, policy, traits)

    async def asked(
        self: Calls,
        ref: AgentRef[object],
        message: Message[object],
        seconds: float | None,
        priority: Priority | None,
        delivery: Acknowledgement | None = None,
    ) -> object:
        _before(self.catalog, ref)
        return await ask(self, ref, message, seconds, priority, delivery)

    def told(
        self: Calls,
        ref: AgentRef[object],
        message: Message[object],
        priority: Priority | None,
        *,
        hurry: bool,
    ) -> bool:
        _before(self.catalog, ref)
        return tell(self, ref, message, priority, hurry=hurry)

    patch.setattr("supervision.host.runtime.Idle", Restless)
    patch.setattr(Runtime, "declare", restless)
    patch.setattr(Calls, "ask", asked)
    patch.setattr(Calls, "tell", told)


def _before(catalog: Catalog, ref: AgentRef[object]) -> None:
    idle, instance = _IDLE.get(catalog), catalog.find(ref.address)
    if isinstance(idle, Restless) and instance is not None:
        idle.ask(instance)
