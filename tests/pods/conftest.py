from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pods.support import Medium
from tests.stores import STORES

__all__ = ["medium"]


@pytest.fixture(params=STORES)
def medium(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Medium]:
    """Rows that outlive hosts, on each of the stores."""
    with Medium.of(request.param, tmp_path) as found:
        yield found
