"""The part of a store's contract that is about listing, opening and closing."""

from __future__ import annotations

import pytest

from persistence import Address, Key, Record, RecordKind, Save, StoreClosed

from .making import Make, body_of, opened, save, state, unit

__all__ = ["ListingConformance"]


class ListingConformance:
    """What a store promises about its listings, and about its own life."""

    async def test_keys_are_paged_in_a_stable_order(self, make: Make) -> None:
        """G17: pages neither overlap nor leave a key out."""
        keys: list[Key] = [*(f"k{n:02}" for n in range(7)), ("k", "1"), "é", "Z"]
        seen: list[Key] = []
        after: Key | None = None
        async with opened(make, "acme") as store:
            await store.apply([save(key) for key in keys])
            while page := await store.keys(
                "workers", partition="acme", after=after, limit=3
            ):
                seen += page
                after = page[-1]

        assert seen[:2] == ["Z", "k00"]
        assert len(seen) == len(keys)
        assert set(seen) == set(keys)

    async def test_a_key_with_two_records_is_listed_once(self, make: Make) -> None:
        """G17: instances are listed, not rows; the count is of states."""
        both = Address("acme", "workers", "both")
        only = Address("acme", "workers", "only")
        async with opened(make, "acme") as store:
            await store.apply(
                [
                    save("both"),
                    unit(Save(Record(both, RecordKind.TOPOLOGY, 1, 1, b"[]"))),
                    unit(Save(Record(only, RecordKind.TOPOLOGY, 1, 1, b"[]"))),
                ]
            )
            keys = await store.keys("workers", partition="acme", after=None, limit=9)
            count = await store.count("workers", partition="acme")

        assert keys == ["both", "only"]
        assert count == 1

    async def test_partitions_are_paged_in_order(self, make: Make) -> None:
        """G17: every claimed partition is listed once."""
        async with opened(make, "b", "a", "acme-corp", "acme") as store:
            first = await store.partitions(after=None, limit=3)
            rest = await store.partitions(after=first[-1], limit=3)

        assert (first, rest) == (["a", "acme", "acme-corp"], ["b"])

    async def test_children_follow_their_parent(self, make: Make) -> None:
        """G10: a child is found under the parent of its last save, and no other."""
        old = Address("acme", "pods", ("root", "1"))
        new = Address("acme", "pods", ("root", "2"))
        async with opened(make, "acme") as store:
            await store.apply(
                [
                    unit(Save(state("stays", parent=old))),
                    unit(Save(state("moves", parent=old))),
                    unit(Save(state("leaves", parent=old))),
                    save("free"),
                ]
            )
            answers = await store.apply(
                [
                    unit(Save(state("moves", 2, parent=new))),
                    unit(Save(state("leaves", 2))),
                ]
            )
            children = [await store.children(parent) for parent in (old, new)]

        assert answers == [None, None]
        assert children == [
            [Address("acme", "workers", "stays")],
            [Address("acme", "workers", "moves")],
        ]

    async def test_everything_is_there_after_a_reopening(self, make: Make) -> None:
        """A9: closing and opening loses nothing."""
        async with opened(make, "acme") as store:
            await store.apply([save("k", body=b"kept")])

        async with opened(make) as store:
            body = await body_of(store, "k")
            claims = await store.claim(["acme"])

        assert body == b"kept"
        assert claims[0].epoch == 2

    async def test_a_second_opening_changes_nothing(self, make: Make) -> None:
        """P6: every connection that is made is closed."""
        async with opened(make, "acme") as store:
            await store.apply([save("k", body=b"kept")])
            await store.open()
            body = await body_of(store, "k")

        assert body == b"kept"

    async def test_a_store_that_is_not_open_refuses_everything(
        self, make: Make
    ) -> None:
        """A9: no call is silently lost before open or after close."""
        address = Address("acme", "workers", "k")
        store = make()
        await store.open()
        await store.close()
        await store.close()

        for one in (make(), store):
            with pytest.raises(StoreClosed):
                await one.claim(["acme"])
            with pytest.raises(StoreClosed):
                await one.load("workers", ["k"], partition="acme")
            with pytest.raises(StoreClosed):
                await one.apply([save("k")])
            with pytest.raises(StoreClosed):
                await one.keys("workers", partition="acme", after=None, limit=1)
            with pytest.raises(StoreClosed):
                await one.count("workers", partition="acme")
            with pytest.raises(StoreClosed):
                await one.partitions(after=None, limit=1)
            with pytest.raises(StoreClosed):
                await one.children(address)
            with pytest.raises(StoreClosed):
                await one.quarantined(partition="acme")

    async def test_a_store_says_what_it_is(self, make: Make) -> None:
        """B7: a store shows itself without showing what it holds."""
        async with opened(make, "acme") as store:
            await store.apply([save("secret-key", body=b"secret-body")])

            shown = repr(store)

        assert type(store).__name__ in shown
        assert "secret" not in shown
