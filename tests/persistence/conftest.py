"""A store on one file, which a test may also look at, or damage, by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from persistence import open_store
from persistence.testing import Make

__all__: list[str] = []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "podvisor.db"


@pytest.fixture
def make(path: Path) -> Make:
    return lambda: open_store(path)
