"""Three tenants, one process, one pod class: each tenant's team reviews real code.

``podvisor demo`` runs this file. Every tenant has a ``Workspace`` under the very same
key and reviews another package of the standard library. Half-way through, one of the
three is hibernated; the demo shows that the others were not touched, thaws it, and lets
it go on where it was. Read it from top to bottom: it uses most of the API.
"""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import sqlite3
import tempfile
import threading
from collections import defaultdict
from pathlib import Path
from urllib.parse import quote

import attrs
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from pods import (
    PARTITION_ATTRIBUTE,
    Agent,
    Host,
    HostPolicy,
    InstanceManager,
    Message,
    Pod,
    PodRef,
    Signals,
    eager,
    handler,
    lazy,
    nested,
    setup_telemetry,
)

TENANTS = {"acme": "json", "globex": "asyncio", "initech": "email"}
SLEEPER = "globex"  # the tenant that is hibernated in the middle of its work
KEY = "code-review"  # the same for everybody: the partition keeps them apart
SHOWN = 5  # modules in a tenant's table


# Values that messages carry and agents remember.


@attrs.frozen
class Metrics:
    module: str
    lines: int
    functions: int
    longest: int
    complexity: int
    undocumented: int


@attrs.frozen
class Standing:
    left: int  # modules still to do
    starts: int  # how often the workspace was started or thawed


# Messages: their fields, and in brackets the type of the reply.


class Assign(Message[Standing]):
    package: str


class ReviewNext(Message[Standing]):
    pass


class Look(Message[Standing]):
    pass


class Plan(Message[int]):
    modules: tuple[str, ...]


class Remaining(Message[tuple[str, ...]]):
    pass


class Finish(Message[int]):
    module: str


class Measure(Message[Metrics]):
    package: str
    module: str


class Publish(Message[None]):
    metrics: Metrics


class ReadReport(Message[list[Metrics]]):
    pass


# Agents: their fields are durable state. What a handler does takes effect as a whole or
# not at all, and its reply leaves after the commit.


class Coordinator(Agent):
    todo: tuple[str, ...] = ()

    @handler
    def plan(self, message: Plan) -> int:
        self.todo = self.todo or message.modules  # interrupted? go on with the rest
        return len(self.todo)

    @handler
    def remaining(self, message: Remaining) -> tuple[str, ...]:
        return self.todo

    @handler
    def finish(self, message: Finish) -> int:
        self.todo = tuple(m for m in self.todo if m != message.module)
        return len(self.todo)


class Reviewer(Agent):
    measured: int = 0

    @handler
    async def measure(self, message: Measure) -> Metrics:
        # Reading and parsing leave the event loop, which belongs to every tenant.
        metrics = await asyncio.to_thread(measure, message.package, message.module)
        self.measured += 1
        return metrics


class Writer(Agent):
    report: dict[str, Metrics] = attrs.field(factory=dict[str, Metrics])

    @handler
    def publish(self, message: Publish) -> None:
        self.report[message.metrics.module] = message.metrics

    @handler
    def read(self, message: ReadReport) -> list[Metrics]:
        return list(self.report.values())


# Pods: agents that own a team of others.


class Editorial(Pod):
    writer = eager(Writer, manager="writers")


class Workspace(Pod):
    package: str = ""
    starts: int = 0

    coordinator = eager(Coordinator, manager="coordinators")
    reviewer = lazy(Reviewer, manager="reviewers", owner=coordinator)
    editorial = nested(Editorial, manager="editorials", after=[coordinator])

    async def on_start(self) -> None:
        self.starts += 1

    @handler
    async def assign(self, message: Assign) -> Standing:
        self.package = message.package
        coordinator = await self.context.ensure_node(Workspace.coordinator)
        modules = await asyncio.to_thread(modules_of, message.package)
        return Standing(await coordinator.ask(Plan(modules)), self.starts)

    @handler
    async def review_next(self, message: ReviewNext) -> Standing:
        coordinator = await self.context.ensure_node(Workspace.coordinator)
        module, *_ = await coordinator.ask(Remaining())
        reviewer = await self.context.ensure_node(Workspace.reviewer)  # starts it once
        editorial = await self.context.ensure_node(Workspace.editorial)
        writer = await editorial.ensure_node(Editorial.writer)
        # Three agents are three turns. If the process dies between two of them, the
        # module is reviewed again and its line is written again: no harm in either.
        metrics = await reviewer.ask(Measure(self.package, module))
        await writer.ask(Publish(metrics))
        return Standing(await coordinator.ask(Finish(module)), self.starts)

    @handler
    async def look(self, message: Look) -> Standing:
        coordinator = await self.context.ensure_node(Workspace.coordinator)
        return Standing(len(await coordinator.ask(Remaining())), self.starts)


# The work itself: plain functions that know nothing of agents.

PARSING = (
    threading.Lock()
)  # some releases of Python cannot parse in two threads at once


def folder_of(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise LookupError(f"This Python has no package {package!r}.")
    return Path(spec.origin).parent


def modules_of(package: str) -> tuple[str, ...]:
    folder = folder_of(package)
    return tuple(sorted(f.relative_to(folder).as_posix() for f in folder.rglob("*.py")))


def measure(package: str, module: str) -> Metrics:
    source = (folder_of(package) / module).read_bytes()
    with PARSING:
        tree = ast.parse(source)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    functions = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    lengths = [(f.end_lineno or f.lineno) - f.lineno + 1 for f in functions]
    return Metrics(
        module=module,
        lines=source.count(b"\n"),
        functions=len(functions),
        longest=max(lengths, default=0),
        complexity=max(map(complexity, functions), default=0),
        undocumented=sum(ast.get_docstring(f) is None for f in functions),
    )


BRANCHES = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.comprehension)


def complexity(function: ast.AST) -> int:
    """Count paths: one, one more per branch, and one more per ``and`` or ``or``."""
    paths = 1
    for node in ast.walk(function):
        if isinstance(node, (*BRANCHES, ast.ExceptHandler, ast.match_case)):
            paths += 1
        elif isinstance(node, ast.BoolOp):
            paths += len(node.values) - 1
    return paths


# The demo: one host, five managers, three tenants.


async def demo(
    database: Path, console: Console, signals: Signals, most: int = 1_000
) -> None:
    """Review at most so many modules per tenant, and hibernate one half-way."""
    policy = HostPolicy(telemetry=signals.policy())
    url = f"sqlite+aiosqlite:///{quote(str(database))}"
    async with Host(url, policy=policy) as host:
        host.manager("coordinators", Coordinator)
        host.manager("reviewers", Reviewer)
        host.manager("writers", Writer)
        host.manager("editorials", Editorial)
        workspaces = host.manager("workspaces", Workspace, idle_timeout=900)

        pods = {t: await Pod.get(workspaces, KEY, partition=t) for t in TENANTS}
        for tenant, pod in pods.items():
            nodes = [f"{node.name} {node.state.value}" for node in await pod.nodes()]
            console.print(f"{tenant:<8} {', '.join(nodes)}")

        left = {t: (await pods[t].ask(Assign(p))).left for t, p in TENANTS.items()}
        todo = {t: min(n, most) for t, n in left.items()}
        await review(console, pods, {t: n // 2 for t, n in todo.items()}, "first half")
        await hibernate_one(console, workspaces, pods, database)
        rest = {t: n - n // 2 for t, n in todo.items()}
        await review(console, pods, rest, "second half")
        for tenant, pod in pods.items():
            console.print(await report_of(tenant, pod))
    # Leaving the block hibernated everything; what cannot be saved would be raised.
    console.print(spans_of(SLEEPER, signals))
    await signals.shutdown()


async def review(
    console: Console,
    pods: dict[str, PodRef[Workspace]],
    turns: dict[str, int],
    what: str,
) -> None:
    """Let all tenants work at the same time, one module per message."""
    with Progress(console=console) as progress:

        async def work(tenant: str) -> None:
            bar = progress.add_task(f"{tenant:<8} {what:<11}", total=turns[tenant])
            for _ in range(turns[tenant]):
                await pods[tenant].ask(ReviewNext())
                progress.advance(bar)

        async with asyncio.TaskGroup() as group:
            for tenant in pods:
                group.create_task(work(tenant))


async def hibernate_one(
    console: Console,
    workspaces: InstanceManager[Workspace],
    pods: dict[str, PodRef[Workspace]],
    database: Path,
) -> None:
    """Hibernate one tenant's workspace, prove that it was the only one, and thaw it."""
    before = {tenant: await pod.ask(Look()) for tenant, pod in pods.items()}
    rows = await asyncio.to_thread(rows_on_disk, database)
    await workspaces.stop(KEY, partition=SLEEPER)
    rows_now = await asyncio.to_thread(rows_on_disk, database)

    table = Table("Tenant", "Workspace", "Modules to do", "Rows", "Rows written")
    table.title = f"While {SLEEPER} hibernates"
    for tenant in TENANTS:
        ref = workspaces.lookup(KEY, partition=tenant)
        written = len(rows_now[tenant] - rows[tenant])
        cells = (before[tenant].left, len(rows_now[tenant]), written)
        table.add_row(tenant, "live" if ref else "hibernated", *map(str, cells))
        untouched = ref is not None and rows_now[tenant] == rows[tenant]
        check(tenant == SLEEPER or untouched, f"{tenant} was touched")
        check(tenant != SLEEPER or ref is None, f"{tenant} is still live")
    console.print(table)

    for tenant, pod in pods.items():  # a message is enough to thaw the sleeper
        now, then = await pod.ask(Look()), before[tenant]
        check(now.left == then.left, f"{tenant} lost its place")
        check(now.starts - then.starts == (tenant == SLEEPER), f"{tenant} restarted")
    console.print(f"{SLEEPER} is thawed where it was; nobody else started anew.\n")


def rows_on_disk(database: Path) -> dict[str, set[tuple[object, ...]]]:
    """Read which rows each tenant has, with revision and checksum, beside the host."""
    found: dict[str, set[tuple[object, ...]]] = defaultdict(set)
    reader = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)
    for row in reader.execute(
        "SELECT partition, manager, key, kind, rev, checksum FROM podvisor_records"
    ):
        found[row[0]].add(row)
    reader.close()
    return found


async def report_of(tenant: str, pod: PodRef[Workspace]) -> Table:
    editorial = await pod.ensure_node(Workspace.editorial)
    writer = await editorial.ensure_node(Editorial.writer)
    report = sorted(await writer.ask(ReadReport()), key=lambda m: -m.complexity)
    shown = report[:SHOWN]
    title = f"{tenant}: {len(shown)} of {len(report)} modules, most complex first"
    table = Table(title=title)
    table.add_column("Module", overflow="fold")
    for name in ("Lines", "Functions", "Longest", "Complexity", "No docstring"):
        table.add_column(name, justify="right")
    for metrics in shown:
        table.add_row(*map(str, attrs.astuple(metrics)))
    return table


def spans_of(tenant: str, signals: Signals) -> Table:
    """Sum up the spans that carry one tenant's partition in their attribute."""
    durations: dict[str, list[float]] = defaultdict(list)
    for span in signals.spans(partition=tenant):
        nanoseconds = (span.end_time or 0) - (span.start_time or 0)
        durations[span.name].append(nanoseconds / 1e6)
    table = Table("Span", title=f"Spans where {PARTITION_ATTRIBUTE} = {tenant}")
    for name in ("Count", "Mean ms", "Longest ms"):
        table.add_column(name, justify="right")
    for name, ms in sorted(durations.items()):
        mean, longest = sum(ms) / len(ms), max(ms)
        table.add_row(name, str(len(ms)), f"{mean:.2f}", f"{longest:.2f}")
    every = sum(len(signals.spans(partition=t)) for t in TENANTS)
    table.caption = f"{sum(map(len, durations.values()))} of {every} spans"
    return table


def check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)


def run(database: Path | None = None, *, plain: bool = False) -> None:
    """Run the demo on a file, or on a temporary one that is removed afterwards."""
    console = Console(no_color=plain, force_terminal=False if plain else None)
    console.print(f"Three tenants review code under one key, {KEY!r}, in one process.")
    signals = setup_telemetry("podvisor-demo", memory=True)
    with tempfile.TemporaryDirectory(prefix="podvisor-") as folder:
        asyncio.run(demo(database or Path(folder, "demo.db"), console, signals))


if __name__ == "__main__":
    run()
