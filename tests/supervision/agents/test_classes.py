from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import attrs
import pytest

from persistence import UnsupportedField
from supervision import Agent, HandlerError, Host, Message, Quarantined, handler, upcast
from supervision.agents.spec import AgentSpec
from supervision.declaration.upcasts import read_upcasts
from tests.support import Add, Counter, Crash, MakeStore, Read, answer

if TYPE_CHECKING:
    from tests.support import Note as Unseen

__all__: list[str] = []


async def test_a_class_may_be_declared_inside_a_function(host: Host) -> None:
    """B11: annotations may name what is local to that function."""

    class Local(Message[int]):
        n: int

    class Part(Message[int]):
        pass

    @attrs.define
    class Item:
        name: str = "item"

    class Inner(Agent):
        items: list[Item] = attrs.field(factory=list[Item])

        @handler
        def local(self, message: Local | Part) -> int:
            self.items.append(Item())
            return len(self.items)

    inner = host.manager("inner", Inner)
    ref = await inner.get("one", partition="acme")

    assert await ref.ask(Local(1)) == 1
    assert await ref.ask(Part()) == 2
    await inner.stop("one", partition="acme")
    assert await ref.ask(Part()) == 3


async def test_a_subclass_inherits_and_overrides_handlers(host: Host) -> None:
    """B11: the nearest class wins, by name and by message."""

    class Doubler(Counter):
        factor: int = 2

        @handler
        def add(self, message: Add) -> int:
            self.n += self.factor * message.n
            return self.n

    class Renamer(Counter):
        @handler
        async def other_name(self, message: Add) -> int:
            self.n += 100
            return self.n

    doubled = await host.manager("d", Doubler).get("one", partition="acme")
    renamed = await host.manager("r", Renamer).get("one", partition="acme")

    assert await doubled.ask(Add(3)) == 6
    assert await doubled.ask(Read()) == 6
    assert await renamed.ask(Add(3)) == 100
    assert await renamed.ask(Read()) == 100


class Two(Agent):
    @handler
    def one(self, message: Add) -> int:
        return 1

    @handler
    def other(self, message: Add) -> int:
        return 2


class Wrong(Agent):
    @handler
    def one(self, message: Add) -> str:
        return ""


class Bare(Agent):
    @handler  # pyright: ignore[reportUnknownArgumentType]  it lacks the annotation
    def one(self, message) -> int:  # type: ignore[no-untyped-def]  # noqa: ANN001  # pyright: ignore[reportMissingParameterType, reportUnknownParameterType]
        return 1


class NoMessage(Agent):
    @handler
    def one(self, message: int) -> int:
        return 1


class TooMany(Agent):
    @handler
    def one(self, message: Add, other: int) -> int:
        return other


class Unresolved(Agent):
    @handler
    def one(self, message: Unseen) -> int:
        return 1


@pytest.mark.parametrize(
    ("agent", "reason"),
    [
        (Two, "Two.one handles Add already"),
        (Wrong, "returns str, but Add promises int"),
        (Bare, "annotate 'message' with a subclass of Message"),
        (NoMessage, "annotate 'message' with a subclass of Message"),
        (TooMany, "a handler takes self and one message"),
        (Unresolved, "uses 'Unseen', which is not defined"),
    ],
)
def test_a_class_that_cannot_work_is_refused_when_it_is_declared(
    agent: type[Agent], reason: str
) -> None:
    """Holds 8: with the place and what to do, before any instance exists."""
    host = Host("memory://")

    with pytest.raises(HandlerError, match=reason):
        host.manager("agents", agent)


def test_a_field_that_cannot_be_stored_is_refused_when_it_is_declared() -> None:
    """B12: not at the first hibernation."""

    class Unstorable(Agent):
        loop: asyncio.AbstractEventLoop | None = None

    with pytest.raises(UnsupportedField):
        Host("memory://").manager("agents", Unstorable)


class OldNotes(Agent):
    text: str = ""

    @handler
    def add(self, message: Add) -> int:
        self.text += "line\n" * message.n
        return len(self.text)


class Notes(Agent):
    state_version = 3
    lines: list[str] = attrs.field(factory=list[str])
    size: int = 0

    @staticmethod
    @upcast(1)
    def split(state: dict[str, object]) -> dict[str, object]:
        state["lines"] = str(state.pop("text")).splitlines()
        return state

    @staticmethod
    @upcast(2)
    def count(state: dict[str, object]) -> dict[str, object]:
        return {**state, "size": str(state["lines"]).count("line")}

    @handler
    def read(self, message: Read) -> int:
        return self.size


async def test_an_old_state_is_lifted_step_by_step(make: MakeStore) -> None:
    """Holds 6 and B12: from version 1 to 3, through both upcasts."""
    await _write_old(make)

    async with Host(store=make()) as host:
        notes = host.manager("notes", Notes)
        ref = await notes.get("one", partition="acme")
        assert await ref.ask(Read()) == 3


async def test_an_upcast_that_fails_quarantines_and_keeps_the_row(
    make: MakeStore,
) -> None:
    """Holds 6: a bug in an upcast loses nothing; mended code thaws the row."""

    class Broken(Notes):
        @staticmethod
        @upcast(1)
        def split(state: dict[str, object]) -> dict[str, object]:
            raise KeyError(str(state))

    await _write_old(make)

    async with Host(store=make()) as host:
        broken = host.manager("notes", Broken)
        with pytest.raises(Quarantined, match="upcast from version 1"):
            await broken.get("one", partition="acme")

    async with Host(store=make()) as host:
        notes = host.manager("notes", Notes)
        await notes.release("one", partition="acme", actor="eve", reason="mended")
        assert await (await notes.get("one", partition="acme")).ask(Read()) == 3


async def test_a_row_of_newer_code_is_never_touched(make: MakeStore) -> None:
    """Holds 6: an old process that meets a new row leaves it alone."""

    class Newer(OldNotes):
        state_version = 2

    async with Host(store=make()) as host:
        newer = host.manager("notes", Newer)
        await (await newer.get("one", partition="acme")).ask(Add(2))

    async with Host(store=make()) as host:
        old = host.manager("notes", OldNotes)
        with pytest.raises(Quarantined, match="version 2"):
            await old.get("one", partition="acme")


async def _write_old(make: MakeStore) -> None:
    async with Host(store=make()) as host:
        notes = host.manager("notes", OldNotes)
        await (await notes.get("one", partition="acme")).ask(Add(3))


def test_a_field_that_the_constructor_does_not_take_is_refused() -> None:
    """B12: what thawing could not give back is never declared durable."""

    class Hidden(Counter):
        seen: int = attrs.field(default=0, init=False)

    with pytest.raises(UnsupportedField, match="constructor of Hidden"):
        Host("memory://").manager("hidden", Hidden)


async def test_every_field_comes_back_after_a_crash(host: Host) -> None:
    """Holds 3: those of the base class and those of the subclass."""

    class Wide(Counter):
        total: int = 0

        @handler
        def add(self, message: Add) -> int:
            self.n += 1
            self.total += message.n
            return self.total

    wide = host.manager("wide", Wide)
    ref = await wide.get("one", partition="acme")
    await ref.ask(Add(4))

    await answer(ref.ask(Crash()))

    assert await ref.ask(Add(1)) == 5
    assert await ref.ask(Read()) == 2


def test_an_agent_without_fields_or_handlers_is_an_agent() -> None:
    """B11: reading a class leaves it as it is, and registers it nowhere."""

    class Empty(Agent):
        pass

    spec = AgentSpec.of(Empty)

    assert (spec.fields, spec.handlers) == ((), {})
    assert spec.read(Empty()) == ()
    assert attrs.has(Empty)


def _decorated() -> type[Agent]:
    @attrs.define(slots=False)
    class Twice(Agent):
        n: int = 0

    return Twice


def _rebuilt() -> type[Agent]:
    @attrs.define
    class Twice(Agent):
        n: int = 0

    return Twice


def _a_dataclass() -> type[Agent]:
    @dataclasses.dataclass
    class Twice(Agent):
        n: int = 0

    return Twice


@pytest.mark.parametrize("declare", [_decorated, _rebuilt, _a_dataclass])
def test_a_class_that_is_made_twice_is_refused(
    declare: Callable[[], type[Agent]],
) -> None:
    """B11: the second making loses the defaults, and rows would not thaw."""
    with pytest.raises(HandlerError, match="leave its decorator out"):
        AgentSpec.of(declare())


def test_a_constructor_that_declares_nothing_is_refused() -> None:
    """Holds 4: what it sets would be lost with every hibernation, unsaid."""
    with pytest.raises(
        HandlerError, match=r"Plain\.__init__: what it sets is not stor"
    ):

        class Plain(Agent):  # pyright: ignore[reportUnusedClass]  declaring it is the test
            def __init__(self) -> None:
                self.n = 0


def test_a_version_with_an_annotation_is_refused() -> None:
    """B11: it would become a field, and the class would stay at version 1."""
    with pytest.raises(HandlerError, match=r"Second\.state_version: .* annotation"):

        class Second(Agent):  # pyright: ignore[reportUnusedClass]  declaring it is the test
            state_version: int = 2  # type: ignore[misc]  # pyright: ignore[reportIncompatibleVariableOverride]  the mistake

    with pytest.raises(HandlerError, match=r"Later\.message_version: .* annotation"):

        class Later(Message[int]):  # pyright: ignore[reportUnusedClass]  declaring it is the test
            message_version: int = 2  # type: ignore[misc]  # pyright: ignore[reportIncompatibleVariableOverride]  the mistake

    class Third(Agent):
        state_version: ClassVar[int] = 3

    assert AgentSpec.of(Third).codec.version == 3


def test_an_upcast_works_on_either_side_of_staticmethod() -> None:
    """B12: an upcast that is overlooked would quarantine every stored row."""

    class Outside(Agent):
        state_version = 2

        @upcast(1)
        @staticmethod
        def lift(state: dict[str, object]) -> dict[str, object]:
            return state

    assert AgentSpec.of(Outside).codec.version == 2
    assert read_upcasts(Outside, 2).keys() == {1}


def test_upcasts_that_lead_nowhere_are_refused() -> None:
    """B12: found when the manager is declared, not when a row of a tenant is read."""

    class Gap(Agent):
        state_version = 3

        @staticmethod
        @upcast(1)
        def lift(state: dict[str, object]) -> dict[str, object]:
            return state

    class Beyond(Gap):
        state_version = 1

    def lift(cls: type[Agent], state: dict[str, object]) -> dict[str, object]:
        assert cls
        return state

    class Bound(Agent):
        state_version = 2

    lift.__dict__.update(vars(Gap.lift))
    type.__setattr__(Bound, "lift", classmethod(lift))

    for wrong, why in (
        (Gap, "version 3 and upcasts from"),
        (Beyond, "version 1 and upcasts from"),
        (Bound, "has to be a static method"),
    ):
        with pytest.raises(HandlerError, match=why):
            AgentSpec.of(wrong)


class PlainAudit:
    touched: int = 0
    limit: ClassVar[int] = 3


@dataclasses.dataclass
class DataAudit:
    touched: int = 0


@attrs.define(slots=False)
class AttrsAudit:
    touched: int = 0


class AgentAudit(Agent):
    touched: int = 0


@pytest.mark.parametrize("mixin", [PlainAudit, DataAudit])
@pytest.mark.parametrize("base", [Agent, Message])
def test_a_mixin_whose_fields_would_be_lost_is_refused(
    mixin: type[object], base: type[object]
) -> None:
    """Holds 4: what looks like state is state, or the class does not come to be."""
    with pytest.raises(HandlerError, match=rf"File\.touched.*{mixin.__name__}"):
        type("File", (mixin, base), {"__annotations__": {"name": "str"}, "name": ""})


@pytest.mark.parametrize(
    ("bases", "own"),
    [
        ((AttrsAudit, Agent), {}),
        ((AgentAudit,), {}),
        ((PlainAudit, Agent), {"touched": 0}),
    ],
)
def test_each_way_out_of_a_lost_field_makes_it_one(
    bases: tuple[type[object], ...], own: dict[str, object]
) -> None:
    annotations = dict.fromkeys(own, "int")
    file = type("File", bases, {"__annotations__": annotations, **own})

    assert issubclass(file, Agent)
    assert "touched" in AgentSpec.of(file).fields
