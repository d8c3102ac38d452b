"""What becomes of records when the table and its second index name different ones."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from persistence import CorruptRecord, RecordKind, Save
from persistence.sqlite.hidden_rows import HIDDEN
from persistence.store.contract import Loaded
from persistence.testing import Make, opened, save, state, unit
from tests.persistence import damage

__all__: list[str] = []

behind_the_index = partial(damage.behind_the_index, index="podvisor_records_witness")


def reasons(found: list[Loaded]) -> list[str]:
    return [one.reason if isinstance(one, CorruptRecord) else "" for one in found]


async def test_a_hidden_record_is_no_absent_one(make: Make, path: Path) -> None:
    """P2, row 6: it costs its own key, in its own partition."""
    async with opened(make, "acme", "globex") as store:
        for name in ("acme", "globex"):
            await store.apply([save(key, partition=name) for key in ("a", "b", "c")])
    behind_the_index(
        path,
        "DELETE FROM podvisor_records WHERE partition = 'acme' AND key = ?",
        '"b"',
    )

    async with opened(make) as store:
        found = await store.load("workers", ["c", "x", "b", "a"], partition="acme")
        foreign = await store.load("workers", ["b"], partition="globex")

    assert reasons(found) == ["", "", HIDDEN, ""]
    assert (found[0], found[1], found[3]) == ((state("c"),), (), (state("a"),))
    assert foreign == [(state("b", partition="globex"),)]


async def test_a_row_that_the_index_does_not_know_makes_up_for_no_hidden_one(
    make: Make, path: Path
) -> None:
    """P2, row 6: there are as many rows as entries, and one of them is another."""
    async with opened(make, "acme") as store:
        await store.apply([save("a"), save("b")])
    behind_the_index(
        path, "UPDATE podvisor_records SET key = ? WHERE key = ?", '"c"', '"b"'
    )

    async with opened(make) as store:
        found = await store.load("workers", ["a", "b", "c"], partition="acme")

    assert reasons(found)[:2] == ["", HIDDEN]
    assert isinstance(found[2], CorruptRecord)


async def test_half_an_instance_is_hidden_as_well(make: Make, path: Path) -> None:
    """P2, row 6: the topology is there, and the state is not."""
    topology = state("a")._replace(kind=RecordKind.TOPOLOGY)
    async with opened(make, "acme") as store:
        await store.apply([unit(Save(state("a")), Save(topology)), save("b")])
    behind_the_index(
        path, "DELETE FROM podvisor_records WHERE key = ? AND kind = 'state'", '"a"'
    )

    async with opened(make) as store:
        found = await store.load("workers", ["a", "b"], partition="acme")

    assert reasons(found) == [HIDDEN, ""]
