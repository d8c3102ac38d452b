from __future__ import annotations

import attrs
import pytest

from supervision import Agent, Host, Message, StartFailed, handler
from supervision.agents.spec import AgentSpec
from tests.support import Counter, Read

__all__: list[str] = []


class Push(Message[int]):
    """Append one."""


def words() -> list[int]:
    found: list[object] = ["not a number"]
    return found  # type: ignore[return-value]  # pyright: ignore[reportReturnType]  the mistake under test


class Mistaken(Agent):
    numbers: list[int] = attrs.field(factory=words)

    @handler
    def push(self, message: Push) -> int:
        self.numbers.append(1)
        return len(self.numbers)


class Growing(Agent):
    numbers: list[int] = attrs.field(factory=list[int])


async def test_a_default_of_a_wrong_type_is_a_failed_start(host: Host) -> None:
    """Holds 7: it does not leave an instance behind that never answers."""
    mistaken = host.manager("mistaken", Mistaken)
    counters = host.manager("counters", Counter)

    with pytest.raises(StartFailed, match="numbers"):
        await mistaken.get("m", partition="acme")

    other = await counters.get("c", partition="acme")
    assert await other.ask(Read()) == 0


def test_a_default_that_can_change_is_kept_by_nobody() -> None:
    """A4: the list of a fresh agent is that tenant's state, and of no use to others."""
    spec = AgentSpec.of(Growing)

    spec.fresh()

    assert not any(isinstance(value, list) for value in spec.fitting)
