from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from persistence import MemoryStore, open_store
from persistence.testing import Make, StoreConformance
from tests.postgres import fresh_schema

__all__: list[str] = []


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    def make(self) -> Make:
        store = MemoryStore()
        return lambda: store


class TestSqliteFile(StoreConformance):
    @pytest.fixture
    def make(self, tmp_path: Path) -> Make:
        return lambda: open_store(f"sqlite+aiosqlite:///{tmp_path}/podvisor.db")


class TestPostgres(StoreConformance):
    @pytest.fixture
    def make(self) -> Iterator[Make]:
        with fresh_schema() as url:
            yield lambda: open_store(url)


def test_a_url_names_a_store_in_memory() -> None:
    """A8: one setting chooses the store."""
    assert isinstance(open_store("memory://"), MemoryStore)
