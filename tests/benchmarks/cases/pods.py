"""What a pod costs beside its members, and how that grows with their number."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import AsyncGenerator, Generator, Sequence
from typing import TypeAlias

import attrs

from pods import (
    Durability,
    Host,
    InstanceManager,
    OnParentStop,
    Pod,
    eager,
    lazy,
    nested,
)
from tests.benchmarks.agents import Bump, Counter
from tests.benchmarks.figures import Row, at_most
from tests.benchmarks.harness import Case, Size, Stopwatch, alternate, no_collections
from tests.benchmarks.linked import linked
from tests.pods.support import Reviewer

__all__ = ["CASES"]

PARTITIONS = 100
MEMBERS = 5
"""Instances that start with a team: itself, its head, a duo, and the two of it."""


class Duo(Pod):
    first = eager(Counter, manager="workers")
    second = eager(Counter, manager="workers")


class Team(Pod):
    head = eager(Counter, manager="workers")
    spare = lazy(Counter, manager="workers")
    duo = nested(Duo, manager="duos")


@attrs.define(eq=False)
class _Numbered:
    """Starts teams, and as many bare instances, under keys that were never used."""

    teams: InstanceManager[Team]
    workers: InstanceManager[Counter]
    count: int
    used: int = 0

    async def pods(self) -> float:
        names = self._names()
        with Stopwatch(time.perf_counter) as spent:
            for name, partition in names:
                await Pod.get(self.teams, name, partition=partition)
        return spent.micros(self.count)

    async def bare(self) -> float:
        names = self._names()
        with Stopwatch(time.perf_counter) as spent:
            for name, partition in names:
                for n in range(MEMBERS):
                    await self.workers.get((name, str(n)), partition=partition)
        return spent.micros(self.count)

    def _names(self) -> list[tuple[str, str]]:
        start, self.used = self.used, self.used + self.count
        return [(f"t{n}", f"p{n % PARTITIONS}") for n in range(start, self.used)]


@contextlib.asynccontextmanager
async def _teams(
    url: str, durability: Durability, count: int
) -> AsyncGenerator[_Numbered]:
    async with Host(url) as host:
        workers = host.manager("workers", Counter, durability=durability)
        host.manager("duos", Duo, durability=durability)
        teams = host.manager("teams", Team, durability=durability)
        for n in range(PARTITIONS):  # no partition is taken over while time is measured
            await (await workers.get("warm", partition=f"p{n}")).ask(Bump())
        yield _Numbered(teams, workers, count)


async def pod_get(size: Size) -> Sequence[Row]:
    size = size.with_warm_up(1)
    count = size.of(1_000, 5) // (size.warm_up + size.repetitions)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{folder}/podvisor.db"
        async with _teams(url, Durability.TURN, count) as teams:
            stored = await alternate(teams.pods, teams.bare, size)
    async with _teams("memory://", Durability.NONE, count) as teams:
        unstored = await alternate(teams.pods, teams.bare, size)
    what = "get a pod of 1 eager, 1 lazy and 1 nested node with 2 eager ones"
    reference = f"{MEMBERS} bare activations"
    return [
        Row(
            name="pod_get",
            what=what,
            reference=reference,
            unit="µs",
            pairs=stored,
            reach=at_most(2),
            note="1,000 pods over 100 partitions, on SQLite",
        ),
        Row(
            name="pod_get_unstored",
            what=f"{what}, `Durability.NONE`",
            reference=reference,
            unit="µs",
            pairs=unstored,
        ),
    ]


Times: TypeAlias = dict[str, float]
"""Seconds of each thing that was done with one pod."""

LOOKUPS = 1_000
PHASES = {
    "again": "get again a pod of 1,000 linked nodes, which have lived on without it",
    "fresh": "get it for the first time",
    "live": "get it while it is live",
    "reconcile": "reconcile it",
    "nodes": "list its nodes",
    "lookup": "look a node up, 1,000 times",
    "thaw": "get it, all its nodes hibernated",
    "stop": "stop it, with all its nodes",
}


@contextlib.contextmanager
def _timed(times: Times, what: str) -> Generator[None]:
    with no_collections(), Stopwatch(time.perf_counter) as spent:
        yield
    times[what] = spent.seconds


async def _life(url: str, hundreds: int) -> Times:
    """Take a pod of so many hundred nodes through its life."""
    times: Times = {}
    async with Host(url) as host:
        host.manager("workers", Reviewer)
        pods = host.manager("pods", linked(hundreds, OnParentStop.CONTINUE))
        with _timed(times, "fresh"):
            pod = await Pod.get(pods, "p", partition="acme")
        with _timed(times, "live"):
            await Pod.get(pods, "p", partition="acme")
        with _timed(times, "reconcile"):
            await pod.reconcile()
        with _timed(times, "nodes"):
            await pod.nodes()
        await pod.stop()
        with _timed(times, "again"):
            await Pod.get(pods, "p", partition="acme")
        with _timed(times, "lookup"):
            for _ in range(LOOKUPS):
                pod.lookup_node("middle0")
    async with Host(url) as host:
        host.manager("workers", Reviewer)
        pods = host.manager("pods", linked(hundreds, OnParentStop.STOP))
        with _timed(times, "thaw"):
            pod = await Pod.get(pods, "p", partition="acme")
        with _timed(times, "stop"):
            await pod.stop()
    return times


async def pod_1000(size: Size) -> Sequence[Row]:
    size = size.with_warm_up(1)
    lives: list[tuple[Times, Times]] = []
    for _ in range(size.warm_up + size.repetitions):
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite+aiosqlite:///{folder}/"
            many = await _life(f"{url}many.db", size.of(10, 1))
            few = await _life(f"{url}few.db", 1)
        lives.append((many, few))
    kept = lives[size.warm_up :]
    return [
        Row(
            name="pod_1000" if phase == "again" else f"pod_1000_{phase}",
            what=what,
            reference="the same with 100 nodes",
            unit="ms",
            pairs=tuple((many[phase] * 1e3, few[phase] * 1e3) for many, few in kept),
            reach=at_most(12) if phase == "again" else None,
        )
        for phase, what in PHASES.items()
    ]


CASES = (
    Case(name="pod_get", measure=pod_get, single=False),
    Case(name="pod_1000", measure=pod_1000, single=False),
)
