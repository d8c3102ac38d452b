"""Where the database of a partition lies, if each has a file of its own.

A partition id becomes one name in a folder, so that nothing of one partition lies below
another's. The name is the id, but for two kinds of ids that Windows does not take for
what they are: names of devices (``con``, ``nul.x``), and those that end with a dot.
There one character is written as ``%`` and its code, which no id contains.
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
# No dash: SQLite puts ``-wal`` and ``-shm`` behind the name of a database, and the file
# of one partition must not be the log of another.
_ENDING = re.compile(r"\.[A-Za-z0-9_]+")


def name_of(partition: str) -> str:
    """Return the name that a partition has in a folder."""
    name = partition
    if name.partition(".")[0] in _DEVICES:
        name = _escaped(name[0]) + name[1:]
    if name.endswith("."):
        name = name[:-1] + _escaped(".")
    return name


def _escaped(character: str) -> str:
    return f"%{ord(character):02x}"


def partition_of(name: str) -> str | None:
    """Return the partition of a name in a folder; ``None`` if it is none of ours."""
    try:
        partition = check_partition(unquote(name, errors="strict"))
    except (InvalidPartition, UnicodeDecodeError):
        return None
    return partition if name_of(partition) == name else None


@attrs.frozen
class FileLayout:
    """The folder of all partitions, and where in it each has its file.

    Attributes:
        base: the folder; it has to exist.
        ending: what follows a partition's name in the folder, such as ``.db``; empty if
            the name is that of a folder.
        inside: path of the file in the partition's own folder, if it has one.
    """

    base: Path
    ending: str
    inside: tuple[str, ...]

    @classmethod
    def of(cls, url: str) -> FileLayout:
        """Read a URL such as ``sqlite+aiosqlite:///data/{partition}/podvisor.db``.

        Raises:
            UnsupportedStore: it is not of this form; the error says what to write.
        """
        path = url.removeprefix(_SCHEME)
        if path == url or "?" in path:
            reason = f"a file per partition is written '{_SCHEME}…' without options"
            raise UnsupportedStore(url, reason)
        parts = path.split("/")
        at = next((i for i, part in enumerate(parts) if PLACEHOLDER in part), None)
        if at is None or not _is_clear(parts, at):
            reason = (
                f"the one thing in braces may be {PLACEHOLDER}, once, as the name of "
                f"a folder or of a file: 'data/{PLACEHOLDER}/podvisor.db' or "
                f"'data/{PLACEHOLDER}.db'; give a pathlib.Path if the name of the one "
                f"database has braces"
            )
            raise UnsupportedStore(url, reason)
        above, own, inside = parts[:at], parts[at], parts[at + 1 :]
        base = Path(unquote("/".join(above)) or ("/" if at else "."))
        ending = own.removeprefix(PLACEHOLDER)
        return cls(base, ending, tuple(unquote(part) for part in inside))

    def path_of(self, partition: str) -> Path:
        """Return the file of a partition, whether it exists or not."""
        return self.base.joinpath(name_of(partition) + self.ending, *self.inside)

    def partition_in(self, name: str) -> str | None:
        """Return the partition of an entry of ``base``; ``None`` if it is none."""
        stem = name.removesuffix(self.ending)
        return partition_of(stem) if stem + self.ending == name else None


def _is_clear(parts: list[str], at: int) -> bool:
    """Tell whether the placeholder stands where it can, and nothing else in braces."""
    own, inside = parts[at], parts[at + 1 :]
    others = [*parts[:at], own.replace(PLACEHOLDER, "", 1), *inside]
    if any("{" in part or "}" in part for part in others):
        return False
    if not inside:
        ending = own.removeprefix(PLACEHOLDER)
        return ending != own and _ENDING.fullmatch(ending) is not None
    return own == PLACEHOLDER and all(p not in {"", ".", ".."} for p in inside)


def url_of(path: Path) -> str:
    """Return the URL of one database file, whatever characters its path has."""
    return _SCHEME + quote(str(path))
