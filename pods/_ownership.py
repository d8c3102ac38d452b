"""Checks that the import packages next to this one are podvisor's own.

Distributions named ``pods`` and ``supervision`` exist; installed next to podvisor, they
and it overwrite each other's files. What would follow are import errors that name the
wrong culprit, so this is looked at before anything else is imported, and with nothing
but the standard library.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["PackageConflict", "check_ownership"]

_MARK = '__distribution__ = "podvisor"'


class PackageConflict(ImportError):
    """Another distribution has put its files where podvisor's packages belong.

    It is no ``PodsError``, because the module of that class may be the foreign one.

    Attributes:
        package: import name of the foreign package.
        found: where Python found it.
    """

    code = "PV-E400"

    def __init__(self, package: str, found: str) -> None:
        super().__init__(package, found)
        self.package = package
        self.found = found

    def __str__(self) -> str:
        return (
            f"[{self.code}] The package {self.package!r} at {self.found} is not "
            "podvisor's: another distribution has the same import name. Uninstall that "
            "distribution, then reinstall podvisor, best in an environment of its own."
        )


def check_ownership(packages: Iterable[str], home: Path) -> None:
    """Check that packages lie in ``home`` and carry podvisor's mark.

    Raises:
        PackageConflict: one is missing, elsewhere, or foreign.
    """
    for package in packages:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise PackageConflict(package, "no place at all")
        path = Path(spec.origin)
        if path.parent.parent != home or _MARK not in path.read_text("utf-8"):
            raise PackageConflict(package, spec.origin)
