"""Paths of the databases, if each partition has a file of its own.

A partition id becomes one name in a folder, so that no partition lies below another.
The name is the id, except for two kinds of ids that Windows changes or refuses: device
names (``con``, ``nul.x``), and ids that end with a dot. In those, one character is
written as ``%`` and its code; no id contains ``%``.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote, unquote

import attrs

from ..errors import UnsupportedStore
from ..identity import InvalidPartition, check_partition

__all__ = ["PLACEHOLDER", "FileLayout", "name_of", "partition_of"]

PLACEHOLDER = "{partition}"
_SCHEME = "sqlite+aiosqlite:///"
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul"]
    + [f"{port}{n}" for port in ("com", "lpt") for n in range(10)]
)
# No dash: SQLite appends ``-wal`` and ``-shm`` to the name of a database, and the file
# of one partition must not be the log of another.
_ENDING = re.compile(r"\.[A-Za-z0-9_]+")


def name_of(partition: str) -> str:
    """Return the name of a partition in a folder."""
    name = partition
    if name.partition(".")[0] in _DEVICES:
        name = _escaped(name[0]) + name[1:]
    if name.endswith("."):
        name = name[:-1] + _escaped(".")
    return name


def _escaped(character: str) -> str:
    return f"%{ord(character):02x}"


def partition_of(name: str) -> str | None:
    """Return the partition of a name in a folder; ``None`` if it names none."""
    try:
        partition = check_partition(unquote(name, errors="strict"))
    except (InvalidPartition, UnicodeDecodeError):
        return None
    return partition if name_of(partition) == name else None


@attrs.frozen
class FileLayout:
    """The folder of all partitions, and the place of each file in it.

    Two partitions never have the same path, nor one below the other. ``FilesStore``
    uses it.

    Attributes:
        base: the folder; it must exist.
        ending: what follows a partition's name in the folder, such as ``.db``; empty if
            the name is that of a folder.
        inside: path of the file in the partition's own folder, if it has one.
    """

    base: Path
    ending: str
    inside: tuple[str, ...]

    @classmethod
    def of(cls, url: str) -> FileLayout:
        """Parse a URL such as ``sqlite+aiosqlite:///data/{partition}/podvisor.db``.

        Raises:
            UnsupportedStore: the URL has another form; the error tells what to write.
        """
        path = url.removeprefix(_SCHEME)
        if path == url or "?" in path:
            reason = f"a file per partition is written '{_SCHEME}…' without options"
            raise UnsupportedStore(url, reason)
        parts = path.split("/")
        at = next((i for i, part in enumerate(parts) if PLACEHOLDER in part), None)
        if at is None or not _is_valid(parts, at):
            reason = (
                f"only {PLACEHOLDER} may be in braces, once, as the name of "
                f"a folder or of a file: 'data/{PLACEHOLDER}/podvisor.db' or "
                f"'data/{PLACEHOLDER}.db'; give a pathlib.Path for a single database "
                f"with braces in its name"
            )
            raise UnsupportedStore(url, reason)
        above, own, inside = parts[:at], parts[at], parts[at + 1 :]
        base = Path(unquote("/".join(above)) or ("/" if at else "."))
        ending = own.removeprefix(PLACEHOLDER)
        return cls(base, ending, tuple(unquote(part) for part in inside))

    def path_of(self, partition: str) -> Path:
        """Return the path of the file of a partition, which may not exist."""
        return self.base.joinpath(name_of(partition) + self.ending, *self.inside)

    def partition_in(self, name: str) -> str | None:
        """Return the partition of a name in ``base``; ``None`` if it names none."""
        stem = name.removesuffix(self.ending)
        return partition_of(stem) if stem + self.ending == name else None


def _is_valid(parts: list[str], at: int) -> bool:
    """Return whether the placeholder is the only text in braces, in a valid place."""
    own, inside = parts[at], parts[at + 1 :]
    others = [*parts[:at], own.replace(PLACEHOLDER, "", 1), *inside]
    if any("{" in part or "}" in part for part in others):
        return False
    if not inside:
        ending = own.removeprefix(PLACEHOLDER)
        return ending != own and _ENDING.fullmatch(ending) is not None
    return own == PLACEHOLDER and all(p not in {"", ".", ".."} for p in inside)


def url_of(path: Path) -> str:
    """Return the URL of a database file; its path may have any characters."""
    return _SCHEME + quote(str(path))
