"""Where the file of a partition lies, and that no id leads anywhere else."""

from __future__ import annotations

import ntpath
import sys
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence import FilesPolicy, UnsupportedStore, check_partition, open_store
from persistence.files.layout import FileLayout, name_of, partition_of, url_of

__all__: list[str] = []

SCHEME = "sqlite+aiosqlite:///"
LAYOUTS = ["data/{partition}/podvisor.db", "data/{partition}.db"]
PARTITIONS = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,62}", fullmatch=True).filter(
    lambda text: ".." not in text
)


def layout(path: str) -> FileLayout:
    return FileLayout.of(SCHEME + path)


@pytest.mark.parametrize(
    ("url", "base", "file"),
    [
        ("data/{partition}/podvisor.db", "data", "data/acme/podvisor.db"),
        ("/var/{partition}/a/b.db", "/var", "/var/acme/a/b.db"),
        ("{partition}/x", ".", "acme/x"),
        ("{partition}.db", ".", "acme.db"),
        ("/{partition}.sqlite3", "/", "/acme.sqlite3"),
        ("a%20b/{partition}/c%3Fd.db", "a b", "a b/acme/c?d.db"),
    ],
)
def test_a_url_says_where_the_partitions_lie(url: str, base: str, file: str) -> None:
    """A3: a path segment, or a file, for each partition."""
    found = layout(url)

    assert found.base == Path(base)
    assert found.path_of("acme") == Path(file)


@pytest.mark.parametrize(
    "path",
    [
        "data/{tenant}/p.db",
        "data/{Partition}/p.db",
        "data/{partition/p.db",
        "data/partition}/p.db",
        "data/{}/p.db",
        "data/{partition}/{partition}.db",
        "data/{partition}{partition}/p.db",
        "data/{tenant}/{partition}.db",
        "data/{partition}/{x}.db",
        "data/x-{partition}/p.db",
        "data/{partition}-x/p.db",
        "data/x-{partition}.db",
        "data/{partition}",
        "data/{partition}/",
        "data/{partition}.",
        "data/{partition}.db-wal",
        "data/{partition}.tar.gz",
        "data/{partition}/../p.db",
        "data/{partition}/./p.db",
        "data/{partition}//p.db",
        "data/{partition}.db?vfs=memdb",
        "file:/{partition}?vfs=memdb&uri=true",
    ],
)
def test_a_url_that_could_mix_partitions_up_is_refused(path: str) -> None:
    """A4: a mistyped placeholder does not put all partitions into one file."""
    with pytest.raises(UnsupportedStore) as caught:
        open_store(SCHEME + path)

    assert "is refused" in str(caught.value)


@pytest.mark.parametrize("scheme", ["sqlite:///", "sqlite+pysqlite:///", "sqlite://"])
def test_another_driver_is_refused(scheme: str) -> None:
    """A8: what would block the event loop is found before the host starts."""
    with pytest.raises(UnsupportedStore, match=r"is written 'sqlite\+aiosqlite:///"):
        open_store(scheme + "data/{partition}/p.db")


def test_the_refusal_says_what_to_write() -> None:
    """A8: the text can be copied."""
    with pytest.raises(UnsupportedStore, match=r"'data/\{partition\}/podvisor\.db'"):
        open_store(SCHEME + "data/{tenant}/podvisor.db")


def test_a_path_with_braces_is_a_path(tmp_path: Path) -> None:
    """A8: only a URL has a placeholder."""
    shown = repr(open_store(tmp_path / "{partition}" / "x.db"))

    assert shown.startswith("<SqlStore ")


@given(PARTITIONS)
def test_a_name_leads_back_to_its_partition_and_stays_in_its_folder(
    partition: str,
) -> None:
    """A4: no id escapes, and no name belongs to two."""
    name = name_of(check_partition(partition))

    assert partition_of(name) == partition
    assert (Path("base") / name).parts == ("base", name)
    for path in LAYOUTS:
        found = layout(path)
        file = found.path_of(partition)
        assert found.partition_in(file.relative_to("data").parts[0]) == partition


@given(PARTITIONS, PARTITIONS)
def test_two_partitions_never_share_a_file(one: str, other: str) -> None:
    """A4: nor is the file of one the log of the other, on any file system."""
    suffixes = ("", "-wal", "-shm", "-journal")

    def files(path: str, partition: str) -> set[str]:
        file = str(layout(path).path_of(partition))
        return {(file + suffix).casefold() for suffix in suffixes}

    for path in LAYOUTS:
        assert one == other or not files(path, one) & files(path, other)


def is_reserved(name: str) -> bool:
    if sys.version_info >= (3, 13):
        return ntpath.isreserved(name)
    return PureWindowsPath(name).is_reserved()


@given(PARTITIONS | st.sampled_from(["con", "nul.x", "com1", "lpt9.log", "aux.", "a."]))
def test_a_name_means_itself_on_windows(partition: str) -> None:
    """A4: there a device has names, and a dot at the end of a name is dropped."""
    name = name_of(partition)

    assert not is_reserved(name)
    assert not name.endswith((".", " "))


@pytest.mark.parametrize(
    ("partition", "name"),
    [("acme", "acme"), ("con", "%63on"), ("nul.x", "%6eul.x"), ("acme.", "acme%2e")],
)
def test_a_name_is_the_id_wherever_it_can_be(partition: str, name: str) -> None:
    """A3: an operator finds a partition by its name."""
    assert name_of(partition) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "ACME", "acme ", "%61cme", "con", "acme.", "%63ON", "%ff", "a%2fb"],
)
def test_what_no_partition_is_called_belongs_to_none(name: str) -> None:
    """A4: a folder that somebody else made is not taken for a partition."""
    assert partition_of(name) is None


@pytest.mark.parametrize("name", ["acme", "acme.db-wal", ".db", "acme.DB", "x/acme.db"])
def test_a_file_with_another_ending_belongs_to_none(name: str) -> None:
    """A4: likewise."""
    assert layout("data/{partition}.db").partition_in(name) is None


@pytest.mark.parametrize("path", ["a b/c?d#e%20f.db", "/x/{partition}.db", "ü.db"])
def test_the_url_of_a_path_leads_to_it(path: str) -> None:
    """A8: whatever characters it has."""
    assert repr(open_store(url_of(Path(path)))).startswith("<SqlStore ")


def test_a_bound_that_would_stop_the_store_is_refused() -> None:
    """A7: a policy that cannot work cannot be made."""
    with pytest.raises(ValueError, match="max_open"):
        FilesPolicy(max_open=0)
    with pytest.raises(ValueError, match="idle_timeout"):
        FilesPolicy(idle_timeout=0.0)
