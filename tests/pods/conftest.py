from __future__ import annotations

from pathlib import Path

import pytest

from tests.pods.support import Medium

__all__ = ["medium"]


@pytest.fixture(params=["memory", "sqlite", "files"])
def medium(request: pytest.FixtureRequest, tmp_path: Path) -> Medium:
    """Rows that outlive hosts, on each of the stores."""
    match request.param:
        case "memory":
            return Medium.memory()
        case "sqlite":
            return Medium.sqlite(str(tmp_path))
        case _:
            return Medium.files(str(tmp_path))
