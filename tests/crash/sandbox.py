"""What a process needs around it so that its disk can fail: a mount, or a preload."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import attrs

__all__ = ["INSIDE", "Sandbox", "sandbox_of"]

INSIDE = "PODVISOR_CRASH_FOLDER"
"""Set in the environment of a process that runs in its sandbox."""

_MOUNT = 'mount -t tmpfs -o size=2m tmpfs "$0" && exec "$@"'
_PRELOADS = ("fiu/fiu_run_preload.so", "fiu/fiu_posix_preload.so")


@attrs.frozen
class Sandbox:
    """How to start a process.

    Attributes:
        prefix: words before its command.
        environment: variables beside those that there are.
        missing: why it cannot be started, and what to do; empty if it can.
    """

    prefix: tuple[str, ...] = ()
    environment: dict[str, str] = attrs.field(factory=dict[str, str])
    missing: str = ""

    def enter(self) -> None:
        """Start this very command again, inside; it does not return."""
        environment = {**os.environ, **self.environment}
        words = [*self.prefix, sys.executable, "-m", "tests.crash", *sys.argv[1:]]
        os.execvpe(words[0], words, environment)  # noqa: S606  our own program


def sandbox_of(how: str, folder: Path) -> Sandbox:
    """Return what the disk of a name needs.

    Args:
        how: ``limit``, ``full`` or ``faulty``.
        folder: where its files will be.
    """
    environment = {INSIDE: str(folder)}
    if how == "full":
        return _small_file_system(folder, environment)
    if how == "faulty":
        return _preloaded(environment)
    return Sandbox(environment=environment)


def _small_file_system(folder: Path, environment: dict[str, str]) -> Sandbox:
    # A mount name space of its own: the file system goes with the last process in it.
    prefix = ("unshare", "--map-root-user", "--mount", "sh", "-c", _MOUNT, str(folder))
    try:
        works = not subprocess.run([*prefix, "true"], check=False).returncode  # noqa: S603  our own words
    except FileNotFoundError:
        works = False
    if not works:
        return Sandbox(missing="this system lets nobody mount a tmpfs with unshare")
    return Sandbox(prefix, environment)


def _preloaded(environment: dict[str, str]) -> Sandbox:
    for folder in (os.environ.get("PODVISOR_LIBFIU", ""), "/usr/lib", "/usr/local/lib"):
        files = [Path(folder) / name for name in _PRELOADS]
        if folder and all(file.exists() for file in files):
            preload = ":".join(map(str, files))
            paths = {"LD_LIBRARY_PATH": folder, "LD_PRELOAD": preload}
            return Sandbox(environment={**environment, **paths})
    return Sandbox(
        missing="libfiu is not there: install fiu-utils, or unpack it with libfiu0 and "
        "let PODVISOR_LIBFIU name its usr/lib"
    )
