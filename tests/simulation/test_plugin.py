from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

__all__: list[str] = []

ROOT = Path(__file__).parents[2]
WAYS = {
    "anyio": 'anyio_mode = "auto"\naddopts = ["-p", "no:asyncio"]',
    "pytest-asyncio": (
        'asyncio_mode = "auto"\nasyncio_default_fixture_loop_scope = "function"'
    ),
}


def blocks() -> list[str]:
    """Return the Python blocks of the page for users."""
    page = (ROOT / "docs" / "testing.md").read_text()
    return re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)


@pytest.mark.parametrize("way", WAYS)
def test_the_example_for_users_runs_under_both_plugins(
    way: str, tmp_path: Path
) -> None:
    """G14: the page is right, and its fixtures need no plugin of their own."""
    conftest, example = blocks()
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_example.py").write_text(example)
    settings = f'[tool.pytest.ini_options]\n{WAYS[way]}\nfilterwarnings = ["error"]\n'
    (tmp_path / "pyproject.toml").write_text(settings)

    done = subprocess.run(  # noqa: S603  our own program
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout
