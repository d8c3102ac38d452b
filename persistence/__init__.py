"""Storage: identities, records, and stores that keep them apart by partition.

SQLAlchemy is imported when the first database is opened, and not before.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from .clock import Clock, Handle, SystemClock
from .codec import Codec, build_codec, is_same
from .errors import (
    AlreadyAnswered,
    CorruptRecord,
    LetterGone,
    NewerRecord,
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
)
from .identity import (
    MAX_KEY_CHARS,
    Address,
    InvalidKey,
    InvalidName,
    InvalidPartition,
    Key,
    PodsError,
    check_key,
    check_name,
    check_partition,
    key_from_text,
    key_to_text,
    shorten,
)
from .memory import MemoryStore
from .migration import Migration
from .pipeline import (
    HOST,
    CommitPolicy,
    CommitStatistics,
    Reader,
    ReadPolicy,
    ReadStatistics,
    Writer,
)
from .store import (
    Answer,
    Bury,
    Claim,
    DeadLetter,
    Defer,
    Delete,
    Exhume,
    FilesPolicy,
    ForgetReplies,
    Letter,
    LiftQuarantine,
    Loaded,
    Operation,
    Post,
    PostgresPolicy,
    PutQuarantine,
    Quarantine,
    Record,
    RecordKind,
    Reply,
    Save,
    SpoiledLetter,
    Store,
    StoredBytes,
    Take,
    Unit,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__distribution__ = "podvisor"  # ``pods`` looks for this line

__all__ = [
    "HOST",
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
    "LetterGone",
    "LiftQuarantine",
    "Loaded",
    "MemoryStore",
    "Migration",
    "NewerRecord",
    "Operation",
    "PodsError",
    "Post",
    "PostgresPolicy",
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
    "is_same",
    "key_from_text",
    "key_to_text",
    "migrate_store",
    "migration_script",
    "open_store",
    "shorten",
]


P = TypeVar("P")


def open_store(
    url: str | Path, *, policy: PostgresPolicy | FilesPolicy | None = None
) -> Store:
    """Make the store that a URL names; it is not connected before its ``open``.

    Args:
        url: ``sqlite+aiosqlite:///FILE``, ``postgresql+asyncpg://HOST/NAME``,
            ``memory://``, or the path of an SQLite file, which may have any characters
            in its name. A URL with ``{partition}`` in it,
            ``sqlite+aiosqlite:///data/{partition}/podvisor.db``, names a file for each
            partition.
        policy: timeouts and connections of a store in PostgreSQL, or bounds of one with
            a file for each partition.

    Raises:
        UnsupportedStore: the URL names no store that this release can use, or not one
            that takes the policy.
    """
    url = _text_of(url)
    if url.startswith("postgres"):
        return _postgres(url, _of_kind(PostgresPolicy, policy, url))
    if url.startswith("sqlite") and ("{" in url or "}" in url):
        from .files.store import FilesStore  # noqa: PLC0415  it brings SQLAlchemy

        return FilesStore(url, policy=_of_kind(FilesPolicy, policy, url))
    if policy is not None:
        reason = f"it takes no {type(policy).__name__}"
        raise UnsupportedStore(url, reason)
    if url == "memory://":
        return MemoryStore()
    from .sqlite.store import SqlStore  # noqa: PLC0415  it brings SQLAlchemy

    return SqlStore(url)


def _postgres(url: str, policy: PostgresPolicy) -> Store:
    from .postgres.url import check_target  # noqa: PLC0415  likewise

    check_target(url)  # refuses a missing driver, which the next line imports
    from .postgres.store import PostgresStore  # noqa: PLC0415  likewise

    return PostgresStore(url, policy=policy)


def _text_of(url: object) -> str:
    # Takes an object: it is for callers without a type checker.
    if isinstance(url, Path):
        return f"sqlite+aiosqlite:///{quote(str(url))}"
    if not isinstance(url, str):
        raise UnsupportedStore(shorten(url), "it is no text")
    return url


def _of_kind(kind: type[P], policy: object, url: str) -> P:
    """Return the policy of a store, or the default one of its kind."""
    if policy is None:
        return kind()
    if isinstance(policy, kind):
        return policy
    reason = f"it takes a {kind.__name__}, not a {type(policy).__name__}"
    raise UnsupportedStore(url, reason)


def migrate_store(store: Store, *, dry_run: bool = False) -> AsyncGenerator[Migration]:
    """Bring the databases of a store up to date, each in a transaction of its own.

    One that cannot be used is reported and does not keep the others from it. Two
    processes may do it at once. A host that still runs on an older release loses its
    partitions.

    Args:
        store: what ``open_store`` made; it need not be open.
        dry_run: look only.

    Returns:
        One report per database, in the order of their partitions.

    Raises:
        UnsupportedStore: the store has no tables, or alembic is not installed.
        StoreError: the databases cannot be listed.
    """
    from .upgrade import upgrade  # noqa: PLC0415  it brings SQLAlchemy

    return upgrade(store, dry_run=dry_run)


def migration_script(url: str, *, since: int = 0) -> str:
    """Write down, as SQL, what a migration does; nothing is connected to.

    Args:
        url: of the store; only the kind of its database matters.
        since: version of the tables that are there; 0 for an empty database.

    Raises:
        UnsupportedStore: the kind of database has no tables, or alembic is not
            installed.
        ValueError: there is no such version.
    """
    from .upgrade import script  # noqa: PLC0415  likewise

    return script(url, since)
