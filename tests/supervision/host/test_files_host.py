"""A host on a file per partition: one that is stuck is stuck alone."""

from __future__ import annotations

import asyncio
import functools
import sqlite3
from collections.abc import Callable, Coroutine, Hashable
from contextlib import closing
from pathlib import Path

import anyio
import attrs
import pytest

from persistence import MemoryStore, open_store
from persistence.sqlite.store import SqlStore
from persistence.testing import RelayStore
from supervision import Host, HostPolicy, InstanceManager
from tests.support import Add, Counter, Read, answer, spin

__all__: list[str] = []


async def add(
    manager: InstanceManager[Counter], key: str, partition: str, found: list[int]
) -> None:
    ref = await manager.get(key, partition=partition)
    found.append(await ref.ask(Add()))


async def test_a_transaction_that_sits_in_one_file_delays_no_other_partition(
    tmp_path: Path,
) -> None:
    """A3: turns, first claims, thaws and listings of others go on meanwhile."""
    url = f"sqlite+aiosqlite:///{tmp_path}/{{partition}}/podvisor.db"
    stuck: list[int] = []
    free: list[int] = []
    async with Host(url) as host, anyio.create_task_group() as group:
        counters = host.manager("counters", Counter)
        for partition in ("acme", "globex"):
            await add(counters, "k", partition, [])
        with closing(sqlite3.connect(tmp_path / "acme" / "podvisor.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            for n in range(9):
                group.start_soon(add, counters, f"k{n}", "acme", stuck)
            for partition in ("globex", "globex", "initech"):
                await add(counters, "k", partition, free)
            await counters.stop("k", partition="globex")
            await add(counters, "k", "globex", free)
            keys = await counters.keys(partition="globex")
            assert (free, keys, stuck) == ([2, 3, 1, 4], ("k",), [])

    assert stuck == [1] * 9


async def look_at_letters(host: Host, partition: str) -> None:
    host.runtime.mailroom.due_letters.look(host.runtime.catalog.partition(partition))


async def test_every_partition_thaws_from_its_own_file(tmp_path: Path) -> None:
    """A9: what was acknowledged is there for the next host, file by file."""
    url = f"sqlite+aiosqlite:///{tmp_path}/{{partition}}.db"
    names = ("acme", "globex", "con", "acme.")
    for _ in range(2):
        async with Host(url) as host:
            counters = host.manager("counters", Counter)
            for name in names:
                await add(counters, "k", name, [])
    async with Host(url) as host:
        counters = host.manager("counters", Counter)
        found = [
            await (await counters.get("k", partition=name)).ask(Read())
            for name in names
        ]
        listed = await host.partitions()

    assert found == [2] * 4
    assert listed == tuple(sorted(names))
    assert _entries(tmp_path) == ["%63on.db", "acme%2e.db", "acme.db", "globex.db"]


def _entries(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@attrs.define(eq=False, repr=False)
class SlowShelf(RelayStore):
    """Has a shard per partition, and never answers a question about one of them."""

    slow: str = ""
    asked: set[str] = attrs.field(factory=set[str])

    def shard(self, partition: str) -> Hashable:
        return partition

    async def passing(self, call: str, *partitions: str) -> None:
        if self.slow in partitions and call not in {"claim", "load", "apply"}:
            self.asked.add(call)
            await anyio.sleep_forever()


@pytest.mark.parametrize("question", ["dead", "inspect", "letters", "reply"])
async def test_a_file_that_answers_no_question_delays_no_other_partition(
    question: str,
) -> None:
    """A3: what is asked about a partition waits for that partition alone."""
    store = SlowShelf(inner=MemoryStore(), slow="acme")
    policy = HostPolicy(shutdown_timeout=0.05, shutdown_grace=0.05)
    async with (
        Host(store=store, policy=policy) as host,
        anyio.create_task_group() as group,
    ):
        counters = host.manager("counters", Counter)
        for partition in ("acme", "globex"):
            await add(counters, "k", partition, [])
        slow = await counters.get("k", partition="acme")
        acme, globex = host.partition("acme"), host.partition("globex")
        asks: dict[str, Callable[[], Coroutine[object, object, object]]] = {
            "dead": acme.dead_letters,
            "inspect": functools.partial(counters.inspect, "k", partition="acme"),
            "letters": functools.partial(look_at_letters, host, "acme"),
            "reply": functools.partial(slow.ask, Add(), idempotency_key="key"),
        }
        for _ in range(9):
            group.start_soon(asks[question])
        await spin()

        other = await counters.get("k", partition="globex")
        assert await other.ask(Add(), idempotency_key="key") == 2
        assert await globex.dead_letters() == ()
        assert len(await counters.inspect("k", partition="globex")) == 1
        group.cancel_scope.cancel()

    assert store.asked == {question}


@attrs.define(eq=False, repr=False)
class StuckStore(RelayStore):
    """Has a statement that would run for hours in front of each save."""

    stuck: bool = False
    entered: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def passing(self, call: str, *partitions: str) -> None:
        if call != "apply" or not self.stuck:
            return
        assert isinstance(self.inner, SqlStore)
        assert self.inner.engines is not None
        engines = self.inner.engines
        self.entered.set()
        await engines.write(
            "test", lambda database: database.execute(ENDLESS).fetchall()
        )


ENDLESS = """
WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1e12)
SELECT count(*) FROM c
"""


async def test_shutdown_does_not_wait_for_a_statement_that_does_not_end(
    tmp_path: Path,
) -> None:
    """Scoreboard 10: it is interrupted, and what it was to save is named."""
    inner = open_store(f"sqlite+aiosqlite:///{tmp_path}/podvisor.db")
    store = StuckStore(inner=inner)
    policy = HostPolicy(shutdown_timeout=0.05, shutdown_grace=0.05)
    host = Host(store=store, policy=policy)
    await host.__aenter__()
    counters = host.manager("counters", Counter)
    ref = await counters.get("k", partition="acme")
    await ref.ask(Add())
    store.stuck = True
    async with anyio.create_task_group() as group:
        group.start_soon(answer, ref.ask(Add()))
        await store.entered.wait()
        report = await host.stop()
        assert [address.key for address, _ in report.unsaved] == ["k"]
    async with Host(store=open_store(tmp_path / "podvisor.db")) as again:
        counters = again.manager("counters", Counter)
        found = await (await counters.get("k", partition="acme")).ask(Read())

    assert found == 1
