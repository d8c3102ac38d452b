"""Disks that fill up and disks that fail, for real: the kernel says no.

Three ways to bring it about, all switched on and off while one host runs: a limit on
the size of files, a small file system that a ballast fills, and libfiu, which makes
system calls fail at random.
"""

from __future__ import annotations

import ctypes
import resource
from pathlib import Path
from typing import Protocol

import attrs

__all__ = ["Disk", "disk_of"]


class Disk(Protocol):
    """A disk that can be made to fail."""

    def fail(self) -> None:
        """Refuse some or all writes from now on."""
        ...

    def heal(self) -> None:
        """Take writes again."""
        ...


@attrs.define(eq=False)
class Limit:
    """Refuses to let any file of this process grow (``EFBIG``)."""

    folder: Path

    def fail(self) -> None:
        sizes = (file.stat().st_size for file in self.folder.iterdir())
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (max(sizes), hard))

    def heal(self) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


@attrs.define(eq=False)
class Ballast:
    """Fills a small file system to the last block (``ENOSPC``)."""

    folder: Path

    def fail(self) -> None:
        with (self.folder / "ballast").open("wb", buffering=0) as file:
            block = bytes(4_096)
            try:
                while file.write(block):
                    pass
            except OSError:
                return

    def heal(self) -> None:
        (self.folder / "ballast").unlink(missing_ok=True)


_Enable = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_uint,
    ctypes.c_float,
)

_EIO, _ENOSPC = 5, 28


@attrs.define(eq=False)
class Faulty:
    """Lets system calls on files fail at random, through libfiu.

    The loop's own pipe uses other calls and is left alone.
    """

    _points: tuple[tuple[str, float, int], ...] = (
        ("posix/io/rw/pwrite", 0.02, _EIO),
        ("posix/io/rw/ftruncate", 0.05, _ENOSPC),
        ("posix/io/sync/fdatasync", 0.03, _EIO),
        ("posix/io/sync/fsync", 0.03, _EIO),
        ("posix/io/rw/pread", 0.005, _EIO),
    )

    def __attrs_post_init__(self) -> None:
        self._libfiu().fiu_init(0)

    def fail(self) -> None:
        enable = _Enable(("fiu_enable_random", self._libfiu()))
        for point, share, error in self._points:
            enable(point.encode(), 1, error, 0, share)

    def heal(self) -> None:
        for point, _, _ in self._points:
            self._libfiu().fiu_disable(point.encode())

    def _libfiu(self) -> ctypes.CDLL:
        return ctypes.CDLL("libfiu.so.0")


def disk_of(how: str, folder: Path) -> Disk:
    """Make the disk of a name: ``limit``, ``full`` or ``faulty``."""
    match how:
        case "limit":
            return Limit(folder)
        case "full":
            return Ballast(folder)
        case _:
            return Faulty()
