"""Hosts over both stores, a store that can be watched, held and killed, and agents."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import TypeVar

import attrs
from aiosqlite import Connection as AsyncDriver
from asyncpg import Connection
from asyncpg import Record as Columns
from asyncpg.connection import LoggedQuery
from sqlalchemy import event
from sqlalchemy.connectors.asyncio import AsyncAdapt_dbapi_connection
from sqlalchemy.pool import Pool

from persistence import (
    Address,
    Key,
    Loaded,
    MemoryStore,
    Record,
    RecordKind,
    Store,
    StoreError,
    StoreUnavailable,
    Unit,
    key_to_text,
    open_store,
)
from persistence.testing import RelayStore
from pods import (
    Agent,
    AgentRef,
    Host,
    HostPolicy,
    InstanceManager,
    Message,
    Pod,
    PodRef,
    eager,
    handler,
    lazy,
    nested,
)
from supervision import Instance
from tests.postgres import at_once
from tests.stores import url_of
from tests.support import ManualClock, answer, eventually, spin

__all__ = [
    "Boom",
    "Count",
    "Editorial",
    "ManualClock",
    "Medium",
    "Name",
    "Review",
    "Reviewer",
    "WatchedStore",
    "Workspace",
    "answer",
    "eventually",
    "family",
    "kinds",
    "live",
    "managers",
    "records",
    "spin",
    "statements",
    "the",
]

T = TypeVar("T")


@attrs.define(eq=False, repr=False)
class WatchedStore(RelayStore):
    """Passes every call on, counts it, and can refuse, hold and drop what is saved.

    Attributes:
        calls: how often each method was called.
        keys_loaded: keys of every ``load``, together.
        named: the partition of every call that names one.
        refuse: says for a unit why it is not saved.
        gate: ``apply`` waits until it is set.
        held: set while an ``apply`` waits at the gate.
        gone: the process is gone: nothing reaches the store below any more.
    """

    calls: Counter[str] = attrs.field(factory=Counter[str])
    keys_loaded: int = 0
    named: list[str] = attrs.field(factory=list[str])
    refuse: Callable[[Unit], StoreError | None] = lambda _: None
    gate: asyncio.Event = attrs.field(factory=asyncio.Event)
    held: asyncio.Event = attrs.field(factory=asyncio.Event)
    gone: bool = False

    def __attrs_post_init__(self) -> None:
        self.gate.set()

    async def passing(self, call: str, *partitions: str) -> None:
        self.calls[call] += 1
        self.named += partitions
        if self.gone:
            raise StoreUnavailable(call, "the process is gone")

    async def load(
        self, manager: str, keys: Sequence[Key], *, partition: str
    ) -> list[Loaded]:
        self.keys_loaded += len(keys)
        return await super().load(manager, keys, partition=partition)

    async def apply(self, units: Sequence[Unit]) -> list[StoreError | None]:
        await self.passing("apply", *(unit.partition for unit in units))
        if not self.gate.is_set():
            self.held.set()
            await self.gate.wait()
            await self.passing("after the gate")
        refused = {n: why for n, u in enumerate(units) if (why := self.refuse(u))}
        kept = [unit for n, unit in enumerate(units) if n not in refused]
        found = iter(await self.inner.apply(kept))
        return [refused[n] if n in refused else next(found) for n in range(len(units))]


@attrs.define(eq=False)
class Medium:
    """What is left when a process is gone: the rows of one test.

    Attributes:
        name: ``memory``, ``sqlite`` or another of ``tests.stores``.
        make: makes a store on these rows.
        folder: where the file is, if there is one.
        url: of the database, if there is one.
    """

    name: str
    make: Callable[[], Store]
    folder: str | None = None
    url: str | None = None

    @classmethod
    def memory(cls) -> Medium:
        store = MemoryStore()
        return cls("memory", lambda: store)

    @classmethod
    def sqlite(cls, folder: str) -> Medium:
        url = f"sqlite+aiosqlite:///{folder}/podvisor.db"
        return cls("sqlite", lambda: open_store(url), folder, url)

    @classmethod
    @contextmanager
    def of(cls, name: str, folder: Path) -> Generator[Medium]:
        """Give an empty medium for as long as the block lasts."""
        if name == "memory":
            yield cls.memory()
        elif name == "sqlite":
            yield cls.sqlite(str(folder))
        else:
            with url_of(name, folder) as url:
                yield cls(name, lambda: open_store(url), str(folder), url)

    def store(self) -> WatchedStore:
        return WatchedStore(self.make())

    def host(
        self,
        store: WatchedStore | None = None,
        *,
        clock: ManualClock | None = None,
        policy: HostPolicy | None = None,
    ) -> Host:
        """Make a host on these rows, not started yet."""
        return Host(store=store or self.store(), clock=clock, policy=policy)

    @asynccontextmanager
    async def killed(
        self, store: WatchedStore | None = None
    ) -> AsyncGenerator[tuple[Host, WatchedStore]]:
        """Run a host that is killed at the end: it saves nothing more from then on."""
        store = store or self.store()
        host = self.host(store)
        await host.__aenter__()
        try:
            yield host, store
        finally:
            store.gone = True
            store.gate.set()
            await host.stop()

    def spoil(self, address: Address, kind: RecordKind) -> None:
        """Change the bytes of a row behind the store's back; no host may be open.

        What the database gets would decode well: its checksum must tell. Memory has no
        checksum, so it gets what is no JSON.
        """
        if self.url is None:
            store = self.make()
            assert isinstance(store, MemoryStore)
            place = (address.manager, key_to_text(address.key))
            rows = store._partitions[address.partition].rows[place]  # pyright: ignore[reportPrivateUsage]
            rows[kind.value] = rows[kind.value]._replace(body=b"\xff")
            return
        if self.name == "postgres":
            self._spoil_in_postgres(address, kind)
            return
        path = self.url.partition("///")[2].replace("{partition}", address.partition)
        with closing(sqlite3.connect(path)) as database, database:
            done = database.execute(
                "UPDATE podvisor_records SET body = ?"
                " WHERE partition = ? AND manager = ? AND key = ? AND kind = ?",
                (
                    b"{}",
                    address.partition,
                    address.manager,
                    key_to_text(address.key),
                    kind.value,
                ),
            )
            assert done.rowcount == 1

    def _spoil_in_postgres(self, address: Address, kind: RecordKind) -> None:
        assert self.url is not None
        key = key_to_text(address.key).replace("'", "''")
        rows = at_once(
            self.url,
            f"SELECT set_config('podvisor.partition', '{address.partition}', true)",
            "UPDATE podvisor_records SET body = '{}'"  # noqa: S608  a test's own text
            f" WHERE manager = '{address.manager}' AND key = '{key}'"
            f" AND kind = '{kind.value}' RETURNING 1",
        )
        assert len(rows) == 1

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[Store]:
        """Open the rows without a host."""
        store = self.make()
        await store.open()
        try:
            yield store
        finally:
            await store.close()


async def records(
    store: Store, *partitions: str, manager_names: Sequence[str] = ()
) -> dict[Address, tuple[Record, ...]]:
    """Read everything that the store has of some partitions."""
    found: dict[Address, tuple[Record, ...]] = {}
    names = manager_names or ("workers", "editorial_pods", "workspaces")
    for partition in partitions:
        for manager in names:
            keys = await store.keys(
                manager, partition=partition, after=None, limit=9999
            )
            loaded = await store.load(manager, keys, partition=partition)
            for key, rows in zip(keys, loaded, strict=True):
                assert isinstance(rows, tuple)
                found[Address(partition, manager, key)] = rows
    return found


@contextmanager
def statements() -> Generator[list[str]]:
    """Log every statement of every new connection, with its parameters."""
    log: list[str] = []

    def write(query: LoggedQuery) -> None:
        log.append(f"{query.query} {query.args}")

    def listen(connection: AsyncAdapt_dbapi_connection, _: object) -> None:
        async def trace(driver: AsyncDriver | Connection[Columns]) -> None:
            if isinstance(driver, AsyncDriver):
                await driver.set_trace_callback(log.append)  # pyright: ignore[reportUnknownMemberType]
            else:
                driver.add_query_logger(write)

        connection.run_async(trace)

    event.listen(Pool, "connect", listen)
    try:
        yield log
    finally:
        event.remove(Pool, "connect", listen)


# Agents


class Review(Message[int]):
    text: str = ""


class Count(Message[int]):
    pass


class Boom(Message[None]):
    pass


class Name(Message[str]):
    pass


class Reviewer(Agent):
    reviewed: int = 0

    @handler
    def review(self, message: Review) -> int:
        self.reviewed += 1
        return self.reviewed

    @handler
    def count(self, message: Count) -> int:
        return self.reviewed

    @handler
    def boom(self, message: Boom) -> None:
        raise RuntimeError("boom")

    @handler
    def name(self, message: Name) -> str:
        return str(self.context.address)


class Editorial(Pod):
    writer = eager(Reviewer, manager="workers")
    checker = lazy(Reviewer, manager="workers", owner=writer)


class Workspace(Pod):
    title: str = "untitled"
    coordinator = eager(Reviewer, manager="workers")
    reviewer = lazy(Reviewer, manager="workers", owner=coordinator)
    editorial = nested(Editorial, manager="editorial_pods", after=[coordinator])

    @handler
    def count(self, message: Count) -> int:
        return len(self.title)

    @handler
    def rename(self, message: Review) -> int:
        self.title = message.text
        return len(self.title)

    @handler
    def boom(self, message: Boom) -> None:
        raise RuntimeError("boom")


def managers(host: Host) -> InstanceManager[Workspace]:
    """Declare what ``Workspace`` needs, and return the manager of the pods."""
    host.manager("workers", Reviewer)
    host.manager("editorial_pods", Editorial)
    return host.manager("workspaces", Workspace)


def live(host: Host, ref: AgentRef[object]) -> Instance:
    """Return the live instance behind a ref."""
    return the(host.runtime.catalog.find(ref.address))


def the(found: T | None) -> T:
    """Return what must be there."""
    assert found is not None
    return found


def kinds(rows: tuple[Record, ...]) -> set[RecordKind]:
    return {row.kind for row in rows}


def family(host: Host, pod: PodRef[Pod]) -> set[Address]:
    """Return the addresses of everything that lives below a pod."""
    found: set[Address] = set()
    todo = [live(host, pod)]
    while todo:
        children = todo.pop().children
        found.update(child.address for child in children)
        todo.extend(children)
    return found
