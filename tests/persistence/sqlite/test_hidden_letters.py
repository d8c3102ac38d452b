"""What becomes of letters when the table and its index no longer name the same ones."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from persistence import (
    Claim,
    Letter,
    Post,
    SpoiledLetter,
    Store,
    StoreUnavailable,
)
from persistence.store.letter_rows import letter_row
from persistence.testing import Make, letter, opened, save, unit
from tests.persistence import damage

__all__: list[str] = []

behind_the_index = partial(damage.behind_the_index, index="podvisor_letters_by_due")


def spoil_page(path: Path, table: str) -> None:
    """Overwrite the page at which the rows of a table begin."""
    with closing(sqlite3.connect(path)) as database:
        (size,) = database.execute("PRAGMA page_size").fetchone()
        root = database.execute(damage.SCHEMA, (table,)).fetchone()[3]
    image = bytearray(path.read_bytes())
    image[(root - 1) * size : root * size] = b"\xff" * size
    path.write_bytes(image)


async def three_letters(make: Make, *partitions: str) -> None:
    async with opened(make, *partitions) as store:
        for partition in partitions:
            posts = [Post(letter(s, partition=partition, due=5.0)) for s in "abc"]
            assert await store.apply([unit(*posts, partition=partition)]) == [None]


async def read(store: Store) -> list[Letter | SpoiledLetter]:
    return await store.letters(partition="acme", until=9.0, after=(-1.0, ""), limit=100)


async def claims(store: Store) -> list[Claim]:
    return await store.claim(["acme", "globex"])


async def test_a_letter_whose_row_is_hidden_is_named(make: Make, path: Path) -> None:
    """P2, row 6: in its place, beside those that are there."""
    await three_letters(make, "acme", "globex")
    behind_the_index(
        path, "DELETE FROM podvisor_letters WHERE partition = 'acme' AND stamp = 'b'"
    )

    async with opened(make) as store:
        hidden = [(claim.letters, claim.hidden) for claim in await claims(store)]
        found = await read(store)

    assert hidden == [(3, 1), (3, 0)]
    assert [one.stamp for one in found] == ["a", "b", "c"]
    assert [one.stamp for one in found if isinstance(one, Letter)] == ["a", "c"]
    (lost,) = [one for one in found if isinstance(one, SpoiledLetter)]
    assert (lost.lost, lost.manager, lost.key) == (True, "workers", '"k"')


async def test_a_letter_that_the_index_has_lost_is_counted(
    make: Make, path: Path
) -> None:
    """P2, row 6: it is not found by when it is due, so the claim has to say it."""
    await three_letters(make, "acme", "globex")
    behind_the_index(
        path,
        "INSERT INTO podvisor_letters SELECT partition, manager, key, 'x', 'x',"
        " message, version, body, due, sent, tries, cron, sender_manager, sender_key,"
        " checksum FROM podvisor_letters WHERE partition = 'acme' AND stamp = 'a'",
    )

    async with opened(make) as store:
        hidden = [(claim.letters, claim.hidden) for claim in await claims(store)]

    assert hidden == [(4, 1), (3, 0)]


async def test_a_letter_of_which_row_and_index_disagree_is_not_delivered(
    make: Make, path: Path
) -> None:
    """P2, row 6: it would come at a time for which nobody has set it."""
    await three_letters(make, "acme", "globex")
    later = letter_row(letter("b", due=1e9))
    behind_the_index(
        path,
        "UPDATE podvisor_letters SET due = ?, checksum = ?"
        " WHERE partition = 'acme' AND stamp = 'b'",
        later.due,
        later.checksum,
    )

    async with opened(make) as store:
        hidden = [claim.hidden for claim in await claims(store)]
        found = await read(store)

    assert hidden == [1, 0]
    assert [one.stamp for one in found if isinstance(one, Letter)] == ["a", "c"]


async def test_a_partition_that_the_index_has_lost_is_woken(
    make: Make, path: Path
) -> None:
    """P2, row 6: nobody else would look at its letters."""
    await three_letters(make, "acme")
    behind_the_index(
        path,
        "INSERT INTO podvisor_letters SELECT 'umbrella', manager, key, id, stamp,"
        " message, version, body, due, sent, tries, cron, sender_manager, sender_key,"
        " checksum FROM podvisor_letters WHERE stamp = 'a'",
    )

    async with opened(make) as store:
        pending = await store.pending(after=None, limit=10)
        pages = [
            await store.pending(after=after, limit=1) for after in (None, "acme", "z")
        ]

    assert pending == [("acme", 5.0), ("umbrella", 0.0)]
    assert pages == [[("acme", 5.0)], [("umbrella", 0.0)], []]


@pytest.mark.parametrize("column", ["message", "stamp", "cron", "sender_key"])
async def test_a_damaged_text_spoils_its_own_letter_only(
    make: Make, path: Path, column: str
) -> None:
    """P2, row 6: what is no UTF-8 does not keep the page from being read."""
    await three_letters(make, "acme")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            f"UPDATE podvisor_letters SET {column} = CAST(x'ff41' AS TEXT)"  # noqa: S608
            " WHERE stamp = 'b'"
        )

    async with opened(make) as store:
        found = await read(store)

    assert len(found) == 3
    assert [one.stamp for one in found if isinstance(one, Letter)] == ["a", "c"]


async def test_a_damaged_name_of_a_partition_keeps_no_other_asleep(
    make: Make, path: Path
) -> None:
    """P2, row 6: what is no UTF-8 does not keep the listing from being read."""
    await three_letters(make, "acme", "globex")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "UPDATE podvisor_letters SET partition = CAST(x'ff41' AS TEXT)"
            " WHERE partition = 'acme' AND stamp = 'b'"
        )

    async with opened(make) as store:
        pending = await store.pending(after=None, limit=10)

    assert [name for name, _ in pending] == ["acme", "globex"]


async def test_a_page_of_letters_that_cannot_be_read_costs_the_letters_only(
    make: Make, path: Path
) -> None:
    """P2, row 6: the partition is claimed, and what else it has is served."""
    async with opened(make, "acme") as store:
        assert await store.apply([save("k"), unit(Post(letter("a")))]) == [None, None]
    spoil_page(path, "podvisor_letters")

    async with opened(make) as store:
        (claim,) = await store.claim(["acme"])
        (loaded,) = await store.load("workers", ["k"], partition="acme")
        with pytest.raises(StoreUnavailable, match="damaged"):
            await read(store)

    assert (claim.epoch, claim.letters, claim.next_due, claim.hidden) == (2, 1, 0.0, 1)
    assert isinstance(loaded, tuple)
    assert len(loaded) == 1
