from __future__ import annotations

from pathlib import Path

import pytest

from persistence import MemoryStore, open_store
from persistence.testing import Make, StoreConformance

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


def test_a_url_names_a_store_in_memory() -> None:
    """A8: one setting chooses the store."""
    assert isinstance(open_store("memory://"), MemoryStore)
