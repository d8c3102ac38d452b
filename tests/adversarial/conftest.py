from __future__ import annotations

from pathlib import Path

import pytest

from tests.pods.support import Medium

__all__ = ["medium"]


@pytest.fixture(params=["memory", "sqlite"])
def medium(request: pytest.FixtureRequest, tmp_path: Path) -> Medium:
    """Rows that outlive hosts, on each of the stores."""
    return (
        Medium.memory() if request.param == "memory" else Medium.sqlite(str(tmp_path))
    )
