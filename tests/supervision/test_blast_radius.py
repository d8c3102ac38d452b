from __future__ import annotations

import asyncio
import functools
import os
import re
import threading
from pathlib import Path

import anyio.to_thread
import attrs
import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import (  # noqa: TID251  a test is an application
    ReadableSpan,
    Span,
    SpanProcessor,
    TracerProvider,
)

from supervision import Host, HostPolicy, Message, TelemetryPolicy, handler
from tests.support import (
    Add,
    AddLater,
    Counter,
    Crash,
    MakeStore,
    Read,
    answer,
    eventually,
)

__all__: list[str] = []


class BrokenProcessor(SpanProcessor):
    """A pipeline that raises where the specification forbids it."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.raised = 0

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self._maybe("start")

    def on_end(self, span: ReadableSpan) -> None:
        self._maybe("end")

    def _maybe(self, where: str) -> None:
        if self.where == where:
            self.raised += 1
            msg = "the collector is gone"
            raise OSError(msg)


@pytest.mark.parametrize("where", ["start", "end"])
async def test_a_span_processor_that_raises_reaches_no_turn(
    make: MakeStore, where: str
) -> None:
    """P1: telemetry is a window; what breaks in it changes nothing behind it."""
    broken = BrokenProcessor(where)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(broken)
    policy = HostPolicy(telemetry=TelemetryPolicy(tracer_provider=provider))

    async with Host(store=make(), policy=policy) as host:
        counters = host.manager("counters", Counter)
        ref = await counters.get("one", partition="acme")
        assert await ref.ask(Add()) == 1
        assert await ref.ask(AddLater()) == 2
        await ref.tell(Add())
        assert isinstance(await answer(ref.ask(Crash())), RuntimeError)
        assert await counters.stop("one", partition="acme")
        ref = await counters.get("one", partition="acme")
        assert await ref.ask(Read()) == 3

    assert broken.raised


@pytest.mark.parametrize("how", ["asyncio", "anyio"])
async def test_a_tenant_that_uses_up_the_threads_stops_nobody(
    make: MakeStore, how: str
) -> None:
    """P1: the runtime itself needs none of the threads that tenants share."""
    gate = threading.Event()
    entered = Entered()

    async with Host(store=make()) as host, asyncio.TaskGroup() as group:
        callers = host.manager("callers", Caller)
        counters = host.manager("counters", Counter)
        for number in range(THREADS + 1):
            bad = await callers.get(f"k{number}", partition="acme")
            group.create_task(bad.ask(Block(how, entered, gate)))
        await eventually(lambda: entered.count >= entered.most[how])

        ref = await counters.get("one", partition="globex")
        served = [await ref.ask(AddLater()), await ref.ask(Add())]
        await counters.stop("one", partition="globex")
        ref = await counters.get("one", partition="globex")
        served.append(await ref.ask(Read()))

        gate.set()
    assert served == [1, 2, 2]


@attrs.define(eq=False)
class Entered:
    """How many threads were taken, and how many there are to take."""

    count: int = 0
    most: dict[str, int] = attrs.field(
        factory=lambda: {"asyncio": min(32, (os.cpu_count() or 1) + 4), "anyio": 40}
    )

    def enter(self, gate: threading.Event) -> None:
        self.count += 1
        gate.wait()


THREADS = 40


class Block(Message[None]):
    """Block a thread until the gate opens."""

    how: str
    entered: Entered
    gate: threading.Event


class Caller(Counter):
    @handler
    async def block(self, message: Block) -> None:
        work = functools.partial(message.entered.enter, message.gate)
        if message.how == "anyio":
            await anyio.to_thread.run_sync(work)
        else:
            await asyncio.to_thread(work)


ROOT = Path(__file__).parents[2]
ROWS = re.compile(r"^\|(?P<cells>.+)\|$", re.MULTILINE)
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_every_shared_resource_names_a_fault_that_was_tried() -> None:
    """P1: a row of the table without a test is an opinion."""
    text = (ROOT / "docs/blast-radius.md").read_text(encoding="utf-8")
    table = next(part for part in text.split("\n\n") if part.startswith("|"))
    rows = [row for row in ROWS.findall(table) if "---" not in row][1:]

    named = {row.split("|")[0].strip(): NAMED.findall(row) for row in rows}

    assert len(named) == len(rows) >= 20
    assert [resource for resource, tests in named.items() if not tests] == []
    missing = [
        f"{file}::{test}"
        for tests in named.values()
        for file, test in tests
        if f"def {test}(" not in _source(file)
    ]
    assert missing == []


def _source(file: str) -> str:
    path = ROOT / file
    return path.read_text(encoding="utf-8") if path.exists() else ""
