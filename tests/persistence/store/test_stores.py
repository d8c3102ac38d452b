from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from persistence import FilesPolicy, MemoryStore, open_store
from persistence.files.store import FilesStore
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


class TestFolderPerPartition(StoreConformance):
    @pytest.fixture
    def make(self, tmp_path: Path) -> Make:
        return lambda: open_store(f"sqlite+aiosqlite:///{tmp_path}/{{partition}}/p.db")


class TestFilePerPartition(StoreConformance):
    @pytest.fixture
    def make(self, tmp_path: Path) -> Make:
        one = FilesPolicy(max_open=1)  # each call may have to close a file and open one
        url = f"sqlite+aiosqlite:///{tmp_path}/{{partition}}.db"
        return lambda: open_store(url, policy=one)


def test_a_url_names_a_store_in_memory() -> None:
    """A8: one setting chooses the store."""
    assert isinstance(open_store("memory://"), MemoryStore)


def test_a_url_with_a_placeholder_names_a_file_for_each_partition() -> None:
    """A8: likewise."""
    url = "sqlite+aiosqlite:///data/{partition}/podvisor.db"

    assert isinstance(open_store(url), FilesStore)
