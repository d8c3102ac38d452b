from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from persistence import open_store
from supervision import Host, Quarantined
from tests.support import Add, Counter, Read, answer

__all__: list[str] = []

ROW = "partition = 'acme' and manager = 'counters' and key = '\"bad\"'"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "podvisor.db"
    open_store(f"sqlite+aiosqlite:///{path}")  # imports SQLAlchemy outside of the loop
    return path


def damage(file: Path, change: str) -> None:
    """Change the row of acme's ``bad`` behind everybody's back."""
    with sqlite3.connect(file) as database:
        changed = database.execute(f"update podvisor_records set {change} where {ROW}")  # noqa: S608  a test's own text
        assert changed.rowcount == 1
    database.close()


def bytes_of(file: Path) -> list[tuple[object, ...]]:
    with sqlite3.connect(file) as database:
        found = database.execute(f"select * from podvisor_records where {ROW}")  # noqa: S608  likewise
        rows: list[tuple[object, ...]] = found.fetchall()
    database.close()
    return rows


async def fill(file: Path) -> None:
    async with Host(f"sqlite+aiosqlite:///{file}") as host:
        counters = host.manager("counters", Counter)
        for partition, key in (("acme", "bad"), ("acme", "near"), ("globex", "bad")):
            await (await counters.get(key, partition=partition)).ask(Add(4))


@pytest.mark.parametrize(
    "change",
    [
        "body = x'00ff'",
        "body = cast('{\"n\":5}' as blob)",
        "body = x''",
        "checksum = x'00'",
        "rev = rev + 1",
        "version = 99",
    ],
)
async def test_a_corrupt_row_is_quarantined_and_kept(file: Path, change: str) -> None:
    """P2 and holds 6: its bytes stay, whoever asks is told, everybody else serves."""
    await fill(file)
    damage(file, change)
    before = bytes_of(file)

    for _ in range(2):
        async with Host(f"sqlite+aiosqlite:///{file}") as host:
            counters = host.manager("counters", Counter)
            for _ in range(2):
                with pytest.raises(Quarantined):
                    await counters.get("bad", partition="acme")
            near = await counters.get("near", partition="acme")
            far = await counters.get("bad", partition="globex")
            assert [await near.ask(Read()), await far.ask(Read())] == [4, 4]
            (mark,) = await counters.quarantined(partition="acme")
            assert mark.reason

    assert bytes_of(file) == before


async def test_a_released_row_that_is_still_corrupt_is_quarantined_again(
    file: Path,
) -> None:
    """P2: release is a permission to try, not to forget."""
    await fill(file)
    damage(file, "body = x'00ff'")
    before = bytes_of(file)

    async with Host(f"sqlite+aiosqlite:///{file}") as host:
        counters = host.manager("counters", Counter)
        await answer(counters.get("bad", partition="acme"))
        await counters.release("bad", partition="acme", actor="eve", reason="try")

        with pytest.raises(Quarantined):
            await counters.get("bad", partition="acme")

        assert len(await counters.quarantined(partition="acme")) == 1
    assert bytes_of(file) == before


async def test_a_released_row_that_was_mended_serves_again(file: Path) -> None:
    """P2: quarantine ends where it began, with the state of then."""
    await fill(file)
    (good,) = bytes_of(file)
    damage(file, "checksum = x'00'")
    async with Host(f"sqlite+aiosqlite:///{file}") as host:
        counters = host.manager("counters", Counter)
        await answer(counters.get("bad", partition="acme"))
    with sqlite3.connect(file) as database:
        database.execute(
            f"update podvisor_records set checksum = ? where {ROW}",  # noqa: S608  likewise
            [value for value in good if isinstance(value, bytes)][:1],
        )
    database.close()

    async with Host(f"sqlite+aiosqlite:///{file}") as host:
        counters = host.manager("counters", Counter)
        await counters.release("bad", partition="acme", actor="eve", reason="mended")
        assert await (await counters.get("bad", partition="acme")).ask(Read()) == 4


async def test_mail_for_a_corrupt_instance_is_answered(file: Path) -> None:
    """P2: whoever asks through a ref of before is told as well."""
    await fill(file)
    damage(file, "body = x'00ff'")

    async with Host(f"sqlite+aiosqlite:///{file}") as host:
        counters = host.manager("counters", Counter)
        handle = await counters.get("near", partition="acme")
        await handle.ask(Read())
        first = await answer(counters.get("bad", partition="acme"))
        second = await answer(
            host.runtime.catalog.ref(first.address).ask(Read())
            if isinstance(first, Quarantined)
            else counters.get("bad", partition="acme")
        )

        assert isinstance(first, Quarantined)
        assert isinstance(second, Quarantined)
