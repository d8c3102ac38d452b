from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import NoReturn, Self

import pytest

from persistence import Key
from supervision import Durability, Host, Instance
from supervision.lifecycle.registry import Registry
from tests.support import Add, Counter, MakeStore, Read

__all__: list[str] = []


SHARDS = "_shards"


def _shards(registry: Registry) -> dict[str, dict[Key, Instance]]:
    """Take the outer map out of a registry."""
    found: dict[str, dict[Key, Instance]] = getattr(registry, SHARDS)
    return found


class DatabaseCache(dict[str, dict[Key, Instance]]):
    """A registry's outer map that counts look-ups and refuses to be walked."""

    touched = 0

    def get(  # type: ignore[override]  # the registry calls it in this form only
        self,
        key: str,
        default: dict[Key, Instance] | None = None,
        /,
    ) -> dict[Key, Instance] | None:
        self.touched += 1
        return super().get(key, default)

    def _refuse(self) -> NoReturn:
        pytest.fail("a call for one partition walked over all of them")

    def __iter__(self) -> Iterator[str]:
        self._refuse()

    def values(self) -> NoReturn:
        self._refuse()

    def items(self) -> NoReturn:
        self._refuse()


async def test_counting_and_listing_touch_only_what_they_return() -> None:
    """G17 and A6: 20,000 live in 200 partitions; a call looks into one of them."""
    async with Host("memory://") as host:
        counters = host.manager("counters", Counter, durability=Durability.NONE)
        for p in range(200):
            for k in range(100):
                await counters.get(f"k{k}", partition=f"p{p}")
        registry = host.runtime.registries.of("counters")
        whole, shelf = _shards(registry), DatabaseCache(_shards(registry))
        setattr(registry, SHARDS, shelf)

        stats = await counters.stats(partition="p7")
        keys = await counters.keys(partition="p7")
        ref = counters.lookup("k7", partition="p7")
        nothing = counters.lookup("absent", partition="p7")
        unknown = await counters.stats(partition="nobody")
        touched = shelf.touched
        setattr(registry, SHARDS, whole)

        assert (stats.live, len(keys), unknown.live) == (100, 100, 0)
        assert ref is not None
        assert nothing is None
        assert touched <= 8
        assert len(host.statistics().partitions) == 200
        assert len(registry.partitions()) == 200


async def test_a_call_does_not_grow_with_the_host() -> None:
    """G17: the lines run for one partition are the same beside 1 or 100 others."""
    steps: list[int] = []
    for others in (1, 100):
        async with Host("memory://") as host:
            counters = host.manager("counters", Counter, durability=Durability.NONE)
            for p in range(others):
                await counters.get("one", partition=f"p{p}")
            await counters.stats(partition="p0")
            with _Steps() as counted:
                counters.lookup("one", partition="p0")
            steps.append(counted.lines)

    assert steps[0] == steps[1] > 0


class _Steps:
    """Counts calls of Python functions while the block runs."""

    lines = 0

    def __enter__(self) -> Self:
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _count(self, _frame: object, _event: str, _argument: object) -> None:
        self.lines += 1


async def test_numbers_tell_live_from_hibernated(make: MakeStore) -> None:
    """G17: per partition; the same key elsewhere is not counted."""
    async with Host(store=make()) as host:
        counters = host.manager("counters", Counter)
        others = host.manager("others", Counter)
        for n in range(4):
            await (await counters.get(f"k{n}", partition="acme")).ask(Add())
        await (await counters.get("k1", partition="globex")).ask(Add())
        await (await others.get("k1", partition="acme")).ask(Add())
        await counters.stop("k0", partition="acme")
        await counters.get("fresh", partition="acme")

        stats = await counters.stats(partition="acme")

        assert (stats.live, stats.stored, stats.hibernated) == (4, 4, 1)
        assert (stats.quarantined, stats.queued) == (0, 0)
        assert await host.partitions() == ("acme", "globex")
        assert await host.partitions(after="acme", limit=1) == ("globex",)


async def test_keys_come_in_pages_live_and_stored_together(make: MakeStore) -> None:
    """G17: every key once, in one order, whatever the page."""
    async with Host(store=make()) as host:
        counters = host.manager("counters", Counter)
        for n in range(7):
            ref = await counters.get(("k", str(n)), partition="acme")
            if n % 2:
                await ref.ask(Add())
                await counters.stop(("k", str(n)), partition="acme")

        pages: list[Key] = []
        after: Key | None = None
        while page := await counters.keys(partition="acme", after=after, limit=3):
            pages.extend(page)
            after = page[-1]

        assert pages == [("k", str(n)) for n in range(7)]
        assert await counters.keys(partition="globex") == ()


async def test_the_same_key_lives_in_a_thousand_partitions(host: Host) -> None:
    """G5 and G7: one key in 1,000 partitions is 1,000 instances."""
    counters = host.manager("counters", Counter, durability=Durability.NONE)
    refs = [await counters.get("one", partition=f"p{n}") for n in range(1_000)]

    for n, ref in enumerate(refs):
        await ref.ask(Add(n))

    assert [await ref.ask(Read()) for ref in refs] == list(range(1_000))
    assert host.statistics().live == 1_000
    await counters.stop("one", partition="p500")
    assert host.statistics().live == 999
