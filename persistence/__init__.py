"""Storage: identities, records, and stores that keep them apart by partition.

SQLAlchemy is imported when the first database is opened, and not before.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from .address import (
    MAX_KEY_CHARS,
    Address,
    Key,
    check_key,
    check_name,
    check_partition,
    key_from_text,
    key_to_text,
)
from .clock import Clock, Handle, SystemClock
from .codec import Codec, build_codec
from .commits import CommitPolicy, CommitStatistics, Writer
from .errors import (
    AlreadyAnswered,
    CorruptRecord,
    InvalidKey,
    InvalidName,
    InvalidPartition,
    NewerRecord,
    PodsError,
    RecordError,
    SchemaMismatch,
    StaleOwner,
    StaleRevision,
    StateTooLarge,
    StoreClosed,
    StoreError,
    StoreUnavailable,
    UndecodableState,
    UnstorableState,
    UnsupportedField,
    UnsupportedStore,
    shorten,
)
from .layout import FilesPolicy
from .letters import (
    Answer,
    Bury,
    DeadLetter,
    Defer,
    Exhume,
    ForgetReplies,
    Letter,
    Post,
    Reply,
    SpoiledLetter,
    Take,
)
from .memory import MemoryStore
from .reads import Reader, ReadPolicy, ReadStatistics
from .records import (
    Claim,
    Delete,
    LiftQuarantine,
    Operation,
    PutQuarantine,
    Quarantine,
    Record,
    RecordKind,
    Save,
    StoredBytes,
    Unit,
)
from .store import Loaded, Store

__distribution__ = "podvisor"  # ``pods`` looks for this line

__all__ = [
    "MAX_KEY_CHARS",
    "Address",
    "AlreadyAnswered",
    "Answer",
    "Bury",
    "Claim",
    "Clock",
    "Codec",
    "CommitPolicy",
    "CommitStatistics",
    "CorruptRecord",
    "DeadLetter",
    "Defer",
    "Delete",
    "Exhume",
    "FilesPolicy",
    "ForgetReplies",
    "Handle",
    "InvalidKey",
    "InvalidName",
    "InvalidPartition",
    "Key",
    "Letter",
    "LiftQuarantine",
    "Loaded",
    "MemoryStore",
    "NewerRecord",
    "Operation",
    "PodsError",
    "Post",
    "PutQuarantine",
    "Quarantine",
    "ReadPolicy",
    "ReadStatistics",
    "Reader",
    "Record",
    "RecordError",
    "RecordKind",
    "Reply",
    "Save",
    "SchemaMismatch",
    "SpoiledLetter",
    "StaleOwner",
    "StaleRevision",
    "StateTooLarge",
    "Store",
    "StoreClosed",
    "StoreError",
    "StoreUnavailable",
    "StoredBytes",
    "SystemClock",
    "Take",
    "UndecodableState",
    "Unit",
    "UnstorableState",
    "UnsupportedField",
    "UnsupportedStore",
    "Writer",
    "build_codec",
    "check_key",
    "check_name",
    "check_partition",
    "key_from_text",
    "key_to_text",
    "open_store",
    "shorten",
]


def open_store(url: str | Path, *, policy: FilesPolicy | None = None) -> Store:
    """Make the store that a URL names; it is not connected before its ``open``.

    Args:
        url: ``sqlite+aiosqlite:///FILE``, ``memory://``, or the path of an SQLite file,
            which may have any characters in its name. A URL with ``{partition}`` in it,
            ``sqlite+aiosqlite:///data/{partition}/podvisor.db``, names a file for each
            partition.
        policy: bounds of a store with a file for each partition.

    Raises:
        UnsupportedStore: the URL names no store that this release can use.
    """
    if isinstance(url, Path):
        url = f"sqlite+aiosqlite:///{quote(str(url))}"
    if url == "memory://":
        return MemoryStore()
    if url.startswith("sqlite") and ("{" in url or "}" in url):
        from .files import FilesStore  # noqa: PLC0415  it brings SQLAlchemy

        return FilesStore(url, policy=policy or FilesPolicy())
    from .sql import SqlStore  # noqa: PLC0415  a host in memory needs no SQLAlchemy

    return SqlStore(url)
