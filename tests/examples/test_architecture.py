"""Follows four calls through the code, and holds the trace against the page.

``docs/architecture.md`` lists the steps of each call with files and functions. The
profiler says which functions of the product were really called, in which order.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType

from pods import Agent, Host, InstanceManager, Message, Pod, eager, handler
from pods.testing import FrozenClock
from tests.support import eventually

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
STEP = re.compile(r"^(\d+)\. `([\w/]+\.py)`\s+`([\w.]+)`", re.MULTILINE)

Call = tuple[str, str]
"""A file, relative to the checkout, and the qualified name of a function in it."""


class Add(Message[int]):
    by: int = 1


class Later(Message[None]):
    pass


class Counter(Agent):
    total: int = 0

    @handler
    async def add(self, message: Add) -> int:
        self.total += message.by
        return self.total

    @handler
    async def later(self, message: Later) -> None:
        self.context.schedule(Add(5), after=60, name="later")


class Team(Pod):
    lead = eager(Counter, manager="counters")


class Traced:
    """A host in an SQLite file on a clock that stands, and what it calls."""

    def __init__(self, host: Host, clock: FrozenClock) -> None:
        self.clock = clock
        self.counters: InstanceManager[Counter] = host.manager("counters", Counter)
        self.teams: InstanceManager[Team] = host.manager("teams", Team)


def steps(section: str) -> list[Call]:
    """Return the steps of a section of the page, in order."""
    text = PAGE.split(f"<!-- trace: {section} -->")[1].split("\n## ")[0]
    found = STEP.findall(text)
    assert [int(number) for number, _, _ in found] == list(range(1, 11))
    return [(file, function) for _, file, function in found]


@contextmanager
def calls() -> Generator[list[Call]]:
    """Record the calls of the product in every thread that starts from now on."""
    found: list[Call] = []
    prefix = f"{ROOT}/"
    products = tuple(
        f"{prefix}{name}/" for name in ("pods", "supervision", "persistence")
    )

    def record(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(products):
            found.append((code.co_filename.removeprefix(prefix), code.co_qualname))

    before = sys.getprofile()
    threading.setprofile(record)
    sys.setprofile(record)
    try:
        yield found
    finally:
        sys.setprofile(before)
        threading.setprofile(None)


def missing(wanted: list[Call], found: list[Call]) -> list[Call]:
    """Return the steps that were not called after the step before them."""
    rest = iter(found)
    return [step for step in wanted if step not in rest]


@asynccontextmanager
async def traced_host(path: Path) -> AsyncGenerator[tuple[Traced, list[Call]]]:
    """Open a host whose threads are traced from their start."""
    clock = FrozenClock()
    with calls() as found:
        async with Host(path, clock=clock) as host:
            yield Traced(host, clock), found


async def test_an_ask_goes_where_the_page_says(tmp_path: Path) -> None:
    async with traced_host(tmp_path / "a.db") as (traced, found):
        counter = await traced.counters.get("one", partition="acme")
        found.clear()

        await counter.ask(Add())

        assert missing(steps("ask"), found) == []


async def test_a_save_goes_where_the_page_says(tmp_path: Path) -> None:
    async with traced_host(tmp_path / "a.db") as (traced, found):
        counter = await traced.counters.get("one", partition="acme")
        found.clear()

        await counter.ask(Add())

        assert missing(steps("save"), found) == []


async def test_the_get_of_a_pod_goes_where_the_page_says(tmp_path: Path) -> None:
    async with traced_host(tmp_path / "a.db") as (traced, found):
        team = await Team.get(traced.teams, "one", partition="acme")
        await team.stop()
        found.clear()

        await Team.get(traced.teams, "one", partition="acme")

        assert missing(steps("get"), found) == []


async def test_a_timer_goes_where_the_page_says(tmp_path: Path) -> None:
    async with traced_host(tmp_path / "a.db") as (traced, found):
        counter = await traced.counters.get("one", partition="acme")
        found.clear()

        await counter.ask(Later())
        traced.clock.advance(61)
        last = steps("timer")[-1]
        await eventually(lambda: last in found)

        assert missing(steps("timer"), found) == []


def test_a_step_that_was_not_taken_is_found() -> None:
    found = [("a.py", "f"), ("b.py", "g")]

    assert missing([("a.py", "f"), ("b.py", "g")], found) == []
    assert missing([("b.py", "g"), ("a.py", "f")], found) == [("a.py", "f")]


def test_every_room_stands_on_the_page() -> None:
    rooms = {
        f"{path.parent.relative_to(ROOT)}/"
        for package in ("pods", "supervision", "persistence")
        for path in (ROOT / package).glob("*/__init__.py")
    }
    table = PAGE.split("## The rooms")[1].split("\n## ")[0]
    named = set(re.findall(r"`((?:pods|supervision|persistence)/\w+/)`", table))
    named |= {"persistence/files/", "persistence/postgres/", "persistence/memory/"}

    assert named == rooms
