"""At most so many databases are open, and one in use is never closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import attrs
import pytest

from persistence import FilesPolicy, MemoryStore, Store, StoreClosed, StoreUnavailable
from persistence.files.cache import DatabaseCache
from tests.support import ManualClock, spin

__all__: list[str] = []


@attrs.define(eq=False, repr=False)
class OneStore(MemoryStore):
    """The database of one partition, which tells its drawer when it is closed."""

    name: str = ""
    drawer: Drawer = attrs.field(factory=lambda: Drawer())  # noqa: PLW0108  it stands below

    async def close(self) -> None:
        self.drawer.closing.append(self.name)
        await self.drawer.gates.get(f"close {self.name}", _open()).wait()
        if self.name in self.drawer.stubborn:
            msg = "it does not close"
            raise OSError(msg)
        self.drawer.live.remove(self.name)


def _open() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@attrs.define(eq=False)
class Drawer:
    """Opens databases, as a folder would, and counts them.

    Attributes:
        live: those that are open, one entry each.
        openings: those that were opened, in their order.
        closing: those that were begun to close, likewise.
        gates: events that an opening, or the closing of ``close NAME``, waits for.
        broken: those that cannot be opened.
        stubborn: those that cannot be closed.
    """

    live: list[str] = attrs.field(factory=list[str])
    openings: list[str] = attrs.field(factory=list[str])
    closing: list[str] = attrs.field(factory=list[str])
    gates: dict[str, asyncio.Event] = attrs.field(factory=dict[str, asyncio.Event])
    broken: set[str] = attrs.field(factory=set[str])
    stubborn: set[str] = attrs.field(factory=set[str])
    absent: set[str] = attrs.field(factory=set[str])

    async def open(self, name: str, make: bool) -> Store | None:
        self.openings.append(name)
        await self.gates.get(name, _open()).wait()
        if name in self.broken:
            raise StoreUnavailable("opening", "no such luck")
        if name in self.absent and not make:
            return None
        self.live.append(name)
        return OneStore(name=name, drawer=self)


@asynccontextmanager
async def cache_of(
    drawer: Drawer, *, max_open: int = 2, clock: ManualClock | None = None
) -> AsyncGenerator[DatabaseCache]:
    policy = FilesPolicy(max_open=max_open, idle_timeout=60)
    cache = DatabaseCache(drawer.open, policy, clock or ManualClock())
    cache.start_lending()
    try:
        yield cache
    finally:
        await cache.close_all()


async def use(cache: DatabaseCache, *names: str) -> None:
    for name in names:
        async with cache.lend_database(name):
            pass


async def test_a_database_stays_open_between_calls() -> None:
    """A3: opening costs milliseconds, once."""
    drawer = Drawer()
    async with cache_of(drawer) as cache:
        await use(cache, "a", "b", "a", "b", "a")

    assert drawer.openings == ["a", "b"]


async def test_the_one_used_longest_ago_makes_room() -> None:
    """P6: a host with more partitions than threads goes on."""
    drawer = Drawer()
    async with cache_of(drawer, max_open=2) as cache:
        await use(cache, "a", "b", "a", "c")
        await spin()
        live = list(drawer.live)
        shown = cache.statistics()

    assert live == ["a", "c"]
    assert (shown.open, shown.in_use, shown.closing) == (2, 0, 0)
    assert (shown.opened, shown.retired, shown.failed) == (3, 1, 0)
    assert drawer.live == []


async def test_one_in_use_is_never_closed() -> None:
    """P1: the bound makes others wait, and takes nothing away."""
    drawer = Drawer()
    in_use = AsyncExitStack()
    async with cache_of(drawer) as cache, anyio.create_task_group() as group:
        for name in ("a", "b"):
            await in_use.enter_async_context(cache.lend_database(name))
        group.start_soon(use, cache, "c")
        await spin()
        assert (drawer.openings, drawer.closing) == (["a", "b"], [])
        await in_use.aclose()

    assert drawer.openings == ["a", "b", "c"]


async def test_those_who_want_one_database_together_open_it_once() -> None:
    """P6: single flight."""
    drawer = Drawer(gates={"a": asyncio.Event()})
    async with cache_of(drawer) as cache, anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(use, cache, "a")
        await spin()
        drawer.gates["a"].set()

    assert drawer.openings == ["a"]


async def test_an_opening_that_is_cancelled_is_taken_over() -> None:
    """P1: who waits for it does not share its fate."""
    drawer = Drawer(gates={"a": asyncio.Event()})
    async with cache_of(drawer) as cache, anyio.create_task_group() as group:
        first = anyio.CancelScope()

        async def leave() -> None:
            with first:
                await use(cache, "a")

        group.start_soon(leave)
        await spin()
        group.start_soon(use, cache, "a")
        await spin()
        first.cancel()
        await spin()
        drawer.gates["a"].set()

    assert drawer.openings == ["a", "a"]
    assert drawer.live == []


async def test_a_slow_opening_or_closing_delays_no_other() -> None:
    """A3: the disk of one partition is not the disk of another."""
    drawer = Drawer(gates={"slow": asyncio.Event(), "close a": asyncio.Event()})
    async with cache_of(drawer, max_open=2) as cache:
        async with anyio.create_task_group() as group:
            group.start_soon(use, cache, "slow")
            await spin()
            await use(cache, "a", "b", "c", "d")
            drawer.gates["slow"].set()
        still_closing = "a" in drawer.live
        drawer.gates["close a"].set()

    assert still_closing
    assert drawer.openings == ["slow", "a", "b", "c", "d"]
    assert drawer.live == []


async def test_one_that_is_closing_can_be_opened_again() -> None:
    """A3: nobody waits for the old one."""
    drawer = Drawer(gates={"close a": asyncio.Event()})
    async with cache_of(drawer, max_open=1) as cache:
        await use(cache, "a", "b")
        await spin()
        await use(cache, "a")
        await spin()
        live = sorted(drawer.live)
        drawer.gates["close a"].set()

    assert live == ["a", "a"]
    assert drawer.live == []


async def test_one_that_cannot_be_opened_fails_alone_and_is_tried_again() -> None:
    """P1: and it takes no place."""
    drawer = Drawer(broken={"a"})
    async with cache_of(drawer, max_open=1) as cache:
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await use(cache, "a")
        await use(cache, "b")
        drawer.broken.clear()
        await use(cache, "a")

    assert drawer.openings == ["a", "a", "a", "b", "a"]


async def test_one_that_is_not_there_is_not_made_by_a_look() -> None:
    """P6: asking for unknown partitions leaves nothing behind."""
    drawer = Drawer(absent={"a"})
    async with cache_of(drawer) as cache:
        async with cache.lend_database("a") as looked:
            pass
        opened = cache.statistics().open
        async with cache.lend_database("a", make=True) as made:
            pass

    assert looked is None
    assert opened == 0
    assert isinstance(made, OneStore)


async def test_idle_databases_are_closed() -> None:
    """P6: a quiet host holds no threads and no files."""
    drawer = Drawer()
    clock = ManualClock()
    async with cache_of(drawer, max_open=9, clock=clock) as cache:
        await use(cache, "a")
        clock.advance(30)
        await use(cache, "b")
        async with cache.lend_database("busy"):
            clock.advance(31)
            await spin()
            after_61 = sorted(drawer.live)
            clock.advance(30)
            await spin()
            after_91 = sorted(drawer.live)
        clock.advance(60)
        await spin()
        in_the_end = sorted(drawer.live)
        timers = clock.pending()

    assert after_61 == ["b", "busy"]
    assert after_91 == ["busy"]
    assert in_the_end == []
    assert timers == 0


async def test_a_use_puts_the_closing_off() -> None:
    """P6: idle is counted from the last use."""
    drawer = Drawer()
    clock = ManualClock()
    async with cache_of(drawer, clock=clock) as cache:
        for _ in range(5):
            await use(cache, "a")
            clock.advance(59)
            await spin()

    assert drawer.openings == ["a"]


async def test_one_that_fails_to_close_harms_no_other() -> None:
    """P1: it is counted."""
    drawer = Drawer(stubborn={"a"})
    async with cache_of(drawer, max_open=1) as cache:
        await use(cache, "a", "b", "c")
        await spin()
        failed = cache.statistics().failed

    assert failed == 1
    assert drawer.live == ["a"]


async def test_a_closed_cache_lends_nothing_and_leaves_nothing_open() -> None:
    """P6: also what is being opened at that moment."""
    drawer = Drawer(gates={"late": asyncio.Event()})

    async def refused(name: str) -> None:
        with pytest.raises(StoreClosed):
            await use(cache, name)

    async with cache_of(drawer) as cache:
        await use(cache, "a")
        async with anyio.create_task_group() as group:
            group.start_soon(refused, "late")
            await spin()
            await cache.close_all()
            drawer.gates["late"].set()
        await refused("a")
        left = cache.statistics()

    assert drawer.openings == ["a", "late"]
    assert drawer.live == []
    assert (left.open, left.in_use) == (0, 0)


async def test_a_cache_can_be_opened_again() -> None:
    """P6: what was in use when it was closed does not count any more."""
    drawer = Drawer()
    async with cache_of(drawer, max_open=1) as cache:
        async with cache.lend_database("a"):
            await cache.close_all()
            cache.start_lending()
        await use(cache, "b", "c")

    assert drawer.live == []
    assert repr(cache) == "<DatabaseCache open=0>"
