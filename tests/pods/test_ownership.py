from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pods._ownership import PackageConflict, check_ownership


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a package of somebody else first on the path, not imported yet."""
    package = tmp_path / "strange_supervision"
    package.mkdir()
    (package / "__init__.py").write_text('"""Draws boxes."""\n', "utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path


def test_our_own_packages_pass() -> None:
    home = Path(sys.modules["pods"].__file__ or "").parents[1]

    check_ownership(("persistence", "supervision", "persistence"), home)

    with pytest.raises(PackageConflict):
        check_ownership(("persistence",), home / "elsewhere")


def test_a_package_without_our_mark_is_named_with_its_place(elsewhere: Path) -> None:
    with pytest.raises(ImportError) as caught:
        check_ownership(("strange_supervision",), elsewhere)

    text = str(caught.value)
    assert "'strange_supervision'" in text
    assert str(elsewhere) in text
    assert "Uninstall that distribution" in text


def test_a_package_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackageConflict) as caught:
        check_ownership(("no_such_package_at_all",), tmp_path)

    assert caught.value.package == "no_such_package_at_all"
